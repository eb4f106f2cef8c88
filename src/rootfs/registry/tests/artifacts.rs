//! Wheels and artefacts of Maven repositories, and zip files that hold what they should not.

use std::io::Cursor;

use sha2::{Digest as _, Sha512};
use zip::write::SimpleFileOptions;

use super::fixture::{Fixture, found, hex, id, maven, pypi, shown, tar_gz, wanted, zip};
use crate::http_server::{Fault, Server};
use crate::oci::Digest;
use crate::plan::catalogue::Release;
use crate::rootfs::toolchain;

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
fn hostile_zip_files_write_nothing_elsewhere() {
    let fixture = Fixture::new();
    let unpack = |bytes: Vec<u8>| {
        fixture.server.put("/maven/tool.zip", bytes.clone());
        let integrity = crate::rootfs::registry::Integrity::from_hex(
            crate::http::Algorithm::Sha256,
            &Digest::of(&bytes).hex(),
        );
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
