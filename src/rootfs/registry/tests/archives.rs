//! Archives that a file of definitions lists.

use super::fixture::{Fixture, archive, found, id, shown, tar_gz, wanted};
use crate::definitions::Definitions;
use crate::oci::Digest;
use crate::plan::catalogue::Source;
use crate::rootfs::toolchain;

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
