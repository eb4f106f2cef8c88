//! Where an image goes, as people write it after `-o`, and the names it gets there.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::Error;
use super::engine::Engine;
use crate::oci::Reference;
use crate::oci::image::LAYER_ZSTD;

/// Where an image goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// The store's own images, under the app's reference.
    Store,
    /// `oci:DIR[:TAG]`: an OCI layout; other tags in it stay.
    Layout {
        /// Made when missing.
        directory: PathBuf,
        /// The tag; that of the app's reference when not given.
        tag: Option<String>,
    },
    /// `oci-archive:FILE[:TAG]`: the same in one tar file.
    OciArchive {
        /// Replaced as a whole.
        file: PathBuf,
        /// The tag; that of the app's reference when not given.
        tag: Option<String>,
    },
    /// `docker-archive:FILE[:REF]`: a file for `docker load`.
    DockerArchive {
        /// Replaced as a whole.
        file: PathBuf,
        /// The name it is loaded under; the app's reference when not given.
        reference: Option<Reference>,
    },
    /// `docker://REFERENCE`: a repository of a registry.
    Registry(Reference),
    /// `docker-daemon:[REF]` and `containers-storage:[REF]`: the images of an engine of this machine.
    Engine {
        /// Whose.
        engine: Engine,
        /// The name it gets there; the app's references when not given.
        reference: Option<Reference>,
    },
}

/// The forms of a destination, for messages.
pub(super) const FORMS: [&str; 6] = [
    "`-o oci:DIR[:TAG]`",
    "`-o oci-archive:FILE[:TAG]`",
    "`-o docker-archive:FILE[:REFERENCE]`",
    "`-o docker://REFERENCE`",
    "`-o docker-daemon:[REFERENCE]`",
    "`-o containers-storage:[REFERENCE]`",
];

impl FromStr for Destination {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let error = |reason: String| Error::Destination { text: text.to_owned(), reason };
        let Some((kind, rest)) = text.split_once(':') else {
            return Err(error("there is no `:` in it".to_owned()));
        };
        // As in the tools that share these forms, the first colon ends the path.
        let (path, name) = match rest.split_once(':') {
            Some((path, name)) => (path, Some(name)),
            None => (rest, None),
        };
        let tag = || match name {
            Some(name) if !is_ref_name(name) => Err(error(format!("`{name}` is not a tag of an OCI layout"))),
            name => Ok(name.map(str::to_owned)),
        };
        let path_of = |what: &str| match path {
            "" => Err(error(format!("the {what} is missing"))),
            "-" => Err(error("images are not written to standard output".to_owned())),
            path => Ok(PathBuf::from(path)),
        };
        if let Some(engine) = Engine::named(kind) {
            let reference = Some(rest).filter(|rest| !rest.is_empty()).map(str::parse).transpose();
            let reference =
                reference.map_err(|invalid: crate::oci::InvalidReference| error(invalid.to_string()))?;
            return Ok(Self::Engine { engine, reference });
        }
        match kind {
            "docker" => {
                let reference = rest.strip_prefix("//").ok_or_else(|| error("`//` is missing".to_owned()))?;
                let reference = reference.parse();
                Ok(Self::Registry(
                    reference.map_err(|invalid: crate::oci::InvalidReference| error(invalid.to_string()))?,
                ))
            }
            "oci" => Ok(Self::Layout { directory: path_of("directory")?, tag: tag()? }),
            "oci-archive" => Ok(Self::OciArchive { file: path_of("file")?, tag: tag()? }),
            "docker-archive" => {
                let reference = name.map(str::parse).transpose();
                let reference =
                    reference.map_err(|invalid: crate::oci::InvalidReference| error(invalid.to_string()))?;
                Ok(Self::DockerArchive { file: path_of("file")?, reference })
            }
            _ => Err(error(format!("`{kind}:` is not a kind of destination"))),
        }
    }
}

