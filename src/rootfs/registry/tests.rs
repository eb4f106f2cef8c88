//! Registries of each kind on a local server, and what is wrong with them.

use std::collections::BTreeMap;
use std::io::{Cursor, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use sha2::{Digest as _, Sha256, Sha512};
use zip::write::SimpleFileOptions;

use crate::config::{Origin, Resolved};
use crate::definitions::Definitions;
use crate::http::{Client, Options};
use crate::http_server::{Fault, Server};
use crate::oci::Digest;
use crate::plan::model::{Catalogue as _, Release, Source, Toolchain};
use crate::rootfs::{Context, Endpoints, Machine, toolchain};
use crate::store::{Content, Kind, Store, Tree};
use crate::ui::{Diagnose, Progress, Reporter};

type Failure = Box<dyn Diagnose + Send + Sync>;

/// A machine whose registries are all one server.
struct Fixture {
    server: Server,
    folder: tempfile::TempDir,
    /// Signs the checksum database.
    key: Ed25519KeyPair,
    environment: BTreeMap<String, String>,
    mirrors: BTreeMap<String, String>,
}

const DATABASE: &str = "sums.example";

impl Fixture {
    fn new() -> Self {
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

    fn define(&self, path: &str, text: &str) {
        let path = self.folder.path().join("definitions").join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn context(&self) -> Context {
        self.define("toolchains/other.toml", "");
        let definitions = Definitions::with_folder(&self.folder.path().join("definitions")).unwrap();
        let mirror = |value: &String| Resolved {
            value: value.clone(),
            origin: Origin::File { path: "rpack.toml".to_owned(), line: 1, column: 1 },
            passed_over: Vec::new(),
        };
        let mirrors = self.mirrors.iter().map(|(name, url)| (name.clone(), mirror(url))).collect();
        let environment = self.environment.clone();
        let machine = Machine { root: PathBuf::from("/nowhere"), home: None, environment };
        let endpoints = Endpoints::new(machine, &mirrors, &definitions).unwrap();
        let options = Options { offline: false, pause: Duration::from_millis(1), parallel: 1 };
        let store = Store::open(self.folder.path().join("store")).unwrap();
        let client = Client::new(options).unwrap();
        Context::new(store, client, Reporter::new(Progress::Quiet), definitions, endpoints, 1_000_000)
    }

    fn releases(&self, source: &Source) -> Result<Vec<Release>, Failure> {
        self.context().releases(source)
    }

    fn exact(&self, source: &Source, version: &str) -> Result<Option<Release>, Failure> {
        let exact = Source::Exact { of: Box::new(source.clone()), version: version.to_owned() };
        Ok(self.releases(&exact)?.pop())
    }

    /// Publishes a module and 300 records, of which the one about it is number 270.
    fn publish_module(&self, files: &[(&str, &str)]) {
        let zip = zip(files, "golang.org/toolchain@v0.0.1-go1.22.12.linux-amd64/");
        let h1 = super::h1(
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

    fn publish_record(&self, record: &str) {
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

const MODULE: &str = "golang.org/toolchain/@v/v0.0.1-go1.22.12.linux-amd64";
const LOOKUP: &str = "/go/sumdb/sums.example/lookup/golang.org/toolchain@v0.0.1-go1.22.12.linux-amd64";

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

fn zip(files: &[(&str, &str)], prefix: &str) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in files {
        writer
            .start_file(format!("{prefix}{name}"), SimpleFileOptions::default().unix_permissions(0o644))
            .unwrap();
        writer.write_all(text.as_bytes()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn tar_gz(files: &[(&str, &str)]) -> Vec<u8> {
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

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

fn go() -> Source {
    Source::Go { module: "golang.org/toolchain".to_owned(), version: "v0.0.1-go*.linux-amd64".to_owned() }
}

fn pypi() -> Source {
    Source::Pypi { project: "tool".to_owned(), wheel: "py3-none-manylinux*_x86_64".to_owned(), python: None }
}

fn maven() -> Source {
    Source::Maven {
        group: "org.acme".to_owned(),
        artifact: "tool".to_owned(),
        classifier: Some("bin".to_owned()),
        extension: "tar.gz".to_owned(),
    }
}

fn archive() -> Source {
    Source::Archive { id: "tool".to_owned(), platform: "linux/amd64".to_owned() }
}

fn wanted(ecosystem: &str, release: &Release, strip: usize) -> Toolchain {
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
fn shown(tree: &Tree) -> Vec<String> {
    let line = |(path, entry): (&str, &crate::store::Entry)| match &entry.kind {
        Kind::File { content: Content::Path(file), .. } => {
            Some(format!("{path} {:o} {}", entry.mode, std::fs::read_to_string(file).unwrap()))
        }
        Kind::Symlink { target } => Some(format!("{path} -> {target}")),
        _ => None,
    };
    tree.iter().filter_map(line).collect()
}

fn found(release: Result<Option<Release>, Failure>) -> Release {
    match release {
        Ok(Some(release)) => release,
        Ok(None) => panic!("there is no such release"),
        Err(error) => panic!("{error}"),
    }
}

fn id<T>(result: Result<T, impl Into<Failure>>) -> (&'static str, String) {
    let Err(error) = result else { panic!("it worked") };
    let error = error.into();
    (error.id(), error.to_string())
}

#[test]
fn a_go_toolchain_is_verified_through_the_checksum_database() {
    let fixture = Fixture::new();
    fixture.publish_module(&[("bin/go", "go"), ("src/_go.mod", "module std"), ("VERSION", "go1.22.12")]);
    let versions = fixture.releases(&go()).unwrap();
    let versions: Vec<&str> = versions.iter().map(|release| release.version.as_str()).collect();
    assert_eq!(versions, ["1.22.12", "1.23.4"]);
    let release = found(fixture.exact(&go(), "1.22.12"));
    assert_eq!(release.path, format!("{MODULE}.zip"));
    let tree = toolchain(&wanted("go", &release, 2), &fixture.context()).unwrap();
    assert_eq!(
        shown(&tree),
        ["opt/tool/VERSION 644 go1.22.12", "opt/tool/bin/go 755 go", "opt/tool/src/go.mod 644 module std"]
    );
    assert_eq!(fixture.exact(&go(), "1.23.4").ok().flatten(), None);
    fixture.server.take_requests();
    assert_eq!(found(fixture.exact(&go(), "1.22.12")), release);
    assert_eq!(fixture.server.take_requests(), Vec::<String>::new(), "a verified answer is kept");
}

#[test]
fn answers_of_the_checksum_database_that_prove_nothing_are_refused() {
    let fixture = Fixture::new();
    let files = [("bin/go", "go")];
    fixture.publish_module(&files);
    let url = format!("{}{LOOKUP}", fixture.server.url());
    let good = String::from_utf8(fixture.server.get(LOOKUP)).unwrap();
    let refused = |answer: &str| {
        fixture.server.put(LOOKUP, answer);
        let (id, text) = id(fixture.exact(&go(), "1.22.12"));
        (id, text.replace(&url, "URL"))
    };
    let because = |reason: &str| ("go/checksum", format!("URL cannot be trusted: {reason}"));
    assert_eq!(
        refused(&good.replace("tree\n300\n", "tree\n301\n")),
        because("the tree has no valid signature of sums.example")
    );
    assert_eq!(
        refused(&good.replace("1.22.12.linux-amd64 h1:", "1.22.12.linux-amd64 h1:A")),
        because("the signed tree of sums.example does not hold this record")
    );
    assert_eq!(
        refused(&good.replacen("270\n", "300\n", 1)),
        because("record 300 is not in a tree of 300 records")
    );
    assert_eq!(refused("<html>"), because("it is empty"));
    fixture.publish_record("example.com/other v1.0.0 h1:x\n");
    let other = String::from_utf8(fixture.server.get(LOOKUP)).unwrap();
    assert_eq!(
        refused(&other),
        because("the record is about something else: `example.com/other v1.0.0 h1:x`")
    );
    let mut off = Fixture::new();
    off.publish_module(&files);
    off.environment.insert("GOSUMDB".to_owned(), "off".to_owned());
    let message = "Go's toolchains cannot be verified: environment GOSUMDB is `off`".to_owned();
    assert_eq!(id(off.exact(&go(), "1.22.12")), ("go/no-checksums", message));
}

#[test]
fn a_module_that_is_not_what_the_database_says_is_refused() {
    let fixture = Fixture::new();
    fixture.publish_module(&[("bin/go", "go")]);
    let release = found(fixture.exact(&go(), "1.22.12"));
    let path = format!("/go/{MODULE}.zip");
    let whole = fixture.server.get(&path);
    let fetch = || id(toolchain(&wanted("go", &release, 2), &fixture.context()));
    fixture
        .server
        .put(&path, zip(&[("bin/go", "evil")], "golang.org/toolchain@v0.0.1-go1.22.12.linux-amd64/"));
    let (tampered, message) = fetch();
    assert_eq!(tampered, "store/digest");
    assert!(message.contains("has h1 digest h1:"), "{message}");
    fixture.server.put(&path, &whole[..whole.len() / 2]);
    assert_eq!(fetch().0, "rootfs/toolchain");
}

#[test]
fn a_wheel_comes_from_wherever_the_index_keeps_it() {
    let fixture = Fixture::new();
    let wheel = zip(&[("tool-1.0.data/scripts/tool", "run"), ("tool/__init__.py", "")], "");
    let name = "tool-1.0-py3-none-manylinux_2_17_x86_64.whl";
    let page = format!(
        "<!DOCTYPE html><html><a href=\"../../files/{name}#sha256={}\">{name}</a></html>",
        Digest::of(&wheel).hex()
    );
    fixture.server.put("/simple/tool/", page);
    fixture.server.put(&format!("/files/{name}"), wheel);
    let release = fixture.releases(&pypi()).unwrap().remove(0);
    assert_eq!((release.version.as_str(), release.path.as_str()), ("1.0", &*format!("tool/{name}")));
    let mut wheel = wanted("pypi", &release, 2);
    wheel.executable = vec!["tool".to_owned()];
    wheel.include = vec!["tool".to_owned()];
    assert_eq!(shown(&toolchain(&wheel, &fixture.context()).unwrap()), ["opt/tool/tool 755 run"]);
    fixture.server.put(&format!("/files/{name}"), "else");
    wheel.target = "/opt/again".to_owned();
    assert_eq!(id(toolchain(&wheel, &fixture.context())).0, "store/digest");
    wheel.path = "tool/tool-2.0-py3-none-any.whl".to_owned();
    assert_eq!(id(toolchain(&wheel, &fixture.context())).0, "pypi/unknown-project");
}

#[test]
fn an_artifact_is_verified_by_the_strongest_digest_beside_it() {
    let fixture = Fixture::new();
    let bytes = tar_gz(&[("tool-1.2/bin/tool", "run")]);
    let path = "/maven/org/acme/tool/1.2/tool-1.2-bin.tar.gz";
    fixture.server.put(
        "/maven/org/acme/tool/maven-metadata.xml",
        "<?xml version=\"1.0\"?><metadata><versioning><release>1.2</release><versions><version>1.1</version>\
         <version>1.2</version><version>../../x</version></versions></versioning></metadata>",
    );
    fixture.server.put(path, bytes.clone());
    fixture.server.put(&format!("{path}.sha1"), hex(&sha1::Sha1::digest(&bytes)));
    let versions: Vec<String> =
        fixture.releases(&maven()).unwrap().into_iter().map(|release| release.version).collect();
    assert_eq!(versions, ["1.1", "1.2"]);
    let weak = found(fixture.exact(&maven(), "1.2"));
    assert!(weak.integrity.as_ref().unwrap().starts_with("sha1-"), "{weak:?}");
    assert_eq!(
        shown(&toolchain(&wanted("maven", &weak, 1), &fixture.context()).unwrap()),
        ["opt/tool/bin/tool 755 run"]
    );
    fixture
        .server
        .put(&format!("{path}.sha512"), format!("{}  tool-1.2-bin.tar.gz\n", hex(&Sha512::digest(&bytes))));
    let strong = found(fixture.exact(&maven(), "1.2"));
    assert!(strong.integrity.as_ref().unwrap().starts_with("sha512-"), "{strong:?}");
    // A mirror may send the client on; what comes is checked all the same.
    let elsewhere = Server::start();
    elsewhere.put("/moved", bytes);
    let redirect = Fault::Redirect(format!("{}/moved", elsewhere.url()));
    fixture.server.fail(path, &[redirect.clone(), redirect]);
    assert_eq!(toolchain(&wanted("maven", &strong, 1), &fixture.context()).unwrap().len(), 4);
    elsewhere.put("/moved", "else");
    let mut again = wanted("maven", &strong, 1);
    again.target = "/opt/again".to_owned();
    assert_eq!(id(toolchain(&again, &fixture.context())).0, "store/digest");
    assert_eq!(fixture.exact(&maven(), "1.1").ok().flatten(), None, "no digest, no release");
    fixture.server.put(&format!("{path}.sha512"), "<html>");
    assert_eq!(id(fixture.exact(&maven(), "1.2")).0, "maven/answer");
}

#[test]
fn versions_of_an_archive_are_added_and_removed_in_its_file() {
    let fixture = Fixture::new();
    let bytes = tar_gz(&[("tool/bin/tool", "run")]);
    let head = "id = \"tool\"\nroot = \"https://downloads.example/tool\"\n\
                path = \"v{version}/tool-{platform}.tar.gz\"\ndigests = \"v{version}/SHASUMS256.txt\"\n\
                platforms = { \"linux/amd64\" = \"x64\", \"linux/arm64\" = \"arm64\" }\n";
    let listed = format!(
        "[[release]]\nversion = \"1.2.3\"\nsha256 = {{ \"linux/amd64\" = \"{}\" }}\n",
        Digest::of(&bytes).hex()
    );
    fixture.define("toolchains/tool.toml", &format!("{head}{listed}"));
    fixture.server.put("/archive/tool/v1.2.3/tool-x64.tar.gz", bytes.clone());
    let release = fixture.releases(&archive()).unwrap().remove(0);
    assert_eq!(release.path, "tool/v1.2.3/tool-x64.tar.gz");
    let tree = toolchain(&wanted("archive", &release, 1), &fixture.context()).unwrap();
    assert_eq!(shown(&tree), ["opt/tool/bin/tool 755 run"]);

    fixture.define("toolchains/tool.toml", head);
    assert_eq!(fixture.releases(&archive()).unwrap(), []);
    fixture.server.put(
        "/archive/tool/v1.2.4/SHASUMS256.txt",
        format!("{}  tool-arm64.tar.gz\n{}  tool-x64.tar.gz\n", "0".repeat(64), Digest::of(&bytes).hex()),
    );
    let unlisted = found(fixture.exact(&archive(), "1.2.4"));
    assert_eq!(
        (unlisted.path.as_str(), &unlisted.integrity),
        ("tool/v1.2.4/tool-x64.tar.gz", &release.integrity)
    );
    assert_eq!(fixture.exact(&archive(), "9.9.9").ok().flatten(), None);
    fixture.server.put("/archive/tool/v1.2.4/SHASUMS256.txt", "<html>");
    assert_eq!(id(fixture.exact(&archive(), "1.2.4")).0, "archive/answer");

    fixture.define(
        "toolchains/tool.toml",
        &format!("{head}[[release]]\nversion = \"1\"\nsha256 = {{ \"linux/amd64\" = \"x\" }}\n"),
    );
    let (wrong, message) = id(fixture.releases(&archive()));
    assert_eq!(wrong, "definitions/base");
    assert!(
        message.ends_with("toolchains/tool.toml is wrong: release 1: `x` is no sha256 digest"),
        "{message}"
    );
}

#[test]
fn every_list_of_archives_that_rpack_brings_can_be_read() {
    let fixture = Fixture::new();
    for file in Definitions::embedded().below("toolchains", ".toml") {
        let id = file.path.trim_start_matches("toolchains/").trim_end_matches(".toml").to_owned();
        fixture.releases(&Source::Archive { id, platform: "linux/amd64".to_owned() }).unwrap();
    }
}

#[test]
fn what_a_registry_does_not_have_or_garbles_is_named() {
    let fixture = Fixture::new();
    let url = fixture.server.url();
    let unknown = |source: &Source| id(fixture.releases(source)).1.replace(&url, "URL");
    assert_eq!(unknown(&go()), "Go module `golang.org/toolchain` does not exist at URL/go");
    assert_eq!(unknown(&pypi()), "Python project `tool` does not exist at URL/simple");
    assert_eq!(unknown(&maven()), "Maven artifact `org.acme:tool` does not exist at URL/maven");
    assert_eq!(unknown(&archive()), "list of archives `tool` does not exist at toolchains/");
    for path in
        ["/go/golang.org/toolchain/@v/list", "/simple/tool/", "/maven/org/acme/tool/maven-metadata.xml"]
    {
        fixture.server.put(path, "please log in");
    }
    let answers = [go(), pypi(), maven()].map(|source| id(fixture.releases(&source)).0);
    assert_eq!(answers, ["go/answer", "pypi/answer", "maven/answer"]);
}

#[test]
fn proxies_of_a_list_stand_in_for_each_other_and_may_be_folders() {
    let mut fixture = Fixture::new();
    fixture.publish_module(&[("bin/go", "go")]);
    let folder = fixture.folder.path().join("proxy/golang.org/toolchain/@v");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("list"), "v0.0.1-go1.21.0.linux-amd64\n").unwrap();
    let versions = |fixture: &Fixture| -> Vec<String> {
        fixture.releases(&go()).unwrap().into_iter().map(|release| release.version).collect()
    };
    let local = format!("file://{}", fixture.folder.path().join("proxy").display());
    let server = fixture.mirrors["go"].clone();
    fixture.mirrors.insert("go".to_owned(), format!("{server}/none,{server},{local}"));
    assert_eq!(versions(&fixture), ["1.22.12", "1.23.4"]);
    fixture.mirrors.insert("go".to_owned(), format!("{local},{server}"));
    assert_eq!(versions(&fixture), ["1.21.0"]);
    let release = found(fixture.exact(&go(), "1.22.12"));
    assert_eq!(toolchain(&wanted("go", &release, 2), &fixture.context()).unwrap().len(), 4);
    fixture.mirrors.insert("go".to_owned(), "off".to_owned());
    let message = "rpack.toml:1 is `off`: that names no module proxy, and toolchains come from proxies only";
    assert_eq!(id(fixture.releases(&go())), ("go/no-proxy", message.to_owned()));
}

#[test]
fn hostile_zip_files_write_nothing_elsewhere() {
    let fixture = Fixture::new();
    let unpack = |bytes: Vec<u8>| {
        fixture.server.put("/maven/tool.zip", bytes.clone());
        let integrity = super::Integrity::from_hex(crate::http::Algorithm::Sha256, &Digest::of(&bytes).hex());
        let release = Release {
            version: "1".to_owned(),
            path: "tool.zip".to_owned(),
            integrity: integrity.map(|integrity| integrity.text()),
        };
        toolchain(&wanted("maven", &release, 0), &fixture.context())
    };
    for name in ["../evil", "a/../../evil"] {
        let message =
            format!("toolchain `tool` 1 cannot be unpacked: the name `{name}` leads out of the archive");
        assert_eq!(id(unpack(zip(&[(name, "x")], ""))), ("rootfs/toolchain", message));
    }
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    writer.add_symlink("link", "/etc", SimpleFileOptions::default()).unwrap();
    writer.start_file("link/passwd", SimpleFileOptions::default()).unwrap();
    let message = "toolchain `tool` 1 cannot be unpacked: `opt/tool/link/passwd` lies below `opt/tool/link`, which is no folder";
    let hostile = id(unpack(writer.finish().unwrap().into_inner()));
    assert_eq!(hostile, ("rootfs/toolchain", message.to_owned()));
    assert_eq!(id(unpack(b"PK\x03\x04".to_vec())).0, "rootfs/toolchain");
}
