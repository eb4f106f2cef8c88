//! Toolchains of Go, which a checksum database vouches for.

use super::fixture::{Fixture, LOOKUP, MODULE, found, go, id, shown, wanted, zip};
use crate::rootfs::toolchain;

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
