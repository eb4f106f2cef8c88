//! Where registries are: the addresses follow the machine.
//!
//! In: rpack's own `mirror.*`, the machine's configuration files and environment, `bases/registries.toml`. Out: an
//! [`Endpoint`] per ecosystem, with the place it was found. The order is rpack's configuration, the ecosystem's
//! own configuration read as its client reads it, what the client on the host answers or carries in itself, the data
//! file. Each is looked up when it is first needed, because asking a client takes time.

mod apt;
mod client;
mod goenv;
mod maven;
mod npmrc;
mod pip;
mod pip_conf;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde::{Deserialize, Serialize};

pub(crate) use pip_conf::PipConf;

use super::Error;
use super::registry::Database;
use crate::config::Resolved;
use crate::definitions::Definitions;
use crate::observe::Observer;
use crate::store::Store;

/// A registry or mirror.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Endpoint {
    /// Its address.
    pub url: String,
    /// Where the address was found: `/etc/apt/sources.list:3`, `rpack.toml:7`, `npm config get registry`.
    pub origin: String,
}

/// What is read of the machine.
#[derive(Clone, Debug)]
pub struct Machine {
    /// The root directory: `/`; a folder in tests.
    pub root: PathBuf,
    /// The user's home directory.
    pub home: Option<PathBuf>,
    /// The environment variables.
    pub environment: BTreeMap<String, String>,
    /// Takes note of what is read.
    pub observer: Observer,
    /// Where answers of clients are kept, as those of registries are.
    pub answers: Option<Store>,
}

impl Machine {
    /// A machine of which nobody takes note, and whose clients' answers are not kept.
    pub fn new(root: PathBuf, home: Option<PathBuf>, environment: BTreeMap<String, String>) -> Self {
        Self { root, home, environment, observer: Observer::default(), answers: None }
    }

    /// The text of a file of settings, if there is one.
    fn read(&self, path: &Path) -> Option<String> {
        self.observer.file(path);
        fs::read_to_string(path).ok()
    }
}

/// The addresses of all ecosystems.
#[derive(Debug)]
pub struct Endpoints {
    machine: Machine,
    mirrors: BTreeMap<String, Endpoint>,
    registries: Registries,
    found: Mutex<BTreeMap<String, Endpoint>>,
}

/// `bases/registries.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Registries {
    apt: AptRules,
    go_checksums: Checksums,
    #[serde(flatten)]
    ecosystems: BTreeMap<String, Registry>,
}

#[derive(Clone, Debug, Deserialize)]
struct Registry {
    url: String,
}

/// Go's checksum database when the machine names none.
#[derive(Clone, Debug, Deserialize)]
struct Checksums {
    key: String,
}

/// How Debian's own archive is recognised among apt's sources.
#[derive(Clone, Debug, Deserialize)]
struct AptRules {
    codenames: Vec<String>,
    keyrings: Vec<String>,
}

const FILE: &str = "bases/registries.toml";

/// Ecosystems whose client in the sandbox knows a default of its own, which stands in no data file.
pub const CLIENTS: [&str; 2] = ["go", "pypi"];

impl Endpoints {
    /// Reads the data file; the machine is looked at on demand.
    ///
    /// # Errors
    /// When the data file is wrong.
    pub fn new(
        machine: Machine,
        mirrors: &BTreeMap<String, Resolved<String>>,
        definitions: &Definitions,
    ) -> Result<Self, Error> {
        let wrong = |reason: String| Error::Definition { file: FILE.to_owned(), reason };
        let file = definitions.get(FILE).ok_or_else(|| wrong("it is missing".to_owned()))?;
        let text = std::str::from_utf8(&file.bytes).map_err(|error| wrong(error.to_string()))?;
        let registries = toml::from_str(text).map_err(|error| wrong(error.to_string()))?;
        let mirrors = mirrors
            .iter()
            .map(|(name, mirror)| {
                let origin = mirror.origin.to_string();
                (name.clone(), Endpoint { url: mirror.value.clone(), origin })
            })
            .collect();
        Ok(Self { machine, mirrors, registries, found: Mutex::default() })
    }

    /// The address of `ecosystem` that rpack's configuration or the machine states; none where a client would use
    /// its own default.
    pub fn stated(&self, ecosystem: &str) -> Option<Endpoint> {
        self.mirrors.get(ecosystem).cloned().or_else(|| self.of_machine(ecosystem))
    }

