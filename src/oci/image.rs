//! The documents of an image as this program writes and reads them: index, manifest, config
//! (<https://github.com/opencontainers/image-spec>).
//!
//! Maps are ordered, so that [`super::to_canonical_json`] of a value is always the same bytes. Reading ignores
//! what is not listed here; a document that was read is therefore passed on as its bytes, never written anew.

#![expect(clippy::zero_sized_map_values, reason = "the format wants an empty object for each port")]

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

use super::Digest;

/// Media type of an image index.
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// Media type of a manifest.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// Media type of a config.
pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// Media type of a layer that is not compressed.
pub const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
/// Media type of a layer compressed with gzip.
pub const LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// Media type of a layer compressed with zstd.
pub const LAYER_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
/// Docker's media type of an index (<https://distribution.github.io/distribution/spec/manifest-v2-2/>).
pub const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// Docker's media type of a manifest.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Docker's media type of a config.
pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
/// Docker's media type of a layer compressed with gzip.
pub const DOCKER_LAYER_GZIP: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
/// Docker's media type of a layer that is not compressed.
pub const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";
/// How the keys of annotations begin that the specification defines; they are keys of labels as well.
pub const PREDEFINED: &str = "org.opencontainers.image.";
/// Annotation: the app's name.
pub const TITLE: &str = "org.opencontainers.image.title";
/// Annotation: when the image was made.
pub const CREATED: &str = "org.opencontainers.image.created";
/// Annotation: the commit of the source.
pub const REVISION: &str = "org.opencontainers.image.revision";
/// Annotation: where the source is.
pub const SOURCE: &str = "org.opencontainers.image.source";
/// Annotation: the app's version.
pub const VERSION: &str = "org.opencontainers.image.version";
/// Annotation: the image below.
pub const BASE_NAME: &str = "org.opencontainers.image.base.name";
/// Annotation: the digest of the image below.
pub const BASE_DIGEST: &str = "org.opencontainers.image.base.digest";
/// Annotation of a descriptor in an index: the tag it is found under.
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// Annotation of a descriptor in an index: the full reference, read by containerd.
pub const IMAGE_NAME: &str = "io.containerd.image.name";

/// The largest index, manifest or config that is read, in bytes.
pub const MAX_DOCUMENT: u64 = 8 << 20;

/// The media type that a layer has in an OCI manifest: Docker's names become OCI's for the same bytes. None when
/// it is not a layer that is read here.
pub fn layer_type(media_type: &str) -> Option<&'static str> {
    Some(match media_type {
        LAYER | DOCKER_LAYER => LAYER,
        LAYER_GZIP | DOCKER_LAYER_GZIP => LAYER_GZIP,
        LAYER_ZSTD => LAYER_ZSTD,
        _ => return None,
    })
}

/// The numbers in a config's user, `uid:gid`; none where there is a name or nothing. Without a group, the user's number
/// is that of the group.
pub fn user_ids(user: &str) -> (Option<u32>, Option<u32>) {
    let (uid, gid) = user.split_once(':').unwrap_or((user, user));
    (uid.parse().ok(), gid.parse().ok())
}

/// Points at a blob.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What the blob is.
    pub media_type: String,
    /// The digest of its bytes.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// What it runs on; only in an index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// What an artifact is; only in lists of referrers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// Further facts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "null_as_default")]
    pub annotations: BTreeMap<String, String>,
}

impl Descriptor {
    /// A descriptor without platform and annotations.
    pub fn new(media_type: &str, digest: Digest, size: u64) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest,
            size,
            platform: None,
            artifact_type: None,
            annotations: BTreeMap::new(),
        }
    }
}

/// An operating system and processor, in the words of Go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    /// `amd64`, `arm64`.
    pub architecture: String,
    /// `linux`.
    pub os: String,
    /// `v7`; needed for `arm` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

impl std::fmt::Display for Platform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.iter().try_for_each(|variant| write!(f, "/{variant}"))
    }
}

