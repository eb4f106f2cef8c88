//! The reader of ELF files against good and hostile bytes.

use proptest::prelude::*;

use crate::closure::elf::{Dlopen, Found, Priority, read};
use crate::elf_file::Elf;

fn whole() -> Elf {
    Elf {
        interpreter: Some("/lib64/ld-linux-x86-64.so.2"),
        soname: Some("libself.so.1"),
        rpath: Some("/opt/a::$ORIGIN/b"),
        runpath: Some("${ORIGIN}"),
        dlopen: Some(r#"[{"feature":"x","description":"y","priority":"suggested","soname":["libx.so.1"]}]"#),
        ..Elf::new().needs(&["libc.so.6", "libm.so.6", "libc.so.6"])
    }
}

#[test]
fn everything_that_the_loader_reads() {
    let Found::Elf(elf) = read(whole().bytes().as_slice()).unwrap() else { panic!("it is an ELF file") };
    assert_eq!(elf.machine, 62);
    assert_eq!(elf.interpreter.as_deref(), Some("/lib64/ld-linux-x86-64.so.2"));
    assert_eq!(elf.soname.as_deref(), Some("libself.so.1"));
    assert_eq!(elf.needed, ["libc.so.6", "libm.so.6"]);
    assert_eq!(elf.rpath, ["/opt/a", "$ORIGIN/b"]);
    assert_eq!(elf.runpath.as_deref(), Some(&["${ORIGIN}".to_owned()][..]));
    let wish = Dlopen {
        feature: "x".to_owned(),
        priority: Priority::Suggested,
        soname: vec!["libx.so.1".to_owned()],
    };
    assert_eq!(elf.dlopen, [wish]);
}

#[test]
fn other_files_are_told_apart() {
    let bytes = whole().bytes();
    let with = |at: usize, byte: u8| {
        let mut bytes = bytes.clone();
        bytes[at] = byte;
        read(bytes.as_slice()).unwrap()
    };
    assert_eq!(read(&b"#!/bin/sh\n"[..]).unwrap(), Found::Other);
    assert_eq!(read(&b""[..]).unwrap(), Found::Other);
    assert_eq!(read(&bytes[..40]).unwrap(), Found::Damaged);
    // 32 bits; big-endian.
    assert_eq!(with(4, 1), Found::Foreign);
    assert_eq!(with(5, 2), Found::Foreign);
    // A table of segments beyond the end, and more of them than there can be.
    assert_eq!(with(38, 0xff), Found::Damaged);
    assert_eq!(with(57, 0xff), Found::Damaged);
}

#[test]
fn a_file_that_ends_early_is_damaged_and_no_failure() {
    let bytes = whole().bytes();
    for end in 64..bytes.len() {
        assert!(matches!(read(&bytes[..end]).unwrap(), Found::Damaged | Found::Elf(_)), "{end}");
    }
}

#[test]
fn a_linker_agrees() {
    // The test program itself is linked against the C library.
    let file = std::fs::File::open("/proc/self/exe").unwrap();
    let Found::Elf(elf) = read(&file).unwrap() else { panic!("it is an ELF file") };
    assert!(elf.needed.iter().any(|name| name == "libc.so.6"), "{elf:?}");
    assert!(elf.interpreter.is_some_and(|path| path.contains("/ld-linux")));
}

proptest! {
    #[test]
    fn changed_bytes_never_break_it(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..40)) {
        let mut bytes = whole().bytes();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        prop_assert!(read(bytes.as_slice()).is_ok());
    }

    #[test]
    fn arbitrary_bytes_behind_the_magic_never_break_it(rest in prop::collection::vec(any::<u8>(), 0..400)) {
        let mut bytes = b"\x7fELF\x02\x01".to_vec();
        bytes.extend(rest);
        prop_assert!(read(bytes.as_slice()).is_ok());
    }
}
