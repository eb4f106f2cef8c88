//! Faults of a mirror as a user sees them: the complete output of a build.

use crate::archive::Fixture;
use crate::support::Finished;
use crate::support::debian_repository::{Package, Repository, Signing};
use crate::support::http_server::Fault;

fn package() -> String {
    format!("/debian/{}", Package::new("base-files", "13").path())
}

#[track_caller]
fn ends(finished: &Finished, status: i32, stderr: &str) {
    assert_eq!(finished.stdout, "");
    assert_eq!(finished.stderr, stderr, "{}", finished.stderr);
    assert_eq!(finished.status, status);
}

#[test]
fn passing_faults_are_not_even_mentioned() {
    let fixture = Fixture::new(7, Signing::Trusted);
    let server = &fixture.repository.server;
    server.fail(Repository::IN_RELEASE, &[Fault::Status(500), Fault::Status(503), Fault::BreakAfter(100)]);
    server.fail(&package(), &[Fault::Status(500), Fault::ResetAfter(100), Fault::BreakAfter(60)]);
    let finished = fixture.build(&[]);
    assert_eq!((finished.status, finished.stderr.as_str()), (0, ""));
    let requests = server.take_requests();
    assert_eq!(requests.iter().filter(|path| *path == Repository::IN_RELEASE).count(), 4);
    let resumed: Vec<_> = requests.iter().filter(|path| path.starts_with(&package())).collect();
    assert_eq!(
        resumed,
        [&package(), &package(), &format!("{} from 100", package()), &format!("{} from 160", package())]
    );
}

#[test]
fn a_server_that_stays_broken() {
    let fixture = Fixture::new(7, Signing::Trusted);
    fixture.repository.server.fail(Repository::IN_RELEASE, &[const { Fault::Status(500) }; 5]);
    ends(
        &fixture.build(&[]),
        75,
        "error[network/transient]: [ARCHIVE]/debian/dists/tiny/InRelease failed 5 times; the last time: it \
         answered `500 Internal Server Error`\n\nhint: run the same command again later\n",
    );
}

#[test]
fn an_archive_that_has_no_such_suite() {
    let fixture = Fixture::new(7, Signing::Trusted);
    fixture.repository.server.remove(Repository::IN_RELEASE);
    ends(
        &fixture.build(&[]),
        5,
        "error[network/status]: [ARCHIVE]/debian/dists/tiny/InRelease answered `404 Not Found`\n",
    );
}

#[test]
fn a_truncated_package() {
    let fixture = Fixture::new(7, Signing::Trusted);
    let mut bytes = fixture.repository.server.get(&package());
    let size = bytes.len();
    bytes.truncate(200);
    fixture.repository.server.put(&package(), bytes);
    ends(
        &fixture.build(&[]),
        1,
        &format!(
            "error[debian/tampered]: package `base-files 13` from [ARCHIVE]{} is not the file that Debian signed: \
             it has 200 bytes, expected {size} bytes\n\n\
             hint 1: a mirror or proxy changed the file, or it is not Debian's archive: `rpack doctor` shows where \
             its address was found\n\
             hint 2: use another mirror:\n\n    [mirror.debian]\n    url = \"https://mirror.example/debian\"\n",
            package()
        ),
    );
}

#[test]
fn a_mirror_that_changes_between_index_and_package() {
    let fixture = Fixture::new(7, Signing::Trusted);
    fixture.context.rpack(&["plan", "--definitions", fixture.definitions.to_str().unwrap()]).success();
    let path = package();
    fixture.repository.server.remove(&path);
    ends(
        &fixture.build(&[]),
        5,
        &format!(
            "error[debian/vanished]: package `base-files 13` is no longer at [ARCHIVE]{path}: the plan is older \
             than the archive, or the mirror is incomplete\n\n\
             hint 1: make the plan again: `rpack plan --json`\n\
             hint 2: use another mirror:\n\n    [mirror.debian]\n    url = \"https://mirror.example/debian\"\n"
        ),
    );
    fixture.publish(-1, Signing::Trusted);
    fixture.repository.server.remove(&path);
    ends(
        &fixture.build(&[]),
        75,
        &format!(
            "error[debian/vanished]: package `base-files 13` is no longer at [ARCHIVE]{path}: the archive has \
             changed since its index was read\n\nhint: run the same command again: the new index is here\n"
        ),
    );
    fixture.publish(-1, Signing::Trusted);
    fixture.build(&[]).success();
}
