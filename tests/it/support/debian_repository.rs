//! A small Debian archive in this process: packages made here, signed with a key made here, and a definitions
//! folder in which `bases/debian-13.toml` points at it. Each thing that can be wrong with an archive is a setting.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use flate2::{Compression, write::GzEncoder};
use pgp::composed::{
    ArmorOptions, CleartextSignedMessage, KeyType, SecretKeyParamsBuilder, SignedPublicKey, SignedSecretKey,
};
use pgp::types::{KeyDetails as _, Password};
use sha2::{Digest as _, Sha256};

use super::http_server::Server;

/// How InRelease is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signing {
    /// By the key that the base names.
    Trusted,
    /// By another key.
    Stranger,
    /// Not at all: the bare text.
    Nobody,
}

/// What the archive says about itself. Times are seconds since 1970.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Release {
    /// Field Date.
    pub(crate) date: i64,
    /// Field Valid-Until.
    pub(crate) valid_until: i64,
    /// Who signs.
    pub(crate) signing: Signing,
}

/// A package to be made.
#[derive(Clone, Debug)]
pub(crate) struct Package {
    name: String,
    version: String,
    fields: String,
    entries: Vec<(String, Item)>,
}

#[derive(Clone, Debug)]
enum Item {
    File(Vec<u8>, u32),
    Link(String),
    HardLink(String),
}

impl Package {
    /// A package without files, for each architecture of the archive.
    pub(crate) fn new(name: &str, version: &str) -> Self {
        Self {
            name: name.to_owned(),
            version: version.to_owned(),
            fields: String::new(),
            entries: Vec::new(),
        }
    }

    /// A further control field: `Depends: libc6`.
    pub(crate) fn field(mut self, line: &str) -> Self {
        self.fields.push_str(line);
        self.fields.push('\n');
        self
    }

    /// A file with its permission bits.
    pub(crate) fn file(mut self, path: &str, text: &str, mode: u32) -> Self {
        self.entries.push((path.to_owned(), Item::File(text.as_bytes().to_vec(), mode)));
        self
    }

    /// A file that need not be text.
    pub(crate) fn bytes(mut self, path: &str, bytes: Vec<u8>, mode: u32) -> Self {
        self.entries.push((path.to_owned(), Item::File(bytes, mode)));
        self
    }

    /// A symbolic link.
    pub(crate) fn link(mut self, path: &str, target: &str) -> Self {
        self.entries.push((path.to_owned(), Item::Link(target.to_owned())));
        self
    }

    /// A hard link to an earlier file.
    pub(crate) fn hard_link(mut self, path: &str, target: &str) -> Self {
        self.entries.push((path.to_owned(), Item::HardLink(target.to_owned())));
        self
    }

    /// Path below the archive's root.
    pub(crate) fn path(&self) -> String {
        self.path_for("amd64")
    }

    fn path_for(&self, architecture: &str) -> String {
        format!("pool/main/{}_{}_{architecture}.deb", self.name, self.version)
    }

    fn control(&self, architecture: &str) -> String {
        format!(
            "Package: {}\nVersion: {}\nArchitecture: {architecture}\nMaintainer: Nobody <nobody@example.org>\n{}Description: made for a test\n",
            self.name, self.version, self.fields
        )
    }

    fn deb(&self, architecture: &str) -> Vec<u8> {
        let mut data = tar::Builder::new(Vec::new());
        for (path, item) in &self.entries {
            let mut header = tar::Header::new_gnu();
            header.set_mtime(1_000_000_000);
            header.set_uid(0);
            header.set_gid(0);
            header.set_mode(0o777);
            header.set_size(0);
            // Written as given: the crate's own setter refuses the hostile names that tests need.
            header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
            let body: &[u8] = match item {
                Item::File(bytes, mode) => {
                    header.set_mode(*mode);
                    header.set_size(bytes.len() as u64);
                    bytes
                }
                Item::Link(target) => {
                    header.set_entry_type(tar::EntryType::Symlink);
                    header.as_old_mut().linkname[..target.len()].copy_from_slice(target.as_bytes());
                    &[]
                }
                Item::HardLink(target) => {
                    header.set_entry_type(tar::EntryType::Link);
                    header.as_old_mut().linkname[..target.len()].copy_from_slice(target.as_bytes());
                    &[]
                }
            };
            header.set_cksum();
            data.append(&header, body).expect("writing to memory");
        }
        let mut control = tar::Builder::new(Vec::new());
        for (name, text) in
            [("./control", self.control(architecture)), ("./md5sums", format!("0  {}\n", self.name))]
        {
            let mut header = tar::Header::new_gnu();
            header.set_size(text.len() as u64);
            header.set_mode(0o644);
            control.append_data(&mut header, name, text.as_bytes()).expect("writing to memory");
        }
        let mut deb = b"!<arch>\n".to_vec();
        for (name, bytes) in [
            ("debian-binary", b"2.0\n".to_vec()),
            ("control.tar", control.into_inner().expect("writing to memory")),
            ("data.tar.gz", gzip(&data.into_inner().expect("writing to memory"))),
        ] {
            let header = format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", 0, 0, 0, 100_644, bytes.len());
            deb.extend_from_slice(header.as_bytes());
            deb.extend_from_slice(&bytes);
            if bytes.len() % 2 == 1 {
                deb.push(b'\n');
            }
        }
        deb
    }
}

/// The archive.
pub(crate) struct Repository {
    /// Serves it below `/debian`.
    pub(crate) server: Server,
    /// Signs what is published, and is the one that the base names.
    pub(crate) key: SignedSecretKey,
    packages: Vec<Package>,
}

