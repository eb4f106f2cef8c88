//! Registries of each kind on a local server, and what is wrong with them.

mod archives;
mod artifacts;
mod fixture;
mod go;

use crate::plan::catalogue::Source;
use fixture::{Fixture, archive, go, id, maven, pypi};

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
