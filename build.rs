//! Embeds the data folders: writes one sorted table of paths and contents, and interprets nothing.
//! Parsing happens in the code that also reads an organisation's own folder, so there is one format.
//!
//! Compiles `init/` for the target, because images carry that binary. It does not depend on where the sources
//! are: two builds with one compiler and one linker give the same bytes.

#![expect(clippy::disallowed_methods, reason = "cargo hands a build script its inputs in the environment")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

const FOLDERS: [&str; 4] = ["bases", "buildpacks", "detectors", "toolchains"];

/// Small, static, without a C library. The linker's choices that would vary between machines are fixed.
const INIT_FLAGS: [&str; 14] = [
    "--crate-name=rpack_init",
    "--crate-type=bin",
    "--edition=2024",
    "-Copt-level=s",
    "-Ccodegen-units=1",
    "-Clto=fat",
    "-Cpanic=abort",
    "-Cforce-unwind-tables=no",
    "-Crelocation-model=static",
    "-Cstrip=symbols",
    "-Clink-arg=-nostartfiles",
    "-Clink-arg=-nostdlib",
    "-Clink-arg=-static",
    "-Clink-arg=-Wl,--build-id=none,--gc-sections,-z,noseparate-code",
];

fn main() -> io::Result<()> {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR"));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    embed(&root, &out)?;
    compile_init(&root, &out.join("rpack-init"))
}

fn compile_init(root: &Path, output: &Path) -> io::Result<()> {
    println!("cargo:rerun-if-changed=init/src");
    println!("cargo:rerun-if-env-changed=RUSTC_LINKER");
    let target = env::var("TARGET").expect("cargo sets TARGET");
    let mut rustc = Command::new(env::var_os("RUSTC").expect("cargo sets RUSTC"));
    // A relative path of the sources keeps this folder's name out of the binary.
    rustc
        .current_dir(root)
        .args(INIT_FLAGS)
        .args(["init/src/start.rs", "--target", &target, "-o"])
        .arg(output);
    let mut remap = root.as_os_str().to_owned();
    remap.push("=.");
    rustc.arg("--remap-path-prefix").arg(remap);
    if let Some(linker) = env::var_os("RUSTC_LINKER") {
        let mut flag = std::ffi::OsString::from("-Clinker=");
        flag.push(linker);
        rustc.arg(flag);
    }
    if target.contains("musl") {
        // Rust would add this target's own start files.
        rustc.arg("-Clink-self-contained=no");
    }
    match rustc.status()? {
        status if status.success() => Ok(()),
        status => Err(io::Error::other(format!("compiling init/ for {target} failed: {rustc:?}: {status}"))),
    }
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