impl Platform {
    /// That of this machine, `linux/amd64`.
    pub fn machine() -> &'static str {
        match std::env::consts::ARCH {
            "aarch64" => "linux/arm64",
            _ => "linux/amd64",
        }
    }

    /// Reads `OS/ARCHITECTURE[/VARIANT]`; none when it is anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('/');
        let (os, architecture, variant) = (parts.next()?, parts.next()?, parts.next());
        let is_word = |part: &str| {
            !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        };
        let known = parts.next().is_none()
            && [Some(os), Some(architecture), variant].into_iter().flatten().all(is_word);
        known.then(|| Self {
            architecture: architecture.to_owned(),
            os: os.to_owned(),
            variant: variant.map(str::to_owned),
        })
    }
}

/// What an image is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// 2.
    pub schema_version: u32,
    /// [`MANIFEST`].
    #[serde(default)]
    pub media_type: String,
    /// The config.
    pub config: Descriptor,
    /// From the bottom up.
    pub layers: Vec<Descriptor>,
    /// The labels of the config, and what is said of the manifest alone.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "null_as_default")]
    pub annotations: BTreeMap<String, String>,
}

/// The list of images of a layout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// 2.
    pub schema_version: u32,
    /// [`INDEX`].
    #[serde(default = "index_media_type")]
    pub media_type: String,
    /// In the order they were added.
    pub manifests: Vec<Descriptor>,
    /// Further facts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "null_as_default")]
    pub annotations: BTreeMap<String, String>,
}

impl Default for Index {
    fn default() -> Self {
        Self {
            schema_version: 2,
            media_type: index_media_type(),
            manifests: Vec::new(),
            annotations: BTreeMap::new(),
        }
    }
}

fn index_media_type() -> String {
    INDEX.to_owned()
}

/// How an image is run, and what its layers are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageConfig {
    /// `amd64`.
    pub architecture: String,
    /// `linux`.
    pub os: String,
    /// `v7`; needed for `arm` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// How it is run.
    #[serde(default, deserialize_with = "null_as_default")]
    pub config: ContainerConfig,
    /// What it is made of.
    pub rootfs: RootFs,
    /// One entry per layer, in the same order.
    #[serde(default, deserialize_with = "null_as_default")]
    pub history: Vec<History>,
}

/// The defaults of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ContainerConfig {
    /// Numeric `uid:gid`.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "null_as_default")]
    pub user: String,
    /// `8080/tcp`, each with an empty object.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "null_as_default")]
    pub exposed_ports: BTreeMap<String, Empty>,
    /// `NAME=value`, in order.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub env: Vec<String>,
    /// The first arguments of every start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    /// The arguments that a start may replace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cmd: Option<Vec<String>>,
    /// Absolute.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "null_as_default")]
    pub working_dir: String,
    /// Facts for people and tools.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "null_as_default")]
    pub labels: BTreeMap<String, String>,
    /// What ends the app: `SIGTERM`.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "null_as_default")]
    pub stop_signal: String,
}

/// Docker writes `null` for what is empty.
fn null_as_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    input: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(input)?.unwrap_or_default())
}

/// The object without keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Empty {}

/// The plain layers of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootFs {
    /// `layers`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Digests of the layers before compression, from the bottom up.
    pub diff_ids: Vec<Digest>,
}

/// Where a layer comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct History {
    /// RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// What made it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub created_by: String,
    /// For people.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub comment: String,
    /// Whether there is no layer for this entry.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub empty_layer: bool,
}

#[cfg(test)]
mod tests {
    use super::{ContainerConfig, ImageConfig, Platform};

    #[test]
    fn null_means_nothing() {
        let text = r#"{"architecture":"amd64","os":"linux","config":{"User":null,"ExposedPorts":null,"Env":null,
            "Entrypoint":null,"Labels":null,"StopSignal":null,"WorkingDir":null},"history":null,
            "rootfs":{"type":"layers","diff_ids":[]}}"#;
        let config: ImageConfig = serde_json::from_str(text).unwrap();
        assert_eq!((config.config, config.history), (ContainerConfig::default(), Vec::new()));
    }

    #[test]
    fn platforms_have_two_or_three_words() {
        let arm = Platform {
            architecture: "arm".to_owned(),
            os: "linux".to_owned(),
            variant: Some("v7".to_owned()),
        };
        assert_eq!(Platform::parse("linux/arm/v7"), Some(arm));
        for text in ["", "linux", "linux/", "linux/amd64/", "a/b/c/d", "Linux/amd64"] {
            assert_eq!(Platform::parse(text), None, "{text}");
        }
    }
}
