//! Archives that answer badly, not at all, or otherwise than before; what is kept of their answers.

use super::debian_repository::{Package, Repository, Signing};
use super::fixture::{DAY, Fixture, failure, request, versions};
use super::http_server::Fault;
use crate::plan::catalogue::{Catalogue as _, Source};
use crate::plan::lock::{self, Resolver as _};
use crate::plan::model::Root;
use crate::rootfs::{Context, Purpose, compose};
use crate::ui::{Diagnose as _, ExitCode};

#[test]
fn equal_requests_give_equal_digests_and_the_second_asks_nothing() {
    let mut fixture = Fixture::new(Vec::new());
    let first = fixture.resolve(&["base-files"]).unwrap();
    assert!(!fixture.repository.server.take_requests().is_empty());
    assert_eq!(fixture.resolve(&["base-files"]).unwrap(), first);
    assert_eq!(fixture.repository.server.take_requests(), Vec::<String>::new());
    fixture.context_at(fixture.now + 3600, false).root(&request(&["base-files"], true)).unwrap();
    assert_eq!(fixture.repository.server.take_requests(), [Repository::IN_RELEASE]);
    fixture.repository.add_empty(&["further"]);
    fixture.publish(0, 7, Signing::Trusted);
    let later = fixture.context_at(fixture.now + 7200, false);
    assert_eq!(later.root(&request(&["base-files"], true)).unwrap(), first);
    let further = Source::Debian {
        base: "debian-13".to_owned(),
        architecture: "amd64".to_owned(),
        package: "further".to_owned(),
    };
    assert_eq!(later.releases(&further).unwrap()[0].version, "1.0");
}

#[test]
fn offline_uses_what_is_there_and_says_what_is_not() {
    let fixture = Fixture::new(Vec::new());
    let offline = |now| fixture.context_at(now, true);
    let wanted = request(&["base-files"], true);
    let (id, exit, _) = failure(offline(fixture.now).root(&wanted));
    assert_eq!((id, exit), ("network/offline", ExitCode::Network));
    fixture.compose(&["base-files"], Purpose::Build).unwrap();
    let context = offline(fixture.now + 30 * DAY);
    let root = context.root(&wanted).unwrap();
    compose(&root, Purpose::Build, &context).unwrap();
}

#[test]
fn broken_transfers_go_on_where_they_stopped() {
    let fixture = Fixture::new(Vec::new());
    let context = fixture.context();
    let root = context.root(&request(&["base-files"], true)).unwrap();
    let path = "/debian/pool/main/base-files_13_amd64.deb";
    fixture.repository.server.take_requests();
    fixture
        .repository
        .server
        .fail(path, &[Fault::BreakAfter(100), Fault::Status(503), Fault::BreakAfter(50)]);
    compose(&root, Purpose::Build, &context).unwrap();
    assert_eq!(
        fixture.repository.server.take_requests(),
        [path.to_owned(), format!("{path} from 100"), format!("{path} from 100"), format!("{path} from 150")]
    );
}

/// What `rpack lock` would keep of a root: the records of all of its packages.
fn kept(context: &Context, root: &Root) -> Vec<lock::Package> {
    let details = context.details(root).unwrap();
    let kept = |package: &crate::plan::model::Package| lock::Package {
        name: package.name.clone(),
        version: package.version.clone(),
        architecture: package.architecture.clone(),
        base: root.base.clone(),
        suite: details[&package.name].suite.clone(),
        archive: package.archive.clone(),
        path: package.path.clone(),
        size: package.size,
        sha256: package.sha256,
        date: details[&package.name].date,
        roots: vec!["build linux/amd64".to_owned()],
        needs: details[&package.name].needs.iter().cloned().collect(),
    };
    root.packages.iter().map(kept).collect()
}

