//! Which entry of an index runs on a platform
//! (<https://github.com/opencontainers/image-spec/blob/main/image-index.md#image-index-property-descriptions>).
//!
//! A wanted platform without a variant takes any, the plainest first; `arm64` means `arm64/v8`, `arm` means
//! `arm/v7`, `amd64` means `amd64/v1`, and a later `arm` runs what was made for an earlier one. Entries that are not
//! images (`unknown/unknown`: attestations) are passed over.

use crate::oci::image::{DOCKER_INDEX, DOCKER_MANIFEST, Descriptor, INDEX, MANIFEST, Platform};

/// How well a platform fits: lower is better.
fn distance(wanted: &Platform, found: &Platform) -> Option<u8> {
    if wanted.os != found.os || wanted.architecture != found.architecture {
        return None;
    }
    let found = level(found);
    let is_stated = wanted.variant.is_some();
    let wanted = level(wanted);
    match found.cmp(&wanted) {
        std::cmp::Ordering::Equal => Some(0),
        // What was made for less runs as well.
        std::cmp::Ordering::Less => Some(wanted - found),
        std::cmp::Ordering::Greater => (!is_stated).then(|| 10 + found - wanted),
    }
}

/// The variant as a number; what no variant means depends on the architecture.
fn level(platform: &Platform) -> u8 {
    let implied = match platform.architecture.as_str() {
        "arm64" => 8,
        "arm" => 7,
        _ => 1,
    };
    let variant = platform.variant.as_deref().filter(|variant| !variant.is_empty());
    variant.and_then(|variant| variant.trim_start_matches('v').parse().ok()).unwrap_or(implied)
}

/// Whether an image that says `found` runs where `wanted` is.
pub(super) fn fits(wanted: &Platform, found: &Platform) -> bool {
    distance(wanted, found).is_some()
}

/// Whether an entry says that it is for `wanted`.
pub(super) fn is_exact(entry: &Descriptor, wanted: &Platform) -> bool {
    entry.platform.as_ref().is_some_and(|platform| fits(wanted, platform))
}

/// The best entry for `wanted`: the first of equal ones; an only image that names no platform is taken for it.
pub(super) fn choose<'a>(entries: &'a [Descriptor], wanted: &Platform) -> Option<&'a Descriptor> {
    let images: Vec<&Descriptor> = entries.iter().filter(|entry| is_image(entry)).collect();
    let stated =
        images.iter().filter_map(|entry| Some((distance(wanted, entry.platform.as_ref()?)?, *entry)));
    let best = stated.min_by_key(|(distance, _)| *distance).map(|(_, entry)| entry);
    best.or(match images[..] {
        [entry] if entry.platform.is_none() => Some(entry),
        _ => None,
    })
}

fn is_image(entry: &Descriptor) -> bool {
    let is_known = [INDEX, MANIFEST, DOCKER_INDEX, DOCKER_MANIFEST].contains(&entry.media_type.as_str());
    let is_unknown = |platform: &Platform| platform.os == "unknown" || platform.architecture == "unknown";
    is_known && !entry.platform.as_ref().is_some_and(is_unknown)
}

/// `linux/arm/v7`.
pub(super) fn shown(platform: &Platform) -> String {
    let variant = platform.variant.as_ref().map(|variant| format!("/{variant}")).unwrap_or_default();
    format!("{}/{}{variant}", platform.os, platform.architecture)
}

/// The platforms of an index, for messages.
pub(super) fn offered(entries: &[Descriptor]) -> Vec<String> {
    entries
        .iter()
        .filter(|entry| is_image(entry))
        .filter_map(|entry| Some(shown(entry.platform.as_ref()?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{choose, shown};
    use crate::oci::Digest;
    use crate::oci::image::{Descriptor, MANIFEST, Platform};

    fn entry(platform: &str) -> Descriptor {
        let mut entry = Descriptor::new(MANIFEST, Digest::of(platform.as_bytes()), 1);
        entry.platform = Platform::parse(platform);
        entry
    }

    fn chosen(wanted: &str, offered: &[&str]) -> Option<String> {
        let entries: Vec<_> = offered.iter().map(|platform| entry(platform)).collect();
        choose(&entries, &Platform::parse(wanted).unwrap())
            .map(|entry| entry.platform.as_ref().map_or_else(|| "none".to_owned(), shown))
    }

    #[test]
    fn variants_have_their_rules() {
        let some = |text: &str| Some(text.to_owned());
        for (wanted, offered, expected) in [
            ("linux/amd64", &["unknown/unknown", "linux/arm64", "linux/amd64"][..], some("linux/amd64")),
            ("linux/amd64", &["linux/amd64/v3", "linux/amd64/v2"], some("linux/amd64/v2")),
            ("linux/amd64", &["linux/amd64/v3", "linux/amd64"], some("linux/amd64")),
            ("linux/amd64/v2", &["linux/amd64/v3", "linux/amd64"], some("linux/amd64")),
            ("linux/arm64", &["linux/arm64/v8"], some("linux/arm64/v8")),
            ("linux/arm/v7", &["linux/arm/v5", "linux/arm/v6"], some("linux/arm/v6")),
            ("linux/arm/v6", &["linux/arm/v7"], None),
            ("linux/arm64", &["linux/amd64", "windows/arm64"], None),
            ("linux/amd64", &["unknown/unknown"], None),
            ("linux/amd64", &[""], some("none")),
            ("linux/amd64", &["", "linux/arm64"], None),
        ] {
            assert_eq!(chosen(wanted, offered), expected, "{wanted} of {offered:?}");
        }
    }
}
