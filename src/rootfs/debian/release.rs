//! Release files: what a suite is, when it was made, and the digests of its indexes
//! (<https://wiki.debian.org/DebianRepository/Format#A.22Release.22_files>).
//!
//! In: the signed text of an InRelease file (never the text around it). Out: a [`Release`].

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;

use crate::oci::Digest;

/// Debian's clocks and ours may differ by this many seconds.
const SKEW: i64 = 24 * 60 * 60;

/// A suite's own statement about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::rootfs) struct Release {
    /// `stable`.
    pub(in crate::rootfs) suite: String,
    /// `trixie`.
    pub(in crate::rootfs) codename: String,
    /// When it was made, in seconds since 1970.
    pub(in crate::rootfs) date: i64,
    /// After this it must not be trusted, in seconds since 1970.
    pub(in crate::rootfs) valid_until: Option<i64>,
    /// Whether indexes can be fetched under the name of their digest.
    pub(in crate::rootfs) by_hash: bool,
    /// Digest and size of each index, by path.
    pub(in crate::rootfs) files: BTreeMap<String, (Digest, u64)>,
}

/// Why a release cannot be used now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::rootfs) enum Refusal {
    /// Its time is over: when, in seconds since 1970.
    Expired(i64),
    /// It was made in the future: when, in seconds since 1970.
    Early(i64),
    /// It is for another suite: its codename.
    Other(String),
}

impl Release {
    /// Reads the text.
    ///
    /// # Errors
    /// A sentence about the field that is missing or unreadable.
    pub(in crate::rootfs) fn parse(text: &str) -> Result<Self, String> {
        let mut fields: BTreeMap<String, &str> = BTreeMap::new();
        let mut files = BTreeMap::new();
        let mut section = String::new();
        for line in text.lines().map(|line| line.trim_end_matches('\r')) {
            if line.starts_with([' ', '\t']) {
                if section == "sha256" {
                    let (path, file) = file(line)
                        .ok_or_else(|| format!("`{}` is not a digest, a size and a path", line.trim()))?;
                    files.insert(path, file);
                }
            } else if let Some((name, value)) = line.split_once(':') {
                section = name.to_ascii_lowercase();
                if fields.insert(section.clone(), value.trim()).is_some() && section != "acquire-by-hash" {
                    return Err(format!("it has two fields {name}"));
                }
            } else if !line.trim().is_empty() {
                return Err(format!("`{line}` is not a field"));
            }
        }
        let get = |name: &str| fields.get(name).copied().filter(|value| !value.is_empty());
        let date = get("date").ok_or("it has no Date")?;
        Ok(Self {
            suite: get("suite").unwrap_or_default().to_owned(),
            codename: get("codename").ok_or("it has no Codename")?.to_owned(),
            date: seconds(date)?,
            valid_until: get("valid-until").map(seconds).transpose()?,
            by_hash: get("acquire-by-hash").is_some_and(|value| value.eq_ignore_ascii_case("yes")),
            files,
        })
    }

    /// Checks that this is the release of `suite` and may be used at `now` (seconds since 1970).
    ///
    /// # Errors
    /// The first reason against it.
    pub(in crate::rootfs) fn check(&self, suite: &str, now: i64) -> Result<(), Refusal> {
        if self.codename != suite && self.suite != suite {
            return Err(Refusal::Other(self.codename.clone()));
        }
        match self.valid_until {
            Some(end) if now > end => Err(Refusal::Expired(end)),
            _ if self.date > now.saturating_add(SKEW) => Err(Refusal::Early(self.date)),
            _ => Ok(()),
        }
    }
}

fn file(line: &str) -> Option<(String, (Digest, u64))> {
    let mut parts = line.split_whitespace();
    let digest = Digest::from_hex(parts.next()?).ok()?;
    let size = parts.next()?.parse().ok()?;
    let path = parts.next()?;
    parts.next().is_none().then(|| (path.to_owned(), (digest, size)))
}

fn seconds(text: &str) -> Result<i64, String> {
    // Debian writes `UTC`, which RFC 2822 does not know.
    let normal = text.strip_suffix("UTC").map_or_else(|| text.to_owned(), |rest| format!("{rest}GMT"));
    let parser = DateTimeParser::new();
    parser.parse_timestamp(&normal).map(Timestamp::as_second).map_err(|_| format!("`{text}` is not a date"))
}

#[cfg(test)]
mod tests {
    use super::{Refusal, Release};
    use crate::oci::Digest;
    use proptest::prelude::*;

    const DATE: i64 = 1_795_054_374;

    fn text() -> String {
        let digest = Digest::of(b"").hex();
        format!(
            "Origin: Debian\nSuite: stable-updates\nCodename: trixie-updates\nDate: Thu, 19 Nov 2026 02:12:54 UTC\n\
             Valid-Until: Thu, 26 Nov 2026 02:12:54 UTC\nAcquire-By-Hash: yes\nMD5Sum:\n \
             d41d8cd98f00b204e9800998ecf8427e 0 main/binary-amd64/Packages\nSHA256:\n {digest}  12 \
             main/binary-amd64/Packages.xz\n"
        )
    }

    #[test]
    fn reads_what_a_suite_says() {
        let release = Release::parse(&text()).unwrap();
        assert_eq!(
            release,
            Release {
                suite: "stable-updates".to_owned(),
                codename: "trixie-updates".to_owned(),
                date: DATE,
                valid_until: Some(DATE + 7 * 86400),
                by_hash: true,
                files: [("main/binary-amd64/Packages.xz".to_owned(), (Digest::of(b""), 12))].into(),
            }
        );
    }

    #[test]
    fn time_and_name_decide_whether_it_is_used() {
        let release = Release::parse(&text()).unwrap();
        assert_eq!(release.check("trixie-updates", DATE + 60), Ok(()));
        assert_eq!(release.check("stable-updates", DATE - 3600), Ok(()));
        assert_eq!(
            release.check("trixie-updates", DATE + 8 * 86400),
            Err(Refusal::Expired(DATE + 7 * 86400))
        );
        assert_eq!(release.check("trixie-updates", DATE - 2 * 86400), Err(Refusal::Early(DATE)));
        assert_eq!(release.check("trixie", DATE), Err(Refusal::Other("trixie-updates".to_owned())));
    }

    #[test]
    fn says_which_part_is_wrong() {
        let without = |part: &str| Release::parse(&text().replace(part, "")).unwrap_err();
        assert_eq!(without("Codename: trixie-updates\n"), "it has no Codename");
        assert_eq!(without("Date: Thu, 19 Nov 2026 02:12:54 UTC\n"), "it has no Date");
        let broken = text().replace("Thu, 26 Nov", "Someday");
        assert_eq!(Release::parse(&broken).unwrap_err(), "`Someday 2026 02:12:54 UTC` is not a date");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,200}") {
            let _ = Release::parse(&text);
        }
    }
}
