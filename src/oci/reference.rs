//! Names of images: `[DOMAIN/]PATH[:TAG][@DIGEST]`, by the grammar of
//! <https://github.com/distribution/reference>.
//!
//! A [`Reference`] keeps both forms: the familiar one that people write (`app:latest`) and the full one that
//! tools store (`docker.io/library/app:latest`).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Digest;

const MAX_PATH: usize = 255;
const DEFAULT_DOMAIN: &str = "docker.io";

/// The name of an image, checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Reference {
    repository: String,
    domain: String,
    path: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// The text is not the name of an image.
#[derive(Debug, thiserror::Error)]
#[error("`{text}` is not the name of an image: {reason}")]
pub struct InvalidReference {
    text: String,
    reason: &'static str,
}

impl Reference {
    /// The repository as it was written: `app`, `registry.example.com/team/app`.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The host, with its port: `docker.io` when none was written.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// Whether a host was written.
    pub fn states_domain(&self) -> bool {
        split_domain(&self.repository).0.is_some()
    }

    /// The repository on its host: `library/app`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The tag that was written.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest that was written; it decides when there is a tag as well.
    pub fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// The same repository under another tag.
    ///
    /// # Errors
    /// When `tag` is not a tag.
    pub fn with_tag(&self, tag: &str) -> Result<Self, InvalidReference> {
        if !is_tag(tag) {
            return Err(invalid(tag, TAG_RULE));
        }
        Ok(Self { tag: Some(tag.to_owned()), digest: None, ..self.clone() })
    }

    /// The same without what it need not say: `docker.io/library/app:1` is `app:1`.
    #[must_use]
    pub fn shortened(&self) -> Self {
        let path = self.path.strip_prefix("library/").unwrap_or(&self.path);
        let is_default = self.domain == DEFAULT_DOMAIN && split_domain(path).0.is_none();
        let repository = if is_default { path.to_owned() } else { format!("{}/{}", self.domain, self.path) };
        Self { repository, ..self.clone() }
    }

    /// As people write it, with the tag `latest` when none was written.
    pub fn familiar(&self) -> String {
        format!("{}:{}", self.repository, self.tag.as_deref().unwrap_or("latest"))
    }

    /// With host and tag: `docker.io/library/app:latest`.
    pub fn full(&self) -> String {
        format!("{}/{}:{}", self.domain, self.path, self.tag.as_deref().unwrap_or("latest"))
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

const TAG_RULE: &str =
    "a tag is at most 128 letters, digits, `_`, `.` or `-`, and does not begin with `.` or `-`";

fn invalid(text: &str, reason: &'static str) -> InvalidReference {
    InvalidReference { text: text.to_owned(), reason }
}

impl TryFrom<String> for Reference {
    type Error = InvalidReference;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Reference> for String {
    fn from(reference: Reference) -> Self {
        reference.to_string()
    }
}

impl FromStr for Reference {
    type Err = InvalidReference;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => {
                let digest =
                    digest.parse().map_err(|_| invalid(text, "its digest is not `sha256:` and 64 digits"))?;
                (rest, Some(digest))
            }
            None => (text, None),
        };
        // A colon before the last slash belongs to a port.
        let (repository, tag) = match rest.rsplit_once(':') {
            Some((repository, tag)) if !tag.contains('/') => (repository, Some(tag)),
            _ => (rest, None),
        };
        if let Some(tag) = tag
            && !is_tag(tag)
        {
            return Err(invalid(text, TAG_RULE));
        }
        let (domain, path) = split_domain(repository);
        if let Some(domain) = domain
            && !is_domain(domain)
        {
            return Err(invalid(text, "what stands before the first `/` is not a host name"));
        }
        if path.len() == 64 && domain.is_none() && Digest::from_hex(path).is_ok() {
            return Err(invalid(text, "64 hexadecimal digits are a digest; write `sha256:` in front"));
        }
        if !path.split('/').all(is_component) {
            return Err(invalid(
                text,
                "each part is lower-case letters and digits, joined by `.`, `_`, `__` or `-`",
            ));
        }
        let domain = match domain {
            None | Some("index.docker.io") => DEFAULT_DOMAIN,
            Some(domain) => domain,
        };
        let path = match path {
            path if domain == DEFAULT_DOMAIN && !path.contains('/') => format!("library/{path}"),
            path => path.to_owned(),
        };
        if path.len() > MAX_PATH {
            return Err(invalid(text, "a repository has at most 255 characters"));
        }
        Ok(Self {
            repository: repository.to_owned(),
            domain: domain.to_owned(),
            path,
            tag: tag.map(str::to_owned),
            digest,
        })
    }
}

/// The first component is a host only if nothing else can be meant.
fn split_domain(repository: &str) -> (Option<&str>, &str) {
    match repository.split_once('/') {
        Some((first, rest))
            if first == "localhost"
                || first.contains(['.', ':', '['])
                || first.bytes().any(|b| b.is_ascii_uppercase()) =>
        {
            (Some(first), rest)
        }
        _ => (None, repository),
    }
}

fn is_tag(tag: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    tag.len() <= 128
        && tag.bytes().next().is_some_and(word)
        && tag.bytes().all(|b| word(b) || matches!(b, b'.' | b'-'))
}

fn is_domain(domain: &str) -> bool {
    let (host, port) = match domain.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            // The grammar has no IPv4 inside IPv6, and no zones.
            Some((host, port)) if !host.contains('.') && host.parse::<std::net::Ipv6Addr>().is_ok() => {
                (None, port)
            }
            _ => return false,
        },
        None => match domain.find(':') {
            Some(at) => (Some(&domain[..at]), &domain[at..]),
            None => (Some(domain), ""),
        },
    };
    let is_label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    host.is_none_or(|host| host.split('.').all(is_label))
        && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port))
}

