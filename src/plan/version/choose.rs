//! Which of the admitted releases is taken, and which come near when none is.

use super::requirement::Requirement;
use super::{Line, Offer, Wanted};

/// How many near versions a message shows.
const NEAREST: usize = 5;

/// The result of choosing.
pub(super) enum Choice<'a> {
    /// This one.
    Taken(&'a Offer),
    /// There was none to choose from.
    Nothing,
}

/// The newest of the default line if it is admitted, else the newest of a line with long-term support, else the
/// newest. A minimum stays on its own line while that line is supported.
pub(super) fn choose<'a>(
    wanted: &Wanted<'_>,
    requirement: &Requirement,
    admitted: &[&'a Offer],
) -> Choice<'a> {
    let newest = |line: Option<&[u64]>| {
        let inside = admitted.iter().copied().filter(|offer| line.is_none_or(|line| offer.in_line(line)));
        inside.max_by(|one, other| {
            (one.numbers.as_slice(), !one.prerelease).cmp(&(&other.numbers, !other.prerelease))
        })
    };
    let taken = match requirement {
        Requirement::Newest => newest(None),
        Requirement::AtLeast(least) => own_line(wanted, least).and_then(|line| newest(Some(&line))),
        _ => None,
    };
    let default: Option<Vec<u64>> = wanted.default.split('.').map(|part| part.parse().ok()).collect();
    let taken = taken
        .or_else(|| default.and_then(|line| newest(Some(&line))))
        .or_else(|| {
            let supported = wanted.lines.iter().rev().filter(|line| line.lts);
            supported.map(Line::numbers).find_map(|line| newest(Some(&line)))
        })
        .or_else(|| newest(None));
    taken.map_or(Choice::Nothing, Choice::Taken)
}

/// The line that a minimum names, as long as it gets fixes.
fn own_line(wanted: &Wanted<'_>, least: &[u64]) -> Option<Vec<u64>> {
    let mut lines = wanted.lines.iter().filter(|line| !line.ended(wanted.as_of)).map(Line::numbers);
    lines.find(|line| least.starts_with(line))
}

/// Up to five stable releases near to what was asked, the closest first, and of equally close ones the newest.
pub(super) fn nearest(requirement: &Requirement, offers: &[Offer]) -> Vec<String> {
    let mut stable: Vec<&Offer> = offers.iter().filter(|offer| !offer.prerelease).collect();
    stable.sort_by(|one, other| other.numbers.cmp(&one.numbers));
    if let Some(around) = requirement.around() {
        stable.sort_by_key(|offer| distance(&around, &offer.numbers));
    }
    stable.iter().take(NEAREST).map(|offer| offer.release.version.clone()).collect()
}

/// Differences by position; what the statement leaves open counts nothing.
fn distance(around: &[u64], numbers: &[u64]) -> Vec<u64> {
    around.iter().zip(numbers).map(|(wanted, offered)| wanted.abs_diff(*offered)).collect()
}
