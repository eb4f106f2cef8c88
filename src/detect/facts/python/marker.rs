//! Environment markers: which packages of a lock an image on Linux can need.
//!
//! The patch level of Python is not known when facts are read, so what depends on it stays a marker and is judged by
//! the installer; what is false on every Linux is left out here. The grammar:
//! <https://packaging.python.org/en/latest/specifications/dependency-specifiers/#environment-markers>.

use std::str::FromStr as _;
use std::sync::LazyLock;

use pep508_rs::{ExtraName, MarkerTree, MarkerTreeKind};

/// The longest marker that is read, in bytes, and its deepest nesting: locks are input from others.
const LENGTH: usize = 2_000;
const NESTING: usize = 30;
/// The most alternatives of a marker that is written.
const ALTERNATIVES: usize = 200;

/// What holds in every image.
static IMAGE: LazyLock<MarkerTree> = LazyLock::new(|| {
    MarkerTree::from_str(
        "sys_platform == 'linux' and platform_system == 'Linux' and os_name == 'posix' \
         and implementation_name == 'cpython' and platform_python_implementation == 'CPython' \
         and python_full_version >= '3.9'",
    )
    .expect("a constant marker is valid")
});

/// When a package is needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Marker(MarkerTree);

impl Marker {
    /// Always.
    pub(super) const TRUE: Self = Self(MarkerTree::TRUE);
    /// Never.
    pub(super) const FALSE: Self = Self(MarkerTree::FALSE);

    /// Reads a marker; an empty one always holds. `extras` are those that are asked for: names of others are false.
    pub(super) fn parse(text: &str, extras: &[String]) -> Result<Self, String> {
        if text.trim().is_empty() {
            return Ok(Self::TRUE);
        }
        let mut depth = 0_usize;
        let deepest = text.chars().fold(0, |deepest, c| {
            match c {
                '(' => depth += 1,
                ')' => depth = depth.saturating_sub(1),
                _ => {}
            }
            deepest.max(depth)
        });
        if text.len() > LENGTH || deepest > NESTING {
            return Err("the marker is too long".to_owned());
        }
        let tree = MarkerTree::from_str(text)
            .map_err(|error| error.to_string().lines().next().unwrap_or_default().to_owned())?;
        let asked: Vec<ExtraName> =
            extras.iter().filter_map(|extra| ExtraName::from_str(extra).ok()).collect();
        Ok(Self(tree.simplify_extras(&asked)).on_image(asked.is_empty()))
    }

    /// The marker without what holds in every image, and without extras that nobody asked for.
    fn on_image(self, no_extras: bool) -> Self {
        if no_extras && !self.0.evaluate_extras(&[]) {
            return Self::FALSE;
        }
        let mut never = self.0.negate();
        never.and(IMAGE.clone());
        if never.is_false() { Self::TRUE } else { self }
    }

    /// Whether some image on Linux meets it.
    pub(super) fn is_possible(&self) -> bool {
        !self.0.is_disjoint(&IMAGE)
    }

    /// Both.
    pub(super) fn and(&self, other: &Self) -> Self {
        let mut tree = self.0.clone();
        tree.and(other.0.clone());
        Self(tree)
    }

    /// One of the two.
    pub(super) fn or(&self, other: &Self) -> Self {
        let mut tree = self.0.clone();
        tree.or(other.0.clone());
        Self(tree).on_image(false)
    }

    /// As text: empty when it always holds, nothing when it has too many alternatives to be written.
    pub(super) fn text(&self) -> Option<String> {
        alternatives(&self.0, ALTERNATIVES)?;
        Some(self.0.try_to_string().unwrap_or_default())
    }
}

/// How many ways lead to true, as long as they are not more than `limit`.
fn alternatives(tree: &MarkerTree, limit: usize) -> Option<usize> {
    let children: Vec<MarkerTree> = match tree.kind() {
        MarkerTreeKind::True => return Some(1),
        MarkerTreeKind::False => return Some(0),
        MarkerTreeKind::Version(node) => node.edges().map(|(_, child)| child).collect(),
        MarkerTreeKind::String(node) => node.children().map(|(_, child)| child).collect(),
        MarkerTreeKind::In(node) => node.children().map(|(_, child)| child).collect(),
        MarkerTreeKind::Contains(node) => node.children().map(|(_, child)| child).collect(),
        MarkerTreeKind::Extra(node) => node.children().map(|(_, child)| child).collect(),
    };
    let mut sum = 0;
    for child in children {
        sum += alternatives(&child, limit)?;
        if sum > limit {
            return None;
        }
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use super::Marker;

    fn shown(text: &str) -> String {
        let marker = Marker::parse(text, &["redis".to_owned()]).unwrap();
        if marker.is_possible() { format!("[{}]", marker.text().unwrap()) } else { "never".to_owned() }
    }

    #[test]
    fn what_holds_on_every_linux_vanishes_and_the_rest_stays() {
        for (text, expected) in [
            ("", "[]"),
            ("sys_platform != 'win32'", "[]"),
            ("os_name == 'nt'", "never"),
            ("platform_python_implementation == 'PyPy'", "never"),
            ("python_version < '3.8'", "never"),
            ("python_full_version < '3.11.3'", "[python_full_version < '3.11.3']"),
            ("extra == 'redis'", "[]"),
            ("platform_machine == 'x86_64'", "[platform_machine == 'x86_64']"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
        assert_eq!(Marker::parse("extra == 'other'", &[]).unwrap(), Marker::FALSE);
    }

    #[test]
    fn hostile_markers_are_refused_and_never_written_out() {
        assert_eq!(Marker::parse(&"(".repeat(1_000), &[]).unwrap_err(), "the marker is too long");
        assert!(Marker::parse("no marker", &[]).is_err());
        let clause = |n: usize| format!("('a{n}' in platform_version or 'b{n}' in platform_release)");
        let text = (0..18).map(clause).collect::<Vec<_>>().join(" and ");
        assert_eq!(Marker::parse(&text, &[]).unwrap().text(), None);
    }
}
