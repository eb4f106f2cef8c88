//! Relationships between packages: `Depends: libc6 (>= 2.38), mawk | awk`
//! (<https://www.debian.org/doc/debian-policy/ch-relationships.html>).
//!
//! In: a field of a Packages index. Out: clauses that borrow from it. Unreadable parts are errors, because a
//! dependency that is left out shows only when the program does not start.

use std::cmp::Ordering;
use std::fmt;

use super::version;

/// How a version must compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::rootfs) enum Operator {
    /// `<<`
    Less,
    /// `<=`
    AtMost,
    /// `=`
    Exactly,
    /// `>=`
    AtLeast,
    /// `>>`
    Greater,
}

/// One package with an optional constraint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::rootfs) struct Relation<'a> {
    /// The package's name.
    pub(in crate::rootfs) name: &'a str,
    /// What stands after the name and a colon: `any`, `native`, `amd64`.
    pub(in crate::rootfs) qualifier: Option<&'a str>,
    /// What its version must satisfy.
    pub(in crate::rootfs) version: Option<(Operator, &'a str)>,
}

impl Relation<'_> {
    /// Whether a package of this version satisfies the constraint.
    pub(in crate::rootfs) fn accepts(&self, candidate: &str) -> bool {
        let Some((operator, wanted)) = self.version else { return true };
        let order = version::compare(candidate, wanted);
        match operator {
            Operator::Less => order == Ordering::Less,
            Operator::AtMost => order != Ordering::Greater,
            Operator::Exactly => order == Ordering::Equal,
            Operator::AtLeast => order != Ordering::Less,
            Operator::Greater => order == Ordering::Greater,
        }
    }
}

impl fmt::Display for Relation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)?;
        if let Some(qualifier) = self.qualifier {
            write!(f, ":{qualifier}")?;
        }
        let Some((operator, version)) = self.version else { return Ok(()) };
        let operator = match operator {
            Operator::Less => "<<",
            Operator::AtMost => "<=",
            Operator::Exactly => "=",
            Operator::AtLeast => ">=",
            Operator::Greater => ">>",
        };
        write!(f, " ({operator} {version})")
    }
}

/// Parses a relationship field: clauses that must all hold, each a list of alternatives of which one must.
///
/// # Errors
/// The text of the first part that is not a relation.
pub(in crate::rootfs) fn parse(field: &str) -> Result<Vec<Vec<Relation<'_>>>, &str> {
    field
        .split(',')
        .map(str::trim)
        .filter(|clause| !clause.is_empty())
        .map(|clause| clause.split('|').map(relation).collect())
        .collect()
}

fn relation(text: &str) -> Result<Relation<'_>, &str> {
    let text = text.trim();
    let end = text.find(|c: char| c.is_whitespace() || matches!(c, '(' | '[' | '<')).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let (name, qualifier) = name.split_once(':').map_or((name, None), |(name, rest)| (name, Some(rest)));
    let is_word = |word: &str| {
        !word.is_empty()
            && word.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.' | b'_'))
    };
    if !is_word(name) || !qualifier.is_none_or(is_word) {
        return Err(text);
    }
    let rest = rest.trim();
    if rest.is_empty() {
        return Ok(Relation { name, qualifier, version: None });
    }
    let inner = rest.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')).ok_or(text)?.trim();
    let (operator, version) = [
        ("<<", Operator::Less),
        ("<=", Operator::AtMost),
        (">=", Operator::AtLeast),
        (">>", Operator::Greater),
        ("=", Operator::Exactly),
    ]
    .into_iter()
    .find_map(|(sign, operator)| inner.strip_prefix(sign).map(|version| (operator, version.trim())))
    .ok_or(text)?;
    if version.is_empty() {
        return Err(text);
    }
    Ok(Relation { name, qualifier, version: Some((operator, version)) })
}

#[cfg(test)]
mod tests {
    use super::{Operator, Relation, parse};
    use proptest::prelude::*;

    #[test]
    fn clauses_alternatives_versions_and_qualifiers() {
        let found = parse("libc6 (>= 2.38), mawk | awk:any, python3:any (<< 3.14~),").unwrap();
        let relation = |name, qualifier, version| Relation { name, qualifier, version };
        assert_eq!(
            found,
            [
                vec![relation("libc6", None, Some((Operator::AtLeast, "2.38")))],
                vec![relation("mawk", None, None), relation("awk", Some("any"), None)],
                vec![relation("python3", Some("any"), Some((Operator::Less, "3.14~")))],
            ]
        );
        let shown: Vec<_> = found.iter().flatten().map(ToString::to_string).collect();
        assert_eq!(shown, ["libc6 (>= 2.38)", "mawk", "awk:any", "python3:any (<< 3.14~)"]);
    }

    #[test]
    fn what_is_not_a_relation_is_named() {
        assert_eq!(parse("libc6, x (= )"), Err("x (= )"));
        assert_eq!(parse("a | | b"), Err(""));
        assert_eq!(parse("../etc"), Err("../etc"));
        assert_eq!(parse("a:"), Err("a:"));
    }

    #[test]
    fn operators() {
        let relation = |text| parse(text).unwrap()[0][0].version.is_some_and(|_| true);
        assert!(relation("a (= 1)"));
        for (text, accepted) in [
            ("a (<< 2)", [true, false, false]),
            ("a (<= 2)", [true, true, false]),
            ("a (= 2)", [false, true, false]),
            ("a (>= 2)", [false, true, true]),
            ("a (>> 2)", [false, false, true]),
        ] {
            let relation = parse(text).unwrap()[0][0];
            assert_eq!(["1", "2", "3"].map(|version| relation.accepts(version)), accepted, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,60}") {
            let _ = parse(&text);
        }
    }
}