#[test]
fn kept_packages_stay_even_when_the_archive_has_dropped_them() {
    let mut fixture = Fixture::new(vec![
        Package::new("app", "1").field("Depends: mail, libapp (>= 1)"),
        Package::new("libapp", "1"),
        Package::new("mailer", "1").field("Provides: mail"),
    ]);
    let context = fixture.context();
    let root = context.root(&request(&["app"], true)).unwrap();
    let kept = kept(&context, &root);
    let kept: Vec<&lock::Package> = kept.iter().collect();
    assert_eq!(kept[0].needs, ["libapp", "mailer"]);
    assert_eq!((kept[0].suite.as_str(), kept[0].date), ("tiny", fixture.now));
    assert_eq!(context.assemble(&request(&["app"], true), &kept).unwrap(), root);

    for package in ["app", "libapp"] {
        fixture.repository.replace(Package::new(package, "2"));
    }
    fixture.repository.replace(Package::new("mailer", "2").field("Provides: mail"));
    fixture.repository.add(Package::new("other", "1").field("Depends: mail, libapp"));
    fixture.repository.add(Package::new("newer", "1").field("Depends: libapp (>= 2)"));
    fixture.publish(0, 7, Signing::Trusted);
    let later = fixture.context_at(fixture.now + 3600, false);
    let keeping = |names: &[&str]| versions(&later.root_keeping(&request(names, true), &kept).unwrap());
    assert_eq!(keeping(&["app"]), ["app 1", "libapp 1", "mailer 1"]);
    assert_eq!(keeping(&["app", "other"]), ["app 1", "libapp 1", "mailer 1", "other 1"]);
    assert_eq!(keeping(&["app", "newer"]), ["app 1", "libapp 2", "mailer 1", "newer 1"]);
    assert_eq!(versions(&later.root(&request(&["app"], true)).unwrap()), ["app 2"]);
    let refused = later.root_keeping(&request(&["nothing"], true), &kept).unwrap_err();
    assert_eq!(refused.id(), "debian/unknown-package");
}

#[test]
fn an_index_without_a_copy_by_its_digest_is_fetched_by_its_path() {
    let fixture = Fixture::new(Vec::new());
    fixture.resolve(&["base-files"]).unwrap();
    let by_hash = fixture.repository.server.take_requests().pop().unwrap();
    fixture.repository.server.remove(&by_hash);
    std::fs::remove_dir_all(fixture.folder.path().join("store")).unwrap();
    fixture.resolve(&["base-files"]).unwrap();
    let path = "/debian/dists/tiny/main/binary-amd64/Packages.gz";
    assert_eq!(fixture.repository.server.take_requests(), [Repository::IN_RELEASE, by_hash.as_str(), path]);
}

/// A store with the InRelease of before, and a mirror that has changed since.
fn moved_on() -> (Fixture, String) {
    let mut fixture = Fixture::new(Vec::new());
    fixture.resolve(&["base-files"]).unwrap();
    let by_hash = fixture.repository.server.take_requests().pop().unwrap();
    // The index was never needed again, as after a change of the architecture or the table's form.
    for entry in std::fs::read_dir(fixture.folder.path().join("store/metadata")).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_str().unwrap().starts_with("packages-") {
            std::fs::remove_file(path).unwrap();
        }
    }
    fixture.repository.add_empty(&["further"]);
    fixture.publish(0, 7, Signing::Trusted);
    fixture.repository.server.remove(&by_hash);
    (fixture, by_hash)
}

#[test]
fn a_mirror_that_changes_before_its_index_is_fetched_is_asked_again() {
    let (fixture, by_hash) = moved_on();
    let root = fixture.resolve(&["further"]).unwrap();
    assert_eq!(root.packages[0].name, "further");
    let requests = fixture.repository.server.take_requests();
    assert_eq!(
        requests[..3],
        [by_hash.as_str(), "/debian/dists/tiny/main/binary-amd64/Packages.gz", Repository::IN_RELEASE]
    );
    assert_eq!(requests.len(), 4, "{requests:?}");
}

#[test]
fn a_package_that_the_archive_has_dropped_is_said_to_be_gone() {
    let fixture = Fixture::new(Vec::new());
    let context = fixture.context();
    let root = context.root(&request(&["base-files"], true)).unwrap();
    let path = "/debian/pool/main/base-files_13_amd64.deb";
    fixture.repository.server.remove(path);
    let gone = |root| {
        let error = compose(root, Purpose::Build, &context).unwrap_err();
        (error.id(), error.exit(), error.to_string(), error.hints())
    };
    let url = format!("{}{path}", fixture.repository.server.url());
    let (id, exit, message, _) = gone(&root);
    assert_eq!((id, exit), ("debian/vanished", ExitCode::Network));
    let start = format!("package `base-files 13` is no longer at {url}: ");
    assert_eq!(message, format!("{start}the plan is older than the archive, or the mirror is incomplete"));

    fixture.publish(-1, 6, Signing::Trusted);
    fixture.repository.server.remove(path);
    let (id, exit, message, hints) = gone(&root);
    assert_eq!((id, exit), ("debian/vanished", ExitCode::Retry));
    assert_eq!(message, format!("{start}the archive has changed since its index was read"));
    assert_eq!(hints, ["run the same command again: the new index is here"]);
}
