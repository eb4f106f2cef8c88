//! How layers are compressed, as people write it: `gzip`, `zstd` or `zstd:LEVEL`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::image::{LAYER_GZIP, LAYER_ZSTD};

/// The level of zstd when none is given: smaller and faster than gzip.
const ZSTD_LEVEL: u8 = 3;

/// Levels above need memory that a reader may not have.
const ZSTD_HIGHEST: u8 = 19;

/// How layers are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Compression {
    /// What every reader knows.
    #[default]
    Gzip,
    /// Smaller and faster, for readers of OCI images of version 1.1.
    Zstd {
        /// From 1 to 19.
        level: u8,
    },
}

/// The text is not a compression.
#[derive(Debug, thiserror::Error)]
#[error(
    "`{0}` is not a compression: expected `gzip`, `zstd` or `zstd:LEVEL` with a level from 1 to {ZSTD_HIGHEST}"
)]
pub struct InvalidCompression(String);

impl Compression {
    /// What a manifest calls such a layer.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Gzip => LAYER_GZIP,
            Self::Zstd { .. } => LAYER_ZSTD,
        }
    }

    /// Whether it is what images have when nobody asks for anything else.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gzip => f.write_str("gzip"),
            Self::Zstd { level } => write!(f, "zstd:{level}"),
        }
    }
}

impl FromStr for Compression {
    type Err = InvalidCompression;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let level = match (text, text.strip_prefix("zstd:")) {
            ("gzip", _) => return Ok(Self::Gzip),
            ("zstd", _) => Some(ZSTD_LEVEL),
            // Digits alone: one value has one form.
            (_, Some(digits)) if !digits.starts_with(['+', '0']) => digits.parse().ok(),
            _ => None,
        };
        level
            .filter(|level| (1..=ZSTD_HIGHEST).contains(level))
            .map(|level| Self::Zstd { level })
            .ok_or_else(|| InvalidCompression(text.to_owned()))
    }
}

impl TryFrom<String> for Compression {
    type Error = InvalidCompression;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Compression> for String {
    fn from(compression: Compression) -> Self {
        compression.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::Compression;

    #[test]
    fn each_form_is_read_and_written() {
        for (text, written) in
            [("gzip", "gzip"), ("zstd", "zstd:3"), ("zstd:1", "zstd:1"), ("zstd:19", "zstd:19")]
        {
            assert_eq!(text.parse::<Compression>().unwrap().to_string(), written);
        }
        for text in ["", "gz", "gzip:6", "zstd:", "zstd:0", "zstd:20", "zstd:+3", "zstd:03", "zstd:x", "ZSTD"]
        {
            assert!(text.parse::<Compression>().is_err(), "{text}");
        }
    }
}
