//! Whose media types the documents of an image have, as people write it: `oci` or `docker`.
//!
//! Docker's are those of its image manifest version 2, schema 2
//! (<https://distribution.github.io/distribution/spec/manifest-v2-2/>), for what reads nothing newer. The bytes of configs
//! and layers are the same; Docker's manifests have no annotations, and no layers with zstd.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::image::{
    CONFIG, DOCKER_CONFIG, DOCKER_INDEX, DOCKER_LAYER, DOCKER_LAYER_GZIP, DOCKER_MANIFEST, INDEX, LAYER,
    LAYER_GZIP, MANIFEST, layer_type,
};

/// A set of media types, which are never mixed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MediaTypes {
    /// Those of the image specification.
    #[default]
    Oci,
    /// Those of Docker.
    Docker,
}

/// The text is neither.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` are no media types: expected `oci` or `docker`")]
pub struct InvalidMediaTypes(String);

impl MediaTypes {
    /// Those that a manifest or index of this type belongs to.
    pub fn of(document: &str) -> Self {
        if matches!(document, DOCKER_MANIFEST | DOCKER_INDEX) { Self::Docker } else { Self::Oci }
    }

    /// Of an index.
    pub fn index(self) -> &'static str {
        if self == Self::Docker { DOCKER_INDEX } else { INDEX }
    }

    /// Of a manifest.
    pub fn manifest(self) -> &'static str {
        if self == Self::Docker { DOCKER_MANIFEST } else { MANIFEST }
    }

    /// Of a config.
    pub fn config(self) -> &'static str {
        if self == Self::Docker { DOCKER_CONFIG } else { CONFIG }
    }

    /// Of a layer that is now of `media_type`; none when these do not foresee such a layer.
    pub fn layer(self, media_type: &str) -> Option<&'static str> {
        match (self, layer_type(media_type)?) {
            (Self::Docker, LAYER) => Some(DOCKER_LAYER),
            (Self::Docker, LAYER_GZIP) => Some(DOCKER_LAYER_GZIP),
            (Self::Docker, _) => None,
            (Self::Oci, found) => Some(found),
        }
    }

    /// Whether manifests and indexes have annotations.
    pub fn has_annotations(self) -> bool {
        self == Self::Oci
    }

    /// Whether they are what images have when nobody asks for anything else.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for MediaTypes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Self::Docker { "docker" } else { "oci" })
    }
}

impl FromStr for MediaTypes {
    type Err = InvalidMediaTypes;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "oci" => Ok(Self::Oci),
            "docker" => Ok(Self::Docker),
            _ => Err(InvalidMediaTypes(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::MediaTypes;
    use crate::oci::image::{DOCKER_LAYER_GZIP, LAYER_GZIP, LAYER_ZSTD};

    #[test]
    fn layers_change_their_type_alone_and_docker_has_none_with_zstd() {
        for text in ["oci", "docker"] {
            assert_eq!(text.parse::<MediaTypes>().unwrap().to_string(), text);
        }
        assert!("Docker".parse::<MediaTypes>().is_err());
        let layer = |types: MediaTypes, text: &str| types.layer(text);
        assert_eq!(layer(MediaTypes::Docker, LAYER_GZIP), Some(DOCKER_LAYER_GZIP));
        assert_eq!(layer(MediaTypes::Oci, DOCKER_LAYER_GZIP), Some(LAYER_GZIP));
        assert_eq!(layer(MediaTypes::Docker, LAYER_ZSTD), None);
        assert_eq!(layer(MediaTypes::Oci, LAYER_ZSTD), Some(LAYER_ZSTD));
    }
}
