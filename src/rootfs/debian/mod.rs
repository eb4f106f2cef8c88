//! Debian archives: from a signed InRelease file to unpacked packages.
//!
//! ```text
//! suites    fetch and cache InRelease and Packages      release, openpgp, index   read and trust them
//! universe  what all suites offer (version, relation)   select   names to exact packages
//! deb       a package to a tree
//! ```
//!
//! Invariant: nothing is used whose digest does not lead, step by step, to a signature by a key of the base.

pub(super) mod deb;
pub(super) mod index;
pub(super) mod openpgp;
pub(super) mod relation;
pub(super) mod release;
mod select;
mod signed;
mod suites;
mod universe;
pub(super) mod version;

use jiff::Timestamp;

pub(super) use index::{Index, Record, compact};
pub(super) use relation::parse as relations;
pub(super) use select::Refusal;
pub(super) use suites::{Archive, has_newer, load, prepare, tampered};
pub(super) use universe::{Choice, Suite, Universe};

use crate::ui::{Diagnose, ExitCode};

/// What is wrong with a Debian archive or with what is asked of it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The metadata is not signed.
    #[error("{url} is not signed: {reason}")]
    Unsigned {
        /// The InRelease file.
        url: String,
        /// What is missing.
        reason: String,
    },
    /// No signature counts.
    #[error("{url} has no valid signature by a key of base `{base}`")]
    Signature {
        /// The InRelease file.
        url: String,
        /// Which base names the keys.
        base: String,
        /// What is wrong with each signature.
        reasons: Vec<String>,
    },
    /// The metadata is too old.
    #[error("{url} expired at {}; it is now {}", time(*until), time(*now))]
    Expired {
        /// The InRelease file.
        url: String,
        /// Its end, in seconds since 1970.
        until: i64,
        /// The clock, in seconds since 1970.
        now: i64,
    },
    /// The metadata is from the future.
    #[error("{url} was made at {}; it is now {}", time(*date), time(*now))]
    Early {
        /// The InRelease file.
        url: String,
        /// Its date, in seconds since 1970.
        date: i64,
        /// The clock, in seconds since 1970.
        now: i64,
    },
    /// The metadata cannot be read.
    #[error("{url} cannot be read: {reason}")]
    Malformed {
        /// The file.
        url: String,
        /// What is wrong.
        reason: String,
    },
    /// A file has another digest or size than the signed one.
    #[error("{what} from {url} is not the file that Debian signed: it has {found}, expected {expected}")]
    Tampered {
        /// `package libc6 2.41-12`, or which index.
        what: String,
        /// Where it was fetched.
        url: String,
        /// As signed.
        expected: String,
        /// As received.
        found: String,
    },
    /// The archive has dropped a package.
    #[error("package `{package}` is no longer at {url}: {}", if *newer {
        "the archive has changed since its index was read"
    } else {
        "the plan is older than the archive, or the mirror is incomplete"
    })]
    Vanished {
        /// Name and version.
        package: String,
        /// Where it was.
        url: String,
        /// Whether the archive has a newer index, which is kept now.
        newer: bool,
    },
    /// There is no package of this name.
    #[error("base `{base}` has no package `{name}`{}", needed(chain))]
    Unknown {
        /// The base.
        base: String,
        /// The name.
        name: String,
        /// Who needs it and who needs that, from what was asked for; empty if it was itself asked for.
        chain: Vec<String>,
        /// Existing names that look like it.
        similar: Vec<String>,
    },
    /// No version fits.
    #[error("base `{base}` has nothing that satisfies `{relation}`{}; it has {}", needed(chain),
        if available.is_empty() { "none of them".to_owned() } else { available.join(", ") })]
    Unsatisfied {
        /// The base.
        base: String,
        /// What is needed.
        relation: String,
        /// Who needs it and who needs that, from what was asked for.
        chain: Vec<String>,
        /// What there is.
        available: Vec<String>,
    },
    /// Two packages exclude each other.
    #[error("packages `{}` and `{}` cannot be in one root: the first {} `{relation}`", last(one), last(other),
        if *breaks { "breaks" } else { "conflicts with" })]
    Conflict {
        /// Name and version, after those because of which it was chosen.
        one: Vec<String>,
        /// Name and version, after those because of which it was chosen.
        other: Vec<String>,
        /// The relation that excludes the other.
        relation: String,
        /// Whether it stands in Breaks, not in Conflicts.
        breaks: bool,
    },
    /// A package cannot be unpacked.
    #[error("package `{package}` cannot be unpacked: {reason}")]
    Deb {
        /// Name and version.
        package: String,
        /// What is wrong.
        reason: String,
    },
}

