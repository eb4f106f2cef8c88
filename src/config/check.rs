//! The types of values: what a text must look like, and what to say when it does not.

use std::sync::LazyLock;

use ignore::gitignore::GitignoreBuilder;

/// The type of a key's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `true` or `false`.
    Boolean,
    /// A process: a line or a list of arguments.
    Command,
    /// How layers are compressed.
    Compression,
    /// A list of absolute directories.
    Directories,
    /// A list of patterns.
    Globs,
    /// A list of registries.
    Hosts,
    /// An image.
    Image,
    /// The text of a label.
    Label,
    /// A line for a shell.
    Line,
    /// Whose media types an image has.
    MediaTypes,
    /// The URL of a mirror, or a table with it.
    Mirror,
    /// The name of an image's repository.
    Name,
    /// A list of Debian packages.
    Packages,
    /// A file or folder of the source.
    Path,
    /// A list of TCP ports.
    Ports,
    /// Numeric user and group.
    User,
    /// The value of an environment variable.
    Variable,
    /// A version or a range.
    Version,
    /// An identifier.
    Word,
}

impl Kind {
    /// Whether the value is a list.
    pub(super) fn is_list(self) -> bool {
        matches!(self, Self::Directories | Self::Globs | Self::Hosts | Self::Packages | Self::Ports)
    }

    /// The type as the reference and messages name it.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Boolean => "a boolean",
            Self::Command => "text or a list of texts",
            Self::Directories | Self::Globs | Self::Hosts | Self::Packages => "a list of texts",
            Self::Ports => "a list of integers",
            Self::Mirror => "text or a table with `url`",
            Self::Compression
            | Self::Image
            | Self::Label
            | Self::Line
            | Self::MediaTypes
            | Self::Name
            | Self::Path
            | Self::User
            | Self::Variable
            | Self::Version
            | Self::Word => "text",
        }
    }

    /// Checks one text (an element, for lists); the error says what is expected.
    pub(super) fn check(self, text: &str) -> Result<(), String> {
        let (ok, expected) = match self {
            Self::Boolean => (matches!(text, "true" | "false"), "`true` or `false`"),
            Self::Command | Self::Line => (!text.trim().is_empty() && !text.contains('\0'), "a command"),
            Self::Compression => (
                text.parse::<crate::oci::Compression>().is_ok(),
                "`gzip`, `zstd` or `zstd:LEVEL` with a level from 1 to 19",
            ),
            Self::Directories => (
                text.strip_prefix('/').is_some_and(crate::store::tree::is_clean),
                "an absolute directory without `.`, `..` and a slash at the end",
            ),
            Self::Globs => return glob(text),
            Self::Hosts => (is_host(text), "a host, with its port if it has one"),
            Self::Image => {
                return crate::oci::ImageSource::parse(text).map(drop).map_err(|error| error.to_string());
            }
            Self::Label | Self::Variable => (!text.contains('\0'), "text without NUL characters"),
            Self::MediaTypes => (text.parse::<crate::oci::MediaTypes>().is_ok(), "`oci` or `docker`"),
            Self::Mirror => (is_url(text), "a URL that starts with `https://`, `http://` or `file:///`"),
            Self::Name => (
                text.len() <= 255 && text.split('/').all(is_repository_component),
                "lower-case letters and digits, joined by `.`, `_`, `-` and `/`",
            ),
            Self::Packages => (is_package(text), "the name of a Debian package"),
            Self::Path => (
                text == "." || crate::store::tree::is_clean(text),
                "a path below the source without `.`, `..` and a slash at the end",
            ),
            Self::Ports => (text.parse::<u16>().is_ok_and(|port| port > 0), "a port from 1 to 65535"),
            Self::User => (is_user(text), "a numeric user and group such as `65532:65532`"),
            Self::Version => {
                (!text.trim().is_empty() && !text.chars().any(char::is_control), "a version or a range")
            }
            Self::Word => (is_word(text), "lower-case letters, digits and `-`"),
        };
        if ok { Ok(()) } else { Err(expected.to_owned()) }
    }
}

/// Keys with this prefix are defined by the specification alone
/// (<https://github.com/opencontainers/image-spec/blob/main/annotations.md>).
const RESERVED: &str = "org.opencontainers.";

/// Those that it defines.
const PREDEFINED: [&str; 14] = [
    "image.authors",
    "image.base.digest",
    "image.base.name",
    "image.created",
    "image.description",
    "image.documentation",
    "image.licenses",
    "image.ref.name",
    "image.revision",
    "image.source",
    "image.title",
    "image.url",
    "image.vendor",
    "image.version",
];

/// Checks what stands at the part of a name in capitals.
pub(super) fn check_argument(kind: Kind, argument: &str) -> Result<(), &'static str> {
    let (ok, expected) = match kind {
        Kind::Variable => (
            argument.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && argument.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'),
            "the name of a variable: letters, digits and `_`, no digit first",
        ),
        Kind::Label if argument.starts_with(RESERVED) => (
            argument.strip_prefix(RESERVED).is_some_and(|rest| PREDEFINED.contains(&rest)),
            "a key that the image specification defines, as `org.opencontainers.` is reserved for it: \
             `org.opencontainers.image.` and one of `authors`, `base.digest`, `base.name`, `created`, `description`, \
             `documentation`, `licenses`, `ref.name`, `revision`, `source`, `title`, `url`, `vendor`, `version`; or a \
             key of your own such as `com.acme.team`",
        ),
        Kind::Label if argument.starts_with("rpack.") => {
            (false, "a key that does not begin with `rpack.`, such as `com.acme.team`: those are rpack's own")
        }
        _ => (
            !argument.is_empty() && !argument.chars().any(|c| c.is_control() || c.is_whitespace()),
            "a name without white space",
        ),
    };
    if ok { Ok(()) } else { Err(expected) }
}

