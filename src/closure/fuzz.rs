//! ELF files for [`crate::fuzz`].

use super::elf::{Found, MAGIC, read};

/// Reads a file: what is no ELF file is told by its first bytes alone, and names are ones that a loader can open.
pub fn elf(bytes: &[u8]) {
    let found = read(bytes).expect("memory can be read");
    assert_eq!(found == Found::Other, !bytes.starts_with(&MAGIC));
    let Found::Elf(elf) = found else { return };
    for name in elf.needed.iter().chain(&elf.interpreter) {
        assert!(!name.is_empty() && !name.contains('\0'), "{name:?}");
    }
    for folder in elf.rpath.iter().chain(elf.runpath.iter().flatten()) {
        assert!(!folder.is_empty() && !folder.contains([':', '\0']), "{folder:?}");
    }
}
