//! A machine whose registries are all one server.

use std::collections::BTreeMap;
use std::io::{Cursor, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use sha2::{Digest as _, Sha256};
use zip::write::SimpleFileOptions;

use crate::config::{Origin, Resolved};
use crate::definitions::Definitions;
use crate::http::{Client, Options};
use crate::http_server::Server;
use crate::oci::Digest;
use crate::plan::catalogue::{Catalogue as _, Release, Source};
use crate::plan::model::Toolchain;
use crate::rootfs::{Context, Endpoints, Machine};
use crate::store::{Content, Kind, Store, Tree};
use crate::ui::{Diagnose, Progress, Reporter};

pub(super) type Failure = Box<dyn Diagnose + Send + Sync>;

/// A machine whose registries are all one server.
pub(super) struct Fixture {
    pub(super) server: Server,
    pub(super) folder: tempfile::TempDir,
    /// Signs the checksum database.
    key: Ed25519KeyPair,
    pub(super) environment: BTreeMap<String, String>,
    pub(super) mirrors: BTreeMap<String, String>,
}

const DATABASE: &str = "sums.example";

impl Fixture {
    pub(super) fn new() -> Self {
        let server = Server::start();
        let key = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
        let public = [&[1], key.public_key().as_ref()].concat();
        let id = key_id(&public);
        let verifier = format!("{DATABASE}+{:08x}+{}", u32::from_be_bytes(id), STANDARD.encode(&public));
        let url = server.url();
        let mirrors = [
            ("archive", format!("{url}/archive")),
            ("go", format!("{url}/go")),
            ("maven", format!("{url}/maven")),
            ("pypi", format!("{url}/simple")),
        ];
        Self {
            server,
            folder: tempfile::tempdir().unwrap(),
            key,
            environment: [("GOSUMDB".to_owned(), verifier)].into(),
            mirrors: mirrors.map(|(name, url)| (name.to_owned(), url)).into(),
        }
    }

    pub(super) fn define(&self, path: &str, text: &str) {
        let path = self.folder.path().join("definitions").join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub(super) fn context(&self) -> Context {
        self.define("toolchains/other.toml", "");
        let definitions = Definitions::with_folder(&self.folder.path().join("definitions")).unwrap();
        let mirror = |value: &String| Resolved {
            value: value.clone(),
            origin: Origin::File { path: "rpack.toml".to_owned(), line: 1, column: 1 },
            passed_over: Vec::new(),
        };
        let mirrors = self.mirrors.iter().map(|(name, url)| (name.clone(), mirror(url))).collect();
        let machine = Machine::new(PathBuf::from("/nowhere"), None, self.environment.clone());
        let endpoints = Endpoints::new(machine, &mirrors, &definitions).unwrap();
        let options = Options { offline: false, pause: Duration::from_millis(1), parallel: 1 };
        let store = Store::open(self.folder.path().join("store")).unwrap();
        let client = Client::new(options);
        Context::new(store, client, Reporter::new(Progress::Quiet), definitions, endpoints, 1_000_000)
    }

    pub(super) fn releases(&self, source: &Source) -> Result<Vec<Release>, Failure> {
        self.context().releases(source)
    }

    pub(super) fn exact(&self, source: &Source, version: &str) -> Result<Option<Release>, Failure> {
        let exact = Source::Exact { of: Box::new(source.clone()), version: version.to_owned() };
        Ok(self.releases(&exact)?.pop())
    }

    /// Publishes a module and 300 records, of which the one about it is number 270.
    pub(super) fn publish_module(&self, files: &[(&str, &str)]) {
        let zip = zip(files, "golang.org/toolchain@v0.0.1-go1.22.12.linux-amd64/");
        let h1 = crate::rootfs::registry::h1(
            files
                .iter()
                .map(|(name, text)| {
                    let name = format!("golang.org/toolchain@v0.0.1-go1.22.12.linux-amd64/{name}");
                    (name, Digest::of(text.as_bytes()))
                })
                .collect(),
        );
        self.server.put(&format!("/go/{MODULE}.zip"), zip);
        self.server.put(
            "/go/golang.org/toolchain/@v/list",
            "v0.0.1-go1.22.12.linux-amd64\nv0.0.1-go1.23.4.linux-amd64\nv0.0.1-go1.23.4.darwin-arm64\n",
        );
        self.publish_record(&format!(
            "golang.org/toolchain v0.0.1-go1.22.12.linux-amd64 {h1}\n\
             golang.org/toolchain v0.0.1-go1.22.12.linux-amd64/go.mod h1:x\n"
        ));
    }

    pub(super) fn publish_record(&self, record: &str) {
        let records: Vec<String> =
            (0..300).map(|n| if n == 270 { record.to_owned() } else { format!("record {n}\n") }).collect();
        let leaves: Vec<[u8; 32]> = records
            .iter()
            .map(|text| Sha256::new().chain_update([0]).chain_update(text).finalize().into())
            .collect();
        let root = format!("/go/sumdb/{DATABASE}");
        self.server.put(&format!("{root}/supported"), "");
        self.server.put(&format!("{root}/tile/8/0/000"), leaves[..256].concat());
        self.server.put(&format!("{root}/tile/8/0/001.p/44"), leaves[256..].concat());
        self.server.put(&format!("{root}/tile/8/1/000.p/1"), tree_hash(&leaves[..256]).to_vec());
        let tree = format!("go.sum database tree\n300\n{}\n", STANDARD.encode(tree_hash(&leaves)));
        let public = [&[1], self.key.public_key().as_ref()].concat();
        let signature = [&key_id(&public), self.key.sign(tree.as_bytes()).as_ref()].concat();
        let note = format!("{tree}\n\u{2014} {DATABASE} {}\n", STANDARD.encode(signature));
        self.server.put(LOOKUP, format!("270\n{record}\n{note}"));
    }
}

pub(super) const MODULE: &str = "golang.org/toolchain/@v/v0.0.1-go1.22.12.linux-amd64";
pub(super) const LOOKUP: &str =
    "/go/sumdb/sums.example/lookup/golang.org/toolchain@v0.0.1-go1.22.12.linux-amd64";

fn key_id(public: &[u8]) -> [u8; 4] {
    let hash = Sha256::new().chain_update(format!("{DATABASE}\n")).chain_update(public).finalize();
    hash[..4].try_into().unwrap()
}

/// RFC 6962, section 2.1, word for word.
fn tree_hash(leaves: &[[u8; 32]]) -> [u8; 32] {
    if let [leaf] = leaves {
        return *leaf;
    }
    let mut split = 1;
    while split * 2 < leaves.len() {
        split *= 2;
    }
    let (left, right) = (tree_hash(&leaves[..split]), tree_hash(&leaves[split..]));
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

pub(super) fn zip(files: &[(&str, &str)], prefix: &str) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in files {
        writer
            .start_file(format!("{prefix}{name}"), SimpleFileOptions::default().unix_permissions(0o644))
            .unwrap();
        writer.write_all(text.as_bytes()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

pub(super) fn tar_gz(files: &[(&str, &str)]) -> Vec<u8> {
    let mut builder =
        tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    for (name, text) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o755);
        builder.append_data(&mut header, name, text.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap()
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

pub(super) fn go() -> Source {
    Source::Go { module: "golang.org/toolchain".to_owned(), version: "v0.0.1-go*.linux-amd64".to_owned() }
}

pub(super) fn pypi() -> Source {
    Source::Pypi { project: "tool".to_owned(), wheel: "py3-none-manylinux*_x86_64".to_owned(), python: None }
}

pub(super) fn maven() -> Source {
    Source::Maven {
        group: "org.acme".to_owned(),
        artifact: "tool".to_owned(),
        classifier: Some("bin".to_owned()),
        extension: "tar.gz".to_owned(),
    }
}

pub(super) fn archive() -> Source {
    Source::Archive { id: "tool".to_owned(), platform: "linux/amd64".to_owned() }
}

pub(super) fn wanted(ecosystem: &str, release: &Release, strip: usize) -> Toolchain {
    Toolchain {
        platform: "linux/amd64".to_owned(),
        name: "tool".to_owned(),
        version: release.version.clone(),
        ecosystem: ecosystem.to_owned(),
        path: release.path.clone(),
        integrity: release.integrity.clone().unwrap(),
        target: "/opt/tool".to_owned(),
        strip,
        include: Vec::new(),
        executable: vec!["bin/**".to_owned()],
        rename: [("_go.mod".to_owned(), "go.mod".to_owned())].into(),
        links: BTreeMap::new(),
    }
}

/// `path mode text` of each file.
pub(super) fn shown(tree: &Tree) -> Vec<String> {
    let line = |(path, entry): (&str, &crate::store::Entry)| match &entry.kind {
        Kind::File { content: Content::Path(file), .. } => {
            Some(format!("{path} {:o} {}", entry.mode, std::fs::read_to_string(file).unwrap()))
        }
        Kind::Symlink { target } => Some(format!("{path} -> {target}")),
        _ => None,
    };
    tree.iter().filter_map(line).collect()
}

pub(super) fn found(release: Result<Option<Release>, Failure>) -> Release {
    match release {
        Ok(Some(release)) => release,
        Ok(None) => panic!("there is no such release"),
        Err(error) => panic!("{error}"),
    }
}

pub(super) fn id<T>(result: Result<T, impl Into<Failure>>) -> (&'static str, String) {
    let Err(error) = result else { panic!("it worked") };
    let error = error.into();
    (error.id(), error.to_string())
}
