//! What the expansion of start commands promises.

use std::fs;
use std::path::Path;

use proptest::prelude::*;

use super::{binary, escape, expand};
use crate::oci::Digest;

const ENVIRONMENT: [(&str, &str); 5] =
    [("PORT", "8080"), ("_A1", "two words"), ("EMPTY", ""), ("MONEY", "$PORT}"), ("é", "never")];

fn expanded(argument: &str) -> String {
    let value = |name: &[u8]| {
        let found = ENVIRONMENT.iter().find(|(variable, _)| variable.as_bytes() == name);
        found.map(|(_, value)| value.as_bytes())
    };
    let mut result = Vec::new();
    expand::expand(argument.as_bytes(), &value, &mut |part| result.extend_from_slice(part));
    String::from_utf8(result).unwrap()
}

#[track_caller]
fn check(cases: &[(&str, &str)]) {
    for (argument, expected) in cases {
        assert_eq!(expanded(argument), *expected, "{argument}");
    }
}

#[test]
fn names_are_replaced_with_and_without_braces() {
    check(&[
        ("$PORT", "8080"),
        ("${PORT}", "8080"),
        ("0.0.0.0:$PORT/", "0.0.0.0:8080/"),
        ("$PORT$PORT", "80808080"),
        ("${PORT}0", "80800"),
        ("$PORT.x", "8080.x"),
        ("<$_A1>", "<two words>"),
    ]);
}

#[test]
fn what_is_not_set_is_empty() {
    check(&[("a$NOPE.b", "a.b"), ("a${NOPE}b", "ab"), ("$PORTS", ""), ("${EMPTY}", ""), ("$é", "$é")]);
}

#[test]
fn a_default_stands_in_for_unset_and_empty_and_may_hold_references() {
    check(&[
        ("${PORT:-1}", "8080"),
        ("${NOPE:-1}", "1"),
        ("${EMPTY:-1}x", "1x"),
        ("${NOPE:-}", ""),
        ("${NOPE:-a b:-{c}", "a b:-{c"),
        ("${NOPE:-$PORT}", "8080"),
        ("${NOPE:-<${EMPTY:-${PORT}}>}}", "<8080>}"),
        ("${PORT:-<${EMPTY:-${PORT}}>}}", "8080}"),
        ("${NOPE:-$$}", "$"),
        ("${PORT:-$${}", "8080"),
        ("${NOPE:-$${}", "${"),
        ("${NOPE:-${x%y}}!", "${x%y}!"),
    ]);
}

#[test]
fn two_dollar_signs_are_one() {
    check(&[
        ("$$", "$"),
        ("$$PORT", "$PORT"),
        ("$$$PORT", "$8080"),
        ("$$$$", "$$"),
        ("a$${PORT}", "a${PORT}"),
    ]);
}

#[test]
fn values_are_taken_as_they_are() {
    check(&[("$MONEY", "$PORT}"), ("${MONEY}", "$PORT}"), ("${NOPE:-${MONEY}}", "$PORT}")]);
}

#[test]
fn what_is_no_reference_stays() {
    check(&[
        ("", ""),
        ("$", "$"),
        ("a$", "a$"),
        ("$5 $-", "$5 $-"),
        ("}{", "}{"),
        ("${}", "${}"),
        ("${5}", "${5}"),
        ("${:-x}", "${:-x}"),
        ("${PORT%0}", "${PORT%0}"),
        ("${PORT-$PORT}$PORT", "${PORT-$PORT}8080"),
        ("${PORT", "${PORT"),
        ("${PORT $PORT", "${PORT $PORT"),
        ("${PORT:-$PORT", "${PORT:-$PORT"),
        ("$PORT ${NOPE:-${PORT} $PORT", "8080 ${NOPE:-${PORT} $PORT"),
    ]);
}

#[test]
fn deep_nesting_takes_no_stack_and_linear_time() {
    let depth = 200_000;
    let argument = "${NOPE:-".repeat(depth) + "x" + &"}".repeat(depth);
    assert_eq!(expanded(&argument), "x");
    assert_eq!(expanded(&argument[..argument.len() - 1]), argument[..argument.len() - 1]);
}

#[test]
fn the_binaries_are_small_static_programs_that_name_no_folder() {
    for platform in ["linux/amd64", "linux/arm64"] {
        let binary = binary(platform).unwrap();
        assert_eq!(&binary[..4], b"\x7fELF", "{platform}");
        assert!(binary.len() < 20_000, "{platform}: {} bytes", binary.len());
        for folder in ["/app", "/home", "/root", "/tmp", "/usr/src", "/work", ".cargo", "rustlib"] {
            let found = binary.windows(folder.len()).any(|window| window == folder.as_bytes());
            assert!(!found, "the helper for {platform} names `{folder}`");
        }
    }
    assert_eq!(binary("linux/riscv64"), None);
}

/// The network test compiles them again and compares the bytes; this one needs nothing.
#[test]
fn the_binaries_are_made_from_these_sources() {
    let init = Path::new(env!("CARGO_MANIFEST_DIR")).join("init");
    let digest = |path: &str| Digest::of(&fs::read(init.join(path)).unwrap()).hex();
    let mut paths = vec!["build".to_owned()];
    for folder in ["bin", "src", "src/site"] {
        let names = fs::read_dir(init.join(folder)).unwrap().map(|entry| entry.unwrap().file_name());
        paths.extend(names.map(|name| format!("{folder}/{}", name.to_str().unwrap())));
    }
    paths.retain(|path| init.join(path).is_file() && path != "bin/SHA256SUMS");
    paths.sort();
    let found = paths.iter().map(|path| format!("{}  {path}\n", digest(path))).collect::<Vec<_>>().concat();
    let stated = fs::read_to_string(init.join("bin/SHA256SUMS")).unwrap();
    assert_eq!(found, stated, "compile the helper again, as init/README.md says");
}

proptest! {
    #[test]
    fn without_a_dollar_sign_nothing_changes(argument in "[^$]*") {
        prop_assert_eq!(expanded(&argument), argument);
    }

    #[test]
    fn an_escaped_text_comes_back(literal in ".*") {
        prop_assert_eq!(expanded(&escape(&literal)), literal);
    }

    #[test]
    fn any_mixture_is_handled(argument in "([$]|[{]|[}]|:-|PORT|EMPTY|X| ){0,40}") {
        expanded(&argument);
    }

    #[test]
    fn any_bytes_are_handled(argument in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut length = 0;
        expand::expand(&argument, &|_| Some(b"v"), &mut |part| length += part.len());
        prop_assert!(length <= argument.len());
    }
}