fn time(seconds: i64) -> String {
    Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |time| time.to_string())
}

fn needed(chain: &[String]) -> String {
    chain.last().map(|by| format!(", which `{by}` needs")).unwrap_or_default()
}

fn last(chain: &[String]) -> &str {
    chain.last().map_or("", String::as_str)
}

/// Who needs whom, from what was asked for; nothing when it was asked for itself.
fn because(chain: &[String]) -> Option<String> {
    (chain.len() > 1).then(|| chain.join("\n  needs "))
}

impl Diagnose for Error {
    fn id(&self) -> &'static str {
        match self {
            Self::Unsigned { .. } => "debian/unsigned",
            Self::Signature { .. } => "debian/signature",
            Self::Expired { .. } => "debian/expired",
            Self::Early { .. } => "debian/clock",
            Self::Malformed { .. } => "debian/malformed",
            Self::Tampered { .. } => "debian/tampered",
            Self::Vanished { .. } => "debian/vanished",
            Self::Unknown { .. } => "debian/unknown-package",
            Self::Unsatisfied { .. } => "debian/unsatisfied",
            Self::Conflict { .. } => "debian/conflict",
            Self::Deb { .. } => "debian/package",
        }
    }

    fn exit(&self) -> ExitCode {
        match self {
            Self::Vanished { newer: true, .. } => ExitCode::Retry,
            Self::Vanished { .. } => ExitCode::Network,
            Self::Unknown { chain, .. } if chain.is_empty() => ExitCode::Usage,
            Self::Conflict { .. } => ExitCode::Usage,
            _ => ExitCode::Failed,
        }
    }

    fn detail(&self) -> Option<String> {
        match self {
            Self::Signature { reasons, .. } => Some(reasons.join("\n")),
            Self::Unknown { chain, .. } | Self::Unsatisfied { chain, .. } => because(chain),
            Self::Conflict { one, other, .. } => {
                let chains: Vec<_> = [one, other].into_iter().filter_map(|chain| because(chain)).collect();
                (!chains.is_empty()).then(|| chains.join("\n"))
            }
            _ => None,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Unsigned { .. } | Self::Signature { .. } | Self::Tampered { .. } => vec![
                "a mirror or proxy changed the file, or it is not Debian's archive: `rpack doctor` shows where its \
                 address was found"
                    .to_owned(),
                "use another mirror:\n\n    [mirror.debian]\n    url = \"https://mirror.example/debian\"".to_owned(),
            ],
            Self::Expired { .. } => vec![
                "if the clock of this machine is right, the mirror is no longer updated: use another one\n\n    \
                 [mirror.debian]\n    url = \"https://mirror.example/debian\""
                    .to_owned(),
            ],
            Self::Vanished { newer: true, .. } => vec!["run the same command again: the new index is here".to_owned()],
            Self::Vanished { .. } => vec![
                "make the plan again: `rpack plan --json`".to_owned(),
                "use another mirror:\n\n    [mirror.debian]\n    url = \"https://mirror.example/debian\"".to_owned(),
            ],
            Self::Early { .. } => vec!["set the clock of this machine: `date --utc` shows it".to_owned()],
            Self::Unknown { similar, .. } if !similar.is_empty() => {
                let names: Vec<_> = similar.iter().map(|name| format!("`{name}`")).collect();
                vec![format!("names that look like it: {}", names.join(", "))]
            }
            Self::Conflict { one, other, .. } => {
                let asked = |chain: &[String]| chain.first().cloned().unwrap_or_default();
                let (one, other) = (asked(one), asked(other));
                let name = |package: &str| package.split(' ').next().unwrap_or_default().to_owned();
                vec![format!(
                    "ask for only one of `{}` and `{}` in `build.packages` or `runtime.packages`",
                    name(&one),
                    name(&other)
                )]
            }
            _ => Vec::new(),
        }
    }
}
