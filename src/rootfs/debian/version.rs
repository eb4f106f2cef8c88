//! Debian's order of versions (<https://www.debian.org/doc/debian-policy/ch-controlfields.html#version>).
//!
//! `[epoch:]upstream[-revision]`. Upstream and revision are compared piece by piece: a run of non-digits, then a
//! run of digits. In non-digits `~` sorts before the end, the end before letters, letters before the rest.
//! Any text can be compared, so that hostile metadata cannot make this fail.

use std::cmp::Ordering;

/// Compares two versions as dpkg does.
pub(in crate::rootfs) fn compare(a: &str, b: &str) -> Ordering {
    let (a, b) = (split(a), split(b));
    compare_digits(a.0, b.0).then_with(|| compare_part(a.1, b.1)).then_with(|| compare_part(a.2, b.2))
}

/// Epoch, upstream version and revision.
fn split(version: &str) -> (&[u8], &[u8], &[u8]) {
    let (epoch, rest) = version.split_once(':').unwrap_or(("", version));
    let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
    (epoch.as_bytes(), upstream.as_bytes(), revision.as_bytes())
}

fn compare_part(mut a: &[u8], mut b: &[u8]) -> Ordering {
    while !a.is_empty() || !b.is_empty() {
        let (text_a, rest_a) = split_run(a, false);
        let (text_b, rest_b) = split_run(b, false);
        let (digits_a, rest_a) = split_run(rest_a, true);
        let (digits_b, rest_b) = split_run(rest_b, true);
        let order = compare_text(text_a, text_b).then_with(|| compare_digits(digits_a, digits_b));
        if order != Ordering::Equal {
            return order;
        }
        (a, b) = (rest_a, rest_b);
    }
    Ordering::Equal
}

fn split_run(text: &[u8], digits: bool) -> (&[u8], &[u8]) {
    let end = text.iter().position(|b| b.is_ascii_digit() != digits).unwrap_or(text.len());
    text.split_at(end)
}

fn compare_text(a: &[u8], b: &[u8]) -> Ordering {
    let weight = |byte: Option<&u8>| match byte {
        Some(b'~') => -1,
        None => 0,
        Some(byte) if byte.is_ascii_alphabetic() => i32::from(*byte),
        Some(byte) => i32::from(*byte) + 256,
    };
    (0..a.len().max(b.len()))
        .map(|i| weight(a.get(i)).cmp(&weight(b.get(i))))
        .find(|order| *order != Ordering::Equal)
        .unwrap_or(Ordering::Equal)
}

fn compare_digits(a: &[u8], b: &[u8]) -> Ordering {
    let significant = |digits: &[u8]| digits.iter().position(|b| *b != b'0').unwrap_or(digits.len());
    let (a, b) = (&a[significant(a)..], &b[significant(b)..]);
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

#[cfg(test)]
mod tests {
    use super::compare;
    use proptest::prelude::*;
    use std::cmp::Ordering::{Equal, Greater, Less};

    #[test]
    fn known_pairs() {
        for (a, order, b) in [
            ("1.0", Equal, "1.0-0"),
            ("1.0", Equal, "0:1.0"),
            ("1.0~rc1", Less, "1.0"),
            ("1.0~~", Less, "1.0~"),
            ("1.0", Less, "1.0a"),
            ("1.0a", Less, "1.0+b"),
            ("1.9", Less, "1.10"),
            ("1.09", Equal, "1.9"),
            ("2:0.1", Greater, "1:9"),
            ("1.27.4-1~bpo13+1", Less, "1.27.4-1"),
            ("3.13.5-2+deb13u1", Greater, "3.13.5-2"),
            ("99999999999999999999999", Greater, "99999999999999999999998"),
        ] {
            assert_eq!(compare(a, b), order, "{a} {b}");
            assert_eq!(compare(b, a), order.reverse(), "{b} {a}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_ordered_consistently(a in ".{0,12}", b in ".{0,12}") {
            prop_assert_eq!(compare(&a, &b), compare(&b, &a).reverse());
        }
    }

    #[test]
    fn dpkg_agrees() {
        let dpkg = |a: &str, b: &str| {
            ["lt", "eq", "gt"].into_iter().zip([Less, Equal, Greater]).find_map(|(relation, order)| {
                let status = std::process::Command::new("dpkg")
                    .args(["--compare-versions", a, relation, b])
                    .stderr(std::process::Stdio::null())
                    .status()
                    .ok()?;
                status.success().then_some(order)
            })
        };
        if dpkg("1", "1").is_none() {
            return;
        }
        let versions = [
            "0",
            "1",
            "1-1",
            "1-1+b1",
            "1:1",
            "1~",
            "1~a",
            "1a",
            "1+",
            "1.",
            "1.0",
            "1.00",
            "1.0-1",
            "1.0-1.1",
            "10",
            "9",
            "1.a",
            "1.+",
            "1.~",
            "1-a",
            "1-+",
            "1-~",
            "1.2.3~rc1-0ubuntu1",
            "1.2.3-0ubuntu1",
        ];
        for (index, a) in versions.iter().enumerate() {
            for b in &versions[index..] {
                assert_eq!(Some(compare(a, b)), dpkg(a, b), "{a} {b}");
            }
        }
    }
}