impl Destination {
    /// Whether `text` begins as one of the forms does, so that it is no name of an image.
    pub fn is_form(text: &str) -> bool {
        const KINDS: [&str; 4] = ["oci:", "oci-archive:", "docker-archive:", "docker://"];
        let is_engine = || text.split_once(':').is_some_and(|(kind, _)| Engine::named(kind).is_some());
        KINDS.iter().any(|kind| text.starts_with(kind)) || is_engine()
    }

    /// Checks that images for these platforms fit, whose layers are of these types, before they are made.
    ///
    /// # Errors
    /// When the form holds one image and there are several, or does not foresee such layers.
    pub fn holds<P: AsRef<str>>(&self, platforms: &[P], layers: &[&str]) -> Result<(), Error> {
        match self {
            Self::DockerArchive { file, .. } if layers.contains(&LAYER_ZSTD) => {
                Err(Error::Compression { file: file.clone() })
            }
            Self::DockerArchive { file, .. } if platforms.len() > 1 => Err(Error::OnePlatform {
                file: file.clone(),
                platforms: platforms.iter().map(|platform| platform.as_ref().to_owned()).collect(),
            }),
            // With containerd's store it takes several, with its own it takes what it finds first.
            Self::Engine { engine: Engine::Docker, .. } if platforms.len() > 1 => {
                let platforms = platforms.iter().map(|platform| platform.as_ref().to_owned()).collect();
                Err(super::engine::Error::OnePlatform { platforms }.into())
            }
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut write = |kind: &str, path: &Path, name: Option<String>| {
            write!(f, "{kind}:{}", path.display())?;
            name.map_or(Ok(()), |name| write!(f, ":{name}"))
        };
        match self {
            Self::Store => f.write_str("the store"),
            Self::Registry(reference) => write!(f, "docker://{reference}"),
            Self::Engine { engine, reference } => {
                write!(f, "{}:", engine.kind())?;
                reference.as_ref().map_or(Ok(()), |reference| write!(f, "{reference}"))
            }
            Self::Layout { directory, tag } => write("oci", directory, tag.clone()),
            Self::OciArchive { file, tag } => write("oci-archive", file, tag.clone()),
            Self::DockerArchive { file, reference } => {
                write("docker-archive", file, reference.as_ref().map(ToString::to_string))
            }
        }
    }
}

/// Whether `text` may be the value of `org.opencontainers.image.ref.name`
/// (<https://github.com/opencontainers/image-spec/blob/main/annotations.md>).
fn is_ref_name(text: &str) -> bool {
    let is_component = |part: &str| {
        let ends = |at: Option<char>| at.is_some_and(|c| c.is_ascii_alphanumeric());
        ends(part.chars().next())
            && ends(part.chars().last())
            && part.chars().all(|c| c.is_ascii_alphanumeric() || "-._:@+".contains(c))
    };
    text.split('/').all(is_component)
}

/// The names of an image in a layout or archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Names {
    /// `org.opencontainers.image.ref.name`: unique in a layout.
    pub tag: String,
    /// The reference in full, for containerd; none when the tag cannot be part of one.
    pub full: Option<String>,
    /// The reference as people write it, for `docker load`.
    pub familiar: Option<String>,
}

impl Names {
    /// In the store, where the apps of one user share a layout, the tag is the whole reference.
    pub(super) fn in_store(reference: &Reference) -> Self {
        Self { tag: reference.familiar(), ..Self::loaded_as(reference) }
    }

    /// In a layout or archive of one app. A tag that is a whole reference takes the place of the app's.
    pub(super) fn tagged(reference: &Reference, tag: Option<&str>) -> Self {
        let Some(tag) = tag else { return Self::loaded_as(reference) };
        let reference = if tag.contains([':', '/']) { tag.parse() } else { reference.with_tag(tag) };
        let reference = reference.ok();
        Self {
            tag: tag.to_owned(),
            full: reference.as_ref().map(Reference::full),
            familiar: reference.as_ref().map(Reference::familiar),
        }
    }

