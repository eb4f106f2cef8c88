//! How people name an image that is to be read: in a registry, in an OCI layout, in an archive of one.

use std::path::PathBuf;
use std::str::FromStr;

use super::{Digest, Reference};

/// Where an image is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageSource {
    /// `registry.example/org/base:tag@sha256:…`
    Registry(Reference),
    /// `oci:DIR[:TAG]` or `oci:DIR@sha256:…`
    Layout {
        /// The directory.
        directory: PathBuf,
        /// Which of its images.
        pick: Pick,
    },
    /// `oci-archive:FILE[:TAG]` or `oci-archive:FILE@sha256:…`
    Archive {
        /// The file.
        file: PathBuf,
        /// Which of its images.
        pick: Pick,
    },
}

/// Which image of several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pick {
    /// The only one for the platform.
    Only,
    /// The one with this name.
    Tag(String),
    /// The one with this digest.
    Digest(Digest),
}

/// The text names no image.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct InvalidSource(String);

impl ImageSource {
    /// Reads the text.
    ///
    /// # Errors
    /// What is expected instead.
    pub fn parse(text: &str) -> Result<Self, InvalidSource> {
        let invalid = |reason: &str| InvalidSource(reason.to_owned());
        if let Some(rest) = text.strip_prefix("oci:") {
            let (directory, pick) = place(rest)?;
            return Ok(Self::Layout { directory, pick });
        }
        if let Some(rest) = text.strip_prefix("oci-archive:") {
            let (file, pick) = place(rest)?;
            return Ok(Self::Archive { file, pick });
        }
        if ["docker-archive:", "docker:", "docker-daemon:", "containers-storage:", "dir:"]
            .iter()
            .any(|kind| text.starts_with(kind))
        {
            return Err(invalid("a reference, `oci:DIR[:TAG]` or `oci-archive:FILE[:TAG]`"));
        }
        let reference = Reference::from_str(text).map_err(|_| {
            invalid("an image such as `registry.example/org/base:tag`, `oci:DIR[:TAG]` or `oci-archive:FILE[:TAG]`")
        })?;
        Ok(Self::Registry(reference))
    }
}

fn place(text: &str) -> Result<(PathBuf, Pick), InvalidSource> {
    let (path, pick) = match text.split_once("@sha256:") {
        Some((path, hex)) => {
            let digest = Digest::from_hex(hex).map_err(|_| {
                InvalidSource("a digest of `sha256:` and 64 hexadecimal digits after `@`".to_owned())
            })?;
            (path, Pick::Digest(digest))
        }
        // As in the tools that share these forms, the first colon ends the path.
        None => match text.split_once(':') {
            Some((_, "")) => return Err(InvalidSource("a tag after the last `:`".to_owned())),
            Some((path, tag)) => (path, Pick::Tag(tag.to_owned())),
            None => (text, Pick::Only),
        },
    };
    if path.is_empty() || path.contains('\0') {
        return Err(InvalidSource("a path after the first `:`".to_owned()));
    }
    Ok((PathBuf::from(path), pick))
}

#[cfg(test)]
mod tests {
    use super::{ImageSource, Pick};
    use crate::oci::Digest;

    #[test]
    fn places_and_references_are_told_apart() {
        let digest = Digest::of(b"");
        let layout = |pick| ImageSource::Layout { directory: "../base".into(), pick };
        for (text, expected) in [
            ("oci:../base".to_owned(), layout(Pick::Only)),
            ("oci:../base:v1".to_owned(), layout(Pick::Tag("v1".to_owned()))),
            (format!("oci:../base@{digest}"), layout(Pick::Digest(digest))),
            (
                "oci-archive:/srv/base.tar:a:b".to_owned(),
                ImageSource::Archive { file: "/srv/base.tar".into(), pick: Pick::Tag("a:b".to_owned()) },
            ),
            ("oci/base:1".to_owned(), ImageSource::Registry("oci/base:1".parse().unwrap())),
        ] {
            assert_eq!(ImageSource::parse(&text).unwrap(), expected, "{text}");
        }
        for text in ["", "oci:", "oci::v1", "oci:base:", "oci:base@sha256:12", "dir:x", "A B"] {
            assert!(ImageSource::parse(text).is_err(), "{text}");
        }
    }
}
