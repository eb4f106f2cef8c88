//! Embeds the data folders: writes one sorted table of paths and contents, and interprets nothing.
//! Parsing happens in the code that also reads an organisation's own folder, so there is one format.

#![expect(clippy::disallowed_methods, reason = "cargo hands a build script its inputs in the environment")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

const FOLDERS: [&str; 4] = ["bases", "buildpacks", "detectors", "toolchains"];

fn main() -> io::Result<()> {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR"));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    embed(&root, &out)
}

fn embed(root: &Path, out: &Path) -> io::Result<()> {
    let mut files = Vec::new();
    for folder in FOLDERS {
        collect(root, &root.join(folder), &mut files)?;
    }
    files.sort();
    let mut table = String::from("pub(crate) static EMBEDDED: &[(&str, &[u8])] = &[\n");
    for path in &files {
        let absolute = root.join(path);
        writeln!(table, "    ({path:?}, include_bytes!({:?})),", absolute.display())
            .expect("writing to a String");
    }
    table.push_str("];\n");
    fs::write(out.join("embedded.rs"), table)
}

fn collect(root: &Path, folder: &Path, files: &mut Vec<String>) -> io::Result<()> {
    println!("cargo:rerun-if-changed={}", folder.display());
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            collect(root, &entry.path(), files)?;
        } else {
            let path = entry.path();
            println!("cargo:rerun-if-changed={}", path.display());
            let relative = path.strip_prefix(root).expect("below the root");
            files.push(relative.to_str().expect("data files have UTF-8 names").to_owned());
        }
    }
    Ok(())
}