    /// In podman's storage, where a name without a host is one of this machine.
    pub(super) fn in_containers_storage(reference: &Reference) -> Self {
        let familiar = reference.familiar();
        let local =
            if reference.states_domain() { reference.full() } else { format!("localhost/{familiar}") };
        Self { tag: local.clone(), full: Some(local.clone()), familiar: Some(local) }
    }

    /// In an archive that is loaded under `reference`.
    pub(super) fn loaded_as(reference: &Reference) -> Self {
        Self {
            tag: reference.tag().unwrap_or("latest").to_owned(),
            full: Some(reference.full()),
            familiar: Some(reference.familiar()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Destination, Names};
    use crate::ui::Diagnose as _;

    #[test]
    fn destinations_are_read_and_written() {
        let layout = Destination::Layout { directory: "out/image".into(), tag: Some("app:v1".to_owned()) };
        assert_eq!("oci:out/image:app:v1".parse::<Destination>().unwrap(), layout);
        let archive = Destination::DockerArchive {
            file: "app.tar".into(),
            reference: Some("host:5000/app:v1".parse().unwrap()),
        };
        assert_eq!("docker-archive:app.tar:host:5000/app:v1".parse::<Destination>().unwrap(), archive);
        for text in [
            "oci:dir",
            "oci:dir:v1",
            "oci-archive:/tmp/a.tar",
            "docker-archive:a.tar:team/app",
            "docker-daemon:",
            "docker-daemon:host:5000/app:v1",
            "containers-storage:app",
        ] {
            assert_eq!(text.parse::<Destination>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_cannot_be_a_destination_is_explained() {
        for (text, reason) in [
            ("out", "there is no `:` in it"),
            ("tar:x", "`tar:` is not a kind of destination"),
            ("oci:", "the directory is missing"),
            (
                "docker-daemon:app:",
                "`app:` is not the name of an image: a tag is at most 128 letters, digits, `_`, `.` or `-`, and \
                 does not begin with `.` or `-`",
            ),
            ("oci-archive::v1", "the file is missing"),
            ("docker-archive:-", "images are not written to standard output"),
            ("oci:dir:", "`` is not a tag of an OCI layout"),
            ("oci:dir:a b", "`a b` is not a tag of an OCI layout"),
            (
                "docker-archive:a.tar:App/Web:x",
                "`App/Web:x` is not the name of an image: each part is lower-case letters and digits, joined \
                 by `.`, `_`, `__` or `-`",
            ),
        ] {
            let error = text.parse::<Destination>().unwrap_err();
            assert_eq!(error.id(), "publish/destination");
            assert_eq!(error.to_string(), format!("`{text}` is not a destination: {reason}"));
        }
    }

    #[test]
    fn names_depend_on_where_the_image_goes() {
        let reference = "team/app:v1".parse().unwrap();
        let names = |tag: &str, full: &str, familiar: &str| Names {
            tag: tag.to_owned(),
            full: Some(full.to_owned()),
            familiar: Some(familiar.to_owned()),
        };
        assert_eq!(Names::in_store(&reference), names("team/app:v1", "docker.io/team/app:v1", "team/app:v1"));
        assert_eq!(Names::tagged(&reference, None), names("v1", "docker.io/team/app:v1", "team/app:v1"));
        assert_eq!(
            Names::tagged(&reference, Some("v2")),
            names("v2", "docker.io/team/app:v2", "team/app:v2")
        );
        assert_eq!(
            Names::tagged(&reference, Some("other:v3")),
            names("other:v3", "docker.io/library/other:v3", "other:v3")
        );
        let stored = |text: &str| Names::in_containers_storage(&text.parse().unwrap()).tag;
        for (text, name) in [
            ("app", "localhost/app:latest"),
            ("team/app:v1", "localhost/team/app:v1"),
            ("docker.io/app", "docker.io/library/app:latest"),
            ("host:5000/app:v1", "host:5000/app:v1"),
        ] {
            assert_eq!(stored(text), name);
        }
        let plus = Names { tag: "1+2".to_owned(), full: None, familiar: None };
        assert_eq!(Names::tagged(&reference, Some("1+2")), plus);
    }
}