impl Repository {
    /// An archive with a package `base-files`, not published yet.
    pub(crate) fn new() -> Self {
        let base_files = Package::new("base-files", "13")
            .file("./etc/debian_version", "13.0\n", 0o644)
            .link("./bin", "usr/bin")
            .file("./usr/bin/true", "#!/bin/sh\n", 0o755);
        Self { server: Server::start(), key: new_key("archive"), packages: vec![base_files] }
    }

    /// Adds a package.
    pub(crate) fn add(&mut self, package: Package) {
        self.packages.push(package);
    }

    /// Adds a package in place of all of its name.
    pub(crate) fn replace(&mut self, package: Package) {
        self.packages.retain(|old| old.name != package.name);
        self.packages.push(package);
    }

    /// Adds empty packages of these names, so that what depends on them can be resolved.
    pub(crate) fn add_empty(&mut self, names: &[&str]) {
        self.packages.extend(names.iter().map(|name| Package::new(name, "1.0")));
    }

    /// The path on the server of the suite's InRelease.
    pub(crate) const IN_RELEASE: &'static str = "/debian/dists/tiny/InRelease";

    /// Serves the archive as it is now.
    pub(crate) fn publish(&self, release: Release) {
        let mut sums = String::new();
        for architecture in ["amd64", "arm64"] {
            let index = self.index(architecture);
            let path = format!("main/binary-{architecture}");
            self.server.put(&format!("/debian/dists/tiny/{path}/Packages.gz"), index.clone());
            let by_hash = format!("/debian/dists/tiny/{path}/by-hash/SHA256/{}", sha256(&index));
            self.server.put(&by_hash, index.clone());
            let _ = writeln!(sums, " {} {} {path}/Packages.gz", sha256(&index), index.len());
        }
        let text = format!(
            "Origin: Test\nSuite: tiny\nCodename: tiny\nDate: {}\nValid-Until: {}\nAcquire-By-Hash: yes\nSHA256:\n{sums}",
            date(release.date),
            date(release.valid_until),
        );
        let signed = match release.signing {
            Signing::Nobody => text,
            Signing::Trusted => sign(&text, &self.key),
            Signing::Stranger => sign(&text, &new_key("stranger")),
        };
        self.server.put(Self::IN_RELEASE, signed);
    }

    /// The list of packages for an architecture; serves them as well.
    fn index(&self, architecture: &str) -> Vec<u8> {
        let mut index = String::new();
        for package in &self.packages {
            let deb = package.deb(architecture);
            let path = package.path_for(architecture);
            let _ = write!(
                index,
                "{}Filename: {path}\nSize: {}\nSHA256: {}\n\n",
                package.control(architecture),
                deb.len(),
                sha256(&deb)
            );
            self.server.put(&format!("/debian/{path}"), deb);
        }
        gzip(index.as_bytes())
    }

    /// Writes a definitions folder whose base `debian-13` is this archive: all groups hold just `base-files`, the
    /// rest of the base's data is the embedded one.
    pub(crate) fn write_definitions(&self, folder: &Path) {
        let read = |name: &str| -> toml::Table {
            let original = format!("{}/bases/{name}.toml", env!("CARGO_MANIFEST_DIR"));
            let text = fs::read_to_string(original).expect("the base is part of the source");
            text.parse().expect("the base is TOML")
        };
        let (mut shared, mut base) = (read("debian"), read("debian-13"));
        let fingerprint = self.key.fingerprint().to_string();
        let replaced = format!(
            "suites = [{{ name = \"tiny\", archive = \"main\" }}]\n[archives.main]\nurl = \"{}/debian\"\nkeys = [\"{fingerprint}\"]\n",
            self.server.url()
        );
        base.extend(replaced.parse::<toml::Table>().expect("this is TOML"));
        base.remove("groups");
        shared.remove("archives");
        let groups = shared["groups"].as_table_mut().expect("groups are a table");
        for (_, group) in groups.iter_mut() {
            *group = toml::Value::Array(vec!["base-files".into()]);
        }
        fs::create_dir_all(folder.join("bases/keys")).expect("the folder is writable");
        for (name, table) in [("debian", shared), ("debian-13", base)] {
            let path = folder.join(format!("bases/{name}.toml"));
            fs::write(path, table.to_string()).expect("the folder is writable");
        }
        let public = SignedPublicKey::from(self.key.clone());
        let armored = public.to_armored_string(ArmorOptions::default()).expect("a key can be written");
        fs::write(folder.join("bases/keys/test.asc"), armored).expect("the folder is writable");
    }
}

/// A new Ed25519 key.
pub(crate) fn new_key(name: &str) -> SignedSecretKey {
    SecretKeyParamsBuilder::default()
        .key_type(KeyType::Ed25519Legacy)
        .can_certify(true)
        .can_sign(true)
        .primary_user_id(format!("{name} <{name}@example.org>"))
        .build()
        .and_then(|params| params.generate(rand::thread_rng()).map_err(|error| error.to_string().into()))
        .expect("a key can be made")
}

/// The text, signed by the primary key.
pub(crate) fn sign(text: &str, key: &SignedSecretKey) -> String {
    CleartextSignedMessage::sign(rand::thread_rng(), text, &key.primary_key, &Password::empty())
        .and_then(|message| message.to_armored_string(ArmorOptions::default()))
        .expect("a text can be signed")
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("writing to memory")
}

/// In hexadecimal digits.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn date(seconds: i64) -> String {
    let time = jiff::Timestamp::from_second(seconds).expect("tests use ordinary times");
    time.strftime("%a, %d %b %Y %H:%M:%S UTC").to_string()
}