/// Runs of lower-case letters and digits, joined by `.`, `_`, `__` or any number of `-`.
fn is_component(component: &str) -> bool {
    let is_word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = component.as_bytes();
    let ends = bytes.first().copied().is_some_and(is_word) && bytes.last().copied().is_some_and(is_word);
    ends && bytes.split(|b| is_word(*b)).all(|separator| {
        matches!(separator, b"" | b"." | b"_" | b"__") || separator.iter().all(|b| *b == b'-')
    })
}

#[cfg(test)]
mod tests {
    use super::Reference;

    fn full(text: &str) -> String {
        text.parse::<Reference>().unwrap_or_else(|error| panic!("{error}")).full()
    }

    #[test]
    fn names_get_their_host_and_tag() {
        for (text, expected) in [
            ("app", "docker.io/library/app:latest"),
            ("app:v1", "docker.io/library/app:v1"),
            ("team/app", "docker.io/team/app:latest"),
            ("index.docker.io/app", "docker.io/library/app:latest"),
            ("docker.io/library/a/b", "docker.io/library/a/b:latest"),
            ("test.example:5000", "docker.io/library/test.example:5000"),
            ("test:5000/repo", "test:5000/repo:latest"),
            ("192.168.1.1:5000/repo:5050", "192.168.1.1:5000/repo:5050"),
            ("[2001:db8::1]:5000/repo:tag", "[2001:db8::1]:5000/repo:tag"),
            ("localhost/app", "localhost/app:latest"),
            ("Foo/bar", "Foo/bar:latest"),
            ("test_example/foo", "docker.io/test_example/foo:latest"),
            ("dock__er/docker---rules:A.b-c_D", "docker.io/dock__er/docker---rules:A.b-c_D"),
            ("foo/foo_bar.example:8080", "docker.io/foo/foo_bar.example:8080"),
            ("lowercase:Uppercase", "docker.io/library/lowercase:Uppercase"),
            ("xn--n3h.example/image:xn--n3h.example", "xn--n3h.example/image:xn--n3h.example"),
            ("docker.io/library/app", "docker.io/library/app:latest"),
            ("[fc00::1]:5000/repo:tag", "[fc00::1]:5000/repo:tag"),
            ("d/docker", "docker.io/d/docker:latest"),
            ("registry.example:443/a/b", "registry.example:443/a/b:latest"),
        ] {
            assert_eq!(full(text), expected, "{text}");
        }
        let longest = "a".repeat(255);
        assert_eq!(
            full(&format!("registry.example/{longest}")),
            format!("registry.example/{longest}:latest")
        );
        assert_eq!(
            full(&("a/".repeat(127) + "a:tag")),
            "docker.io/".to_owned() + &"a/".repeat(127) + "a:tag"
        );
    }

    #[test]
    fn the_written_form_is_kept() {
        let digest = format!("sha256:{}", "f".repeat(64));
        let text = format!("test:5000/team/app:v1@{digest}");
        let reference: Reference = text.parse().unwrap();
        assert_eq!(reference.to_string(), text);
        assert_eq!(reference.repository(), "test:5000/team/app");
        assert_eq!(reference.tag(), Some("v1"));
        assert_eq!(reference.digest().map(|digest| digest.to_string()), Some(digest));
        assert_eq!(reference.familiar(), "test:5000/team/app:v1");
        assert_eq!(reference.with_tag("v2").unwrap().full(), "test:5000/team/app:v2");
        assert!(reference.states_domain() && !"team/app".parse::<Reference>().unwrap().states_domain());
    }

    #[test]
    fn refuses_what_the_grammar_refuses() {
        let hex = "f".repeat(64);
        let long = format!("domain/{}", "a".repeat(256));
        for text in [
            "",
            ":justtag",
            &format!("@sha256:{hex}"),
            "https://example.org/docker",
            "docker/Docker",
            "Uppercase:tag",
            "test:5000/Uppercase/x:tag",
            &hex,
            &long,
            "repo@sha256:ffff",
            "name@invalid:ffff",
            "aa/asdf$$^/aa",
            "docker///docker",
            "-docker/docker",
            "docker-/docker",
            "dock..er/x",
            "dock_.er/x",
            "____/____",
            "docker/",
            "[fe80::1%eth0]:5000/repo",
            "fc00::1:5000/debian",
            "[2001:db8::1]",
            "[fc00::1]:5000",
            "[2001:db8:3:4::192.0.2.33]:5000/debian",
            &format!("repo@sha256:{}", "f".repeat(34)),
            &format!("repo@md5:{hex}"),
            &format!("repo@sha256:{}", "F".repeat(64)),
            "dock_.er/x",
            "_docker/docker",
            "docker/docker_",
            "app:",
            "app:-x",
            "a/../b",
        ] {
            assert!(text.parse::<Reference>().is_err(), "{text}");
        }
    }
}
