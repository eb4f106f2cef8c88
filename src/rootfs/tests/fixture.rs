//! A machine whose Debian archive is a small one made here.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::debian_repository::{Package, Release, Repository, Signing};
use crate::definitions::Definitions;
use crate::http::{Client, Options};
use crate::plan::catalogue::{Catalogue as _, RootRequest};
use crate::plan::model::Root;
use crate::rootfs::{Context, Endpoints, Machine, Purpose, compose};
use crate::store::{Kind, Store, Tree};
use crate::ui::{Diagnose, ExitCode, Progress, Reporter};

pub(super) const DAY: i64 = 86_400;

pub(super) struct Fixture {
    pub(super) repository: Repository,
    pub(super) folder: tempfile::TempDir,
    pub(super) now: i64,
}

impl Fixture {
    pub(super) fn new(packages: Vec<Package>) -> Self {
        let mut repository = Repository::new();
        for package in packages {
            repository.add(package);
        }
        let fixture = Self {
            repository,
            folder: tempfile::tempdir().unwrap(),
            now: jiff::Timestamp::now().as_second(),
        };
        fixture.publish(0, 7, Signing::Trusted);
        fixture
    }

    /// Publishes with times in days from now.
    pub(super) fn publish(&self, date: i64, valid_until: i64, signing: Signing) {
        let time = |days| self.now + days * DAY;
        self.repository.publish(Release { date: time(date), valid_until: time(valid_until), signing });
    }

    pub(super) fn context_at(&self, now: i64, offline: bool) -> Context {
        let definitions = self.folder.path().join("definitions");
        self.repository.write_definitions(&definitions);
        let definitions = Definitions::with_folder(&definitions).unwrap();
        let machine = Machine::new(PathBuf::from("/nowhere"), None, BTreeMap::new());
        let endpoints = Endpoints::new(machine, &BTreeMap::new(), &definitions).unwrap();
        let options = Options { offline, pause: Duration::from_millis(1), parallel: 4 };
        let client = Client::new(options);
        let store = Store::open(self.folder.path().join("store")).unwrap();
        Context::new(store, client, Reporter::new(Progress::Quiet), definitions, endpoints, now)
    }

    pub(super) fn context(&self) -> Context {
        self.context_at(self.now, false)
    }

    pub(super) fn resolve(&self, names: &[&str]) -> Result<Root, Box<dyn Diagnose + Send + Sync>> {
        self.context().root(&request(names, true))
    }

    pub(super) fn compose(
        &self,
        names: &[&str],
        purpose: Purpose,
    ) -> Result<Tree, Box<dyn Diagnose + Send + Sync>> {
        let context = self.context();
        let root = context.root(&request(names, purpose == Purpose::Build))?;
        Ok(compose(&root, purpose, &context)?)
    }
}

pub(super) fn request(names: &[&str], closure: bool) -> RootRequest {
    RootRequest {
        base: "debian-13".to_owned(),
        architecture: "amd64".to_owned(),
        packages: names.iter().map(|name| ((*name).to_owned(), "base".to_owned())).collect(),
        closure,
        with_dependencies: Vec::new(),
        image: None,
    }
}

pub(super) fn failure<T>(
    result: Result<T, Box<dyn Diagnose + Send + Sync>>,
) -> (&'static str, ExitCode, String) {
    let error = result.err().expect("this must fail");
    (error.id(), error.exit(), error.to_string())
}

pub(super) fn text(tree: &Tree, path: &str) -> String {
    let Some(Kind::File { content, .. }) = tree.get(path).map(|entry| &entry.kind) else {
        panic!("{path} is not a file");
    };
    String::from_utf8(content.read().unwrap().into_owned()).unwrap()
}

pub(super) fn versions(root: &Root) -> Vec<String> {
    root.packages.iter().map(|package| format!("{} {}", package.name, package.version)).collect()
}