    /// Go's checksum database (<https://go.dev/ref/mod#checksum-database>), for toolchains: they are verified
    /// whatever `GONOSUMDB` and `GOPRIVATE` say, because no `go.sum` can list them. So does the go command.
    ///
    /// # Errors
    /// When the machine turns it off, or names one whose key is not known.
    pub(super) fn checksums(&self) -> Result<Database, Error> {
        let known = self.registries.go_checksums.key.as_str();
        let stated = goenv::checksums(&self.machine);
        let text = stated.as_ref().map_or(known, |endpoint| endpoint.url.as_str());
        Database::parse(text, known).ok_or_else(|| Error::NoChecksums {
            text: text.to_owned(),
            origin: stated.as_ref().map_or_else(|| FILE.to_owned(), |endpoint| endpoint.origin.clone()),
        })
    }

    /// The address of `ecosystem`: `debian`, `debian-security`, `npm`.
    ///
    /// # Errors
    /// When no address is known.
    pub fn find(&self, ecosystem: &str) -> Result<Endpoint, Error> {
        let mut found = self.found.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(endpoint) = found.get(ecosystem) {
            return Ok(endpoint.clone());
        }
        let endpoint = self
            .stated(ecosystem)
            .or_else(|| self.of_client(ecosystem))
            .or_else(|| self.of_data(ecosystem))
            .ok_or_else(|| Error::Endpoint { ecosystem: ecosystem.to_owned() })?;
        found.insert(ecosystem.to_owned(), endpoint.clone());
        Ok(endpoint)
    }

    /// All ecosystems that have an address.
    pub fn all(&self) -> BTreeMap<String, Endpoint> {
        let by_client = CLIENTS.map(str::to_owned);
        let maven = "maven".to_owned();
        let names =
            self.mirrors.keys().chain(self.registries.ecosystems.keys()).chain(&by_client).chain([&maven]);
        names.filter_map(|name| Some((name.clone(), self.find(name).ok()?))).collect()
    }

    fn of_machine(&self, ecosystem: &str) -> Option<Endpoint> {
        match ecosystem {
            "debian" => apt::find(&self.machine, &self.registries.apt, false),
            "debian-security" => apt::find(&self.machine, &self.registries.apt, true),
            "go" => goenv::proxies(&self.machine),
            "maven" => maven::find(&self.machine),
            "npm" => npmrc::find(&self.machine),
            "pypi" => pip::find(&self.machine),
            _ => None,
        }
    }

    /// The default that a client on the machine carries in itself and that asking takes longer for.
    fn of_client(&self, ecosystem: &str) -> Option<Endpoint> {
        (ecosystem == "pypi").then(|| pip::ask(&self.machine)).flatten()
    }

    fn of_data(&self, ecosystem: &str) -> Option<Endpoint> {
        let registry = self.registries.ecosystems.get(ecosystem)?;
        Some(Endpoint { url: registry.url.clone(), origin: FILE.to_owned() })
    }
}