static STRICT: LazyLock<GitignoreBuilder> = LazyLock::new(|| {
    let mut builder = GitignoreBuilder::new("");
    builder.allow_unclosed_class(false);
    builder
});

fn glob(text: &str) -> Result<(), String> {
    const EXPECTED: &str = "a pattern of `.gitignore`";
    if text.trim().is_empty() || text.contains(['\0', '\n']) {
        return Err(EXPECTED.to_owned());
    }
    match STRICT.clone().add_line(None, text) {
        Ok(_) => Ok(()),
        Err(ignore::Error::Glob { err, .. }) => Err(format!("{EXPECTED}: {err}")),
        Err(_) => Err(EXPECTED.to_owned()),
    }
}

fn is_url(text: &str) -> bool {
    let rest = ["https://", "http://"].iter().find_map(|scheme| text.strip_prefix(scheme));
    let web = rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'));
    (web || text.starts_with("file:///")) && !text.chars().any(|c| c.is_control() || c.is_whitespace())
}

/// <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests>
fn is_repository_component(text: &str) -> bool {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    edge(text.chars().next())
        && edge(text.chars().next_back())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-'))
        && !["..", "___", "._", "_.", ".-", "-.", "_-", "-_"].iter().any(|pair| text.contains(pair))
}

/// <https://www.debian.org/doc/debian-policy/ch-controlfields.html#source>
fn is_package(text: &str) -> bool {
    text.len() >= 2
        && text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '+' | '-' | '.'))
}

fn is_host(text: &str) -> bool {
    format!("{text}/name").parse::<crate::oci::Reference>().is_ok_and(|reference| reference.domain() == text)
}

fn is_user(text: &str) -> bool {
    let number = |text: &str| {
        text.bytes().all(|b| b.is_ascii_digit()) && text.parse::<u32>().is_ok_and(|id| id < u32::MAX)
    };
    text.split_once(':').is_some_and(|(user, group)| number(user) && number(group))
}

fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

#[cfg(test)]
mod tests {
    use super::{Kind, check_argument};

    #[test]
    fn each_type_has_its_form() {
        let good: &[(Kind, &[&str])] = &[
            (Kind::Compression, &["gzip", "zstd", "zstd:19"]),
            (Kind::Directories, &["/app/uploads", "/a"]),
            (Kind::Globs, &["*.md", "/docs/**", "!keep", "a b"]),
            (Kind::Hosts, &["registry.example", "registry.example:5000", "localhost"]),
            (Kind::Image, &["debian:13", "oci:../base:v1", "registry.example/a/b"]),
            (Kind::MediaTypes, &["oci", "docker"]),
            (Kind::Mirror, &["https://mirror.acme.example/npm/", "file:///srv/mirror"]),
            (Kind::Name, &["shop", "shop/check-out", "a__b", "a--b", "v1.2"]),
            (Kind::Packages, &["git", "g++", "libc6", "7zip"]),
            (Kind::Ports, &["1", "65535"]),
            (Kind::User, &["65532:65532", "0:0"]),
            (Kind::Version, &["24", ">=20.9 <25"]),
            (Kind::Word, &["node", "go2"]),
        ];
        let bad: &[(Kind, &[&str])] = &[
            (Kind::Command, &["", " "]),
            (Kind::Compression, &["", "xz", "gzip:9", "zstd:0", "zstd:20"]),
            (Kind::Directories, &["uploads", "/", "/a/../b", "/a/"]),
            (Kind::Globs, &["", "a[b"]),
            (Kind::Hosts, &["", "registry", "https://registry.example", "registry.example/a"]),
            (Kind::Image, &["", "Debian/x y", "oci:", "docker-archive:base.tar"]),
            (Kind::MediaTypes, &["", "OCI", "oci docker"]),
            (Kind::Mirror, &["mirror.acme.example", "https://", "https:///a", "ftp://a", "https://a b"]),
            (Kind::Name, &["", "Shop", "-a", "a/", "a..b", "a___b"]),
            (Kind::Packages, &["", "Git", "a", "--force", "git curl"]),
            (Kind::Ports, &["0", "65536", "-1", "http"]),
            (Kind::User, &["app", "1000", "1000:", "4294967295:0", "+1:1"]),
            (Kind::Version, &["", " "]),
            (Kind::Word, &["", "Node", "a/b"]),
        ];
        for (kind, texts) in good {
            for text in *texts {
                assert_eq!(kind.check(text), Ok(()), "{kind:?} {text:?}");
            }
        }
        for (kind, texts) in bad {
            for text in *texts {
                assert!(kind.check(text).is_err(), "{kind:?} {text:?}");
            }
        }
    }

    #[test]
    fn names_of_variables_are_portable() {
        assert_eq!(check_argument(Kind::Variable, "_A1"), Ok(()));
        for name in ["1A", "A-B", "A.B", "Ä"] {
            assert!(check_argument(Kind::Variable, name).is_err(), "{name}");
        }
        assert_eq!(check_argument(Kind::Label, "org.opencontainers.image.vendor"), Ok(()));
        for key in ["a b", "", "org.opencontainers.image.vender", "org.opencontainers.team", "rpack.base"] {
            assert!(check_argument(Kind::Label, key).is_err(), "{key}");
        }
    }
}
