//! What registries state about bytes: subresource integrity (<https://www.w3.org/TR/SRI/>) and Go's digest of a
//! module's content (<https://go.dev/ref/mod#go-sum-files>).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use crate::http::{Algorithm, Expected};

/// Weakest first.
const ALGORITHMS: [Algorithm; 3] = [Algorithm::Sha1, Algorithm::Sha256, Algorithm::Sha512];

/// A parsed integrity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::rootfs) enum Integrity {
    /// Of the file.
    File(Algorithm, Vec<u8>),
    /// Of the names and contents in a zip file.
    H1(String),
}

impl Integrity {
    /// Reads the text of a plan. Of several digests the strongest counts; unknown algorithms are passed over.
    pub(in crate::rootfs) fn parse(text: &str) -> Result<Self, String> {
        if let Some(digest) = text.strip_prefix("h1:") {
            let is_digest = STANDARD.decode(digest).is_ok_and(|digest| digest.len() == 32);
            let wrong = || format!("its integrity `{text}` is no digest");
            return is_digest.then(|| Self::H1(text.to_owned())).ok_or_else(wrong);
        }
        let digests = text.split_whitespace().filter_map(|part| {
            let (name, digest) = part.split_once('-')?;
            let algorithm = ALGORITHMS.into_iter().find(|known| known.name() == name)?;
            let digest = STANDARD.decode(digest.split('?').next().unwrap_or_default()).ok()?;
            (digest.len() == algorithm.length()).then_some((algorithm, digest))
        });
        digests
            .max_by_key(|(algorithm, _)| algorithm.length())
            .map(|(algorithm, digest)| Self::File(algorithm, digest))
            .ok_or_else(|| format!("its integrity `{text}` holds no sha512, sha256 or sha1 digest"))
    }

    /// From hexadecimal digits; the first word counts, because some registries write the file's name after them.
    pub(super) fn from_hex(algorithm: Algorithm, text: &str) -> Option<Self> {
        let digits =
            text.split_whitespace().next().filter(|digits| digits.len() == algorithm.length() * 2)?;
        let byte = |start: usize| u8::from_str_radix(digits.get(start..start + 2)?, 16).ok();
        let digest: Option<Vec<u8>> = (0..digits.len()).step_by(2).map(byte).collect();
        Some(Self::File(algorithm, digest?))
    }

    /// As in a plan.
    pub(super) fn text(&self) -> String {
        match self {
            Self::File(algorithm, digest) => format!("{}-{}", algorithm.name(), STANDARD.encode(digest)),
            Self::H1(text) => text.clone(),
        }
    }

    /// What the transfer can check; `limit` bytes at most.
    pub(in crate::rootfs) fn expected(&self, limit: u64) -> Expected {
        match self {
            Self::File(algorithm, digest) => {
                Expected::Digest { algorithm: *algorithm, digest: digest.clone(), limit }
            }
            Self::H1(_) => Expected::Any { limit },
        }
    }
}

/// Go's digest over the files of a module, each with its name in the zip file.
pub(in crate::rootfs) fn h1(mut files: Vec<(String, crate::oci::Digest)>) -> String {
    files.sort();
    let mut hasher = Sha256::new();
    for (name, digest) in files {
        hasher.update(format!("{}  {name}\n", digest.hex()));
    }
    format!("h1:{}", STANDARD.encode(hasher.finalize()))
}

#[cfg(test)]
mod tests {
    use super::{Integrity, h1};
    use crate::http::Algorithm;

    #[test]
    fn the_strongest_digest_of_a_text_counts() {
        let zeros = |count: usize| base64::Engine::encode(&super::STANDARD, vec![0; count]);
        let text = format!("sha1-{} md5-x sha512-{}?x sha256-{}", zeros(20), zeros(64), zeros(32));
        assert_eq!(Integrity::parse(&text), Ok(Integrity::File(Algorithm::Sha512, vec![0; 64])));
        let text = format!("sha256-{}", zeros(32));
        assert_eq!(Integrity::parse(&text).map(|integrity| integrity.text()), Ok(text));
        assert_eq!(
            Integrity::parse("sha512-AAAA").unwrap_err(),
            "its integrity `sha512-AAAA` holds no sha512, sha256 or sha1 digest"
        );
        assert_eq!(Integrity::parse("h1:AAAA").unwrap_err(), "its integrity `h1:AAAA` is no digest");
    }

    /// The example of <https://pkg.go.dev/golang.org/x/mod/sumdb/dirhash> worked out with `sha256sum`.
    #[test]
    fn a_module_is_hashed_as_the_go_command_does() {
        let digest = |text: &str| crate::oci::Digest::of(text.as_bytes());
        let files = vec![("b/c".to_owned(), digest("data for c")), ("a".to_owned(), digest("data for a"))];
        assert_eq!(h1(files), "h1:lXaBLacPFYZA8m77tIxOJomkozulnUF7KVoJzOB1OXk=");
    }
}