/// An address that may be used: http or https with a host, without a slash at the end.
fn address(text: &str) -> Option<String> {
    let text = text.trim().trim_end_matches('/');
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"))?;
    (!host.is_empty() && !host.starts_with('/') && !host.contains(char::is_whitespace))
        .then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::{Endpoint, Endpoints, Machine};
    use crate::config::{Origin, Resolved};
    use crate::definitions::Definitions;

    struct Fake {
        folder: tempfile::TempDir,
        environment: BTreeMap<String, String>,
        mirrors: BTreeMap<String, Resolved<String>>,
        store: Option<crate::store::Store>,
    }

    impl Fake {
        fn new(files: &[(&str, &str)]) -> Self {
            let folder = tempfile::tempdir().unwrap();
            for (path, text) in files {
                let path = folder.path().join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
            Self { folder, environment: BTreeMap::new(), mirrors: BTreeMap::new(), store: None }
        }

        fn find(&self, ecosystem: &str) -> (String, String) {
            let root = self.folder.path().to_owned();
            let machine = Machine {
                answers: self.store.clone(),
                ..Machine::new(root.clone(), Some(root.join("home/me")), self.environment.clone())
            };
            let endpoints = Endpoints::new(machine, &self.mirrors, &Definitions::embedded()).unwrap();
            let Endpoint { url, origin } = endpoints.find(ecosystem).unwrap();
            (url, origin.replace(root.to_str().unwrap(), ""))
        }
    }

    fn pair(url: &str, origin: &str) -> (String, String) {
        (url.to_owned(), origin.to_owned())
    }

    #[test]
    fn apts_sources_in_both_formats_lead_to_debians_archives() {
        let lines = "# comment\ndeb-src http://no.example/debian trixie main\n\
                     deb http://other.example/tools bookworm stable\n\
                     deb [signed-by=/etc/apt/keyrings/x.gpg] http://third.example/debian bookworm main\n\
                     deb [arch=amd64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://one.example/debian/ bookworm main contrib\n\
                     deb http://one.example/debian-security bookworm-security main\n";
        let fake = Fake::new(&[("etc/apt/sources.list", lines)]);
        assert_eq!(fake.find("debian"), pair("http://one.example/debian", "/etc/apt/sources.list:5"));
        assert_eq!(
            fake.find("debian-security"),
            pair("http://one.example/debian-security", "/etc/apt/sources.list:6")
        );

        let stanzas = "Types: deb\nURIs: http://off.example/debian\nSuites: trixie\nComponents: main\nEnabled: no\n\n\
                       # our mirror\nTypes: deb deb-src\nURIs: mirror+file:/x https://two.example/debian\n\
                       Suites: trixie\n trixie-updates\nComponents: main\n\n\
                       Types: deb\nURIs: https://two.example/sec\nSuites: trixie-security\nComponents: main\n";
        let fake = Fake::new(&[("etc/apt/sources.list.d/debian.sources", stanzas)]);
        let file = "/etc/apt/sources.list.d/debian.sources";
        assert_eq!(fake.find("debian"), pair("https://two.example/debian", &format!("{file}:8")));
        assert_eq!(fake.find("debian-security"), pair("https://two.example/sec", &format!("{file}:14")));
    }

    #[test]
    fn without_configuration_the_data_file_answers() {
        let fake = Fake::new(&[("etc/apt/sources.list", "deb http://x.example/ubuntu noble main\n")]);
        assert_eq!(fake.find("debian"), pair("http://ftp.debian.org/debian", "bases/registries.toml"));
        assert_eq!(fake.find("npm"), pair("https://registry.yarnpkg.com", "bases/registries.toml"));
    }

    #[test]
    fn pythons_index_is_looked_up_as_pip_does() {
        let files = [
            ("home/me/.config/pip/pip.conf", "[freeze]\nindex-url = https://no.example/\n"),
            (
                "etc/pip.conf",
                "[install]\nindex_url:\n  https://py.example/simple/\n[global]\ncert = /x\nindex-url = https://all.example/\n",
            ),
        ];
        let mut fake = Fake::new(&files);
        assert_eq!(fake.find("pypi"), pair("https://py.example/simple", "/etc/pip.conf:2"));
        fake.environment.insert("PIP_INDEX_URL".to_owned(), "https://env.example/simple".to_owned());
        assert_eq!(fake.find("pypi"), pair("https://env.example/simple", "environment PIP_INDEX_URL"));
    }

    #[test]
    fn uvs_settings_come_before_pips() {
        let fake = Fake::new(&[
            ("etc/pip.conf", "[global]\nindex-url = https://pip.example/simple\n"),
            (
                "home/me/.config/uv/uv.toml",
                "[[index]]\nurl = \"https://extra.example\"\n[[index]]\nurl = \"https://uv.example/simple\"\ndefault = true\n",
            ),
        ]);
        assert_eq!(fake.find("pypi"), pair("https://uv.example/simple", "/home/me/.config/uv/uv.toml"));
    }

    #[test]
    fn mavens_repository_is_the_mirror_of_central() {
        let mirror = |covered: &str, url: &str| {
            format!("<mirror><id>m</id><mirrorOf>{covered}</mirrorOf><url>{url}</url></mirror>\n")
        };
        let settings = |mirrors: &[String]| {
            format!(
                "<settings xmlns=\"http://maven.apache.org/SETTINGS/1.0.0\">\n<mirrors>\n{}</mirrors>\n</settings>",
                mirrors.concat()
            )
        };
        let user = settings(&[
            mirror("other", "https://other.example"),
            mirror("*,!central", "https://not.example"),
            mirror("central", "https://maven.example/repo/"),
        ]);
        let global = settings(&[mirror("external:*", "https://global.example/maven2")]);
        let mut fake =
            Fake::new(&[("home/me/.m2/settings.xml", &user), ("opt/maven/conf/settings.xml", &global)]);
        fake.environment.insert(
            "MAVEN_HOME".to_owned(),
            fake.folder.path().join("opt/maven").to_str().unwrap().to_owned(),
        );
        assert_eq!(fake.find("maven"), pair("https://maven.example/repo", "/home/me/.m2/settings.xml:5"));
        fs::remove_file(fake.folder.path().join("home/me/.m2/settings.xml")).unwrap();
        assert_eq!(
            fake.find("maven"),
            pair("https://global.example/maven2", "/opt/maven/conf/settings.xml:3")
        );
    }

    #[test]
    fn gos_proxies_are_a_list() {
        let mut fake =
            Fake::new(&[("home/me/.config/go/env", "GOFLAGS=-x\nGOPROXY=https://go.example,direct\n")]);
        assert_eq!(fake.find("go"), pair("https://go.example,direct", "/home/me/.config/go/env:2"));
        fake.environment.insert("GOPROXY".to_owned(), "off".to_owned());
        assert_eq!(fake.find("go"), pair("off", "environment GOPROXY"));
    }

    #[test]
    fn npms_registry_is_looked_up_as_npm_does() {
        let npmrc = "; mine\nregistry = \"https://${HOST}/npm/\"\n@scope:registry=https://scope.example\n";
        let mut fake = Fake::new(&[
            ("home/me/.npmrc", npmrc),
            ("etc/npmrc", "registry=https://global.example/\n"),
            ("bin/npm", "#!/bin/sh\necho https://asked.example/\n"),
        ]);
        let npm = fake.folder.path().join("bin/npm");
        fs::set_permissions(&npm, fs::Permissions::from_mode(0o755)).unwrap();
        fake.environment.insert("PATH".to_owned(), npm.parent().unwrap().to_str().unwrap().to_owned());
        fake.environment.insert("HOST".to_owned(), "user.example".to_owned());
        assert_eq!(fake.find("npm"), pair("https://user.example/npm", "/home/me/.npmrc:2"));
        fs::remove_file(fake.folder.path().join("home/me/.npmrc")).unwrap();
        assert_eq!(fake.find("npm"), pair("https://global.example", "/etc/npmrc:1"));
        fs::remove_file(fake.folder.path().join("etc/npmrc")).unwrap();
        assert_eq!(fake.find("npm"), pair("https://asked.example", "npm config get registry"));
        fake.environment.insert("NPM_CONFIG_REGISTRY".to_owned(), "https://env.example/".to_owned());
        assert_eq!(fake.find("npm"), pair("https://env.example", "environment NPM_CONFIG_REGISTRY"));
        let origin = Origin::File { path: "rpack.toml".to_owned(), line: 3, column: 1 };
        let mirror = Resolved { value: "https://own.example".to_owned(), origin, passed_over: Vec::new() };
        fake.mirrors.insert("npm".to_owned(), mirror);
        assert_eq!(fake.find("npm"), pair("https://own.example", "rpack.toml:3"));
    }

    #[test]
    fn a_client_is_asked_once_in_the_same_surroundings() {
        let mut fake = Fake::new(&[("bin/npm", "#!/bin/sh\necho https://asked.example\necho >>$COUNT\n")]);
        let root = fake.folder.path().to_owned();
        fs::set_permissions(root.join("bin/npm"), fs::Permissions::from_mode(0o755)).unwrap();
        let set = |fake: &mut Fake, name: &str, value: &str| {
            fake.environment.insert(name.to_owned(), value.to_owned());
        };
        set(&mut fake, "PATH", root.join("bin").to_str().unwrap());
        set(&mut fake, "COUNT", root.join("count").to_str().unwrap());
        fake.store = Some(crate::store::Store::open(root.join("store")).unwrap());
        let count = || fs::read(root.join("count")).unwrap().len();
        let asked = pair("https://asked.example", "npm config get registry");
        for _ in 0..3 {
            assert_eq!((fake.find("npm"), count()), (asked.clone(), 1));
        }
        set(&mut fake, "npm_config_//registry.example/:_authToken", "another");
        assert_eq!((fake.find("npm"), count()), (asked.clone(), 1));
        set(&mut fake, "npm_config_scope", "@shop");
        assert_eq!((fake.find("npm"), count()), (asked, 2));
    }
}
