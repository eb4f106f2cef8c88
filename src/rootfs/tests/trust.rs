//! What a tampered, expired or unsigned archive leads to.

use super::debian_repository::{Repository, Signing, new_key};
use super::fixture::{Fixture, failure};
use crate::rootfs::Purpose;
use crate::ui::ExitCode;

#[test]
fn a_changed_package_is_refused() {
    let fixture = Fixture::new(Vec::new());
    let path = "/debian/pool/main/base-files_13_amd64.deb";
    let mut bytes = fixture.repository.server.get(path);
    *bytes.last_mut().unwrap() ^= 1;
    fixture.repository.server.put(path, bytes.clone());
    let (id, exit, message) = failure(fixture.compose(&["base-files"], Purpose::Build));
    assert_eq!((id, exit), ("debian/tampered", ExitCode::Failed));
    let url = format!("{}{path}", fixture.repository.server.url());
    assert!(
        message
            .starts_with(&format!("package `base-files 13` from {url} is not the file that Debian signed")),
        "{message}"
    );
    bytes.pop();
    fixture.repository.server.put(path, bytes);
    assert_eq!(failure(fixture.compose(&["base-files"], Purpose::Build)).0, "debian/tampered");
}

#[test]
fn metadata_that_is_expired_unsigned_changed_or_by_a_stranger_is_refused() {
    let fixture = Fixture::new(Vec::new());
    let url = format!("{}{}", fixture.repository.server.url(), Repository::IN_RELEASE);
    let refused = |id: &str, start: &str| {
        let (found, exit, message) = failure(fixture.resolve(&["base-files"]));
        assert_eq!((found, exit), (id, ExitCode::Failed), "{message}");
        assert!(message.starts_with(&format!("{url} {start}")), "{message}");
    };
    fixture.publish(-8, -1, Signing::Trusted);
    refused("debian/expired", "expired at ");
    fixture.publish(3, 7, Signing::Trusted);
    refused("debian/clock", "was made at ");
    fixture.publish(0, 7, Signing::Nobody);
    refused("debian/unsigned", "is not signed: ");
    fixture.publish(0, 7, Signing::Stranger);
    refused("debian/signature", "has no valid signature by a key of base `debian-13`");
    fixture.publish(0, 7, Signing::Trusted);
    let signed = String::from_utf8(fixture.repository.server.get(Repository::IN_RELEASE)).unwrap();
    fixture.repository.server.put(Repository::IN_RELEASE, signed.replace("Origin: Test", "Origin: Fest"));
    refused("debian/signature", "has no valid signature");
    fixture.repository.server.put(Repository::IN_RELEASE, format!("Codename: x\n{signed}"));
    refused("debian/unsigned", "is not signed: ");
}

#[test]
fn kept_metadata_counts_for_the_keys_that_it_was_verified_with() {
    let mut fixture = Fixture::new(Vec::new());
    fixture.resolve(&["base-files"]).unwrap();
    fixture.repository.server.take_requests();
    fixture.resolve(&["base-files"]).unwrap();
    fixture.repository.key = new_key("successor");
    let (id, _, message) = failure(fixture.resolve(&["base-files"]));
    assert_eq!(id, "debian/signature");
    assert!(message.contains("has no valid signature by a key of base `debian-13`"), "{message}");
    assert_eq!(fixture.repository.server.take_requests(), Vec::<String>::new());
}

#[test]
fn a_changed_index_is_refused() {
    let fixture = Fixture::new(Vec::new());
    fixture.resolve(&["base-files"]).unwrap();
    let path = fixture.repository.server.take_requests().pop().unwrap();
    assert!(path.contains("/by-hash/SHA256/"), "{path}");
    let mut bytes = fixture.repository.server.get(&path);
    bytes[20] ^= 1;
    fixture.repository.server.put(&path, bytes);
    std::fs::remove_dir_all(fixture.folder.path().join("store")).unwrap();
    let (id, _, message) = failure(fixture.resolve(&["base-files"]));
    assert_eq!(id, "debian/tampered");
    assert!(message.starts_with("the index of `tiny` from "), "{message}");
}
