//! What a site is made of, and that no request and no index can harm the server's own functions.

use proptest::prelude::*;

use super::server::answer::{answer, refuse};
use super::server::index::{Index, Route};
use super::server::request::{Parsed, parse};
use super::server::write::Buffer;
use super::{INDEX, headers, pack, redirects};
use crate::plan::model::Site;
use crate::store::{Content, Entry, Kind, Tree};
use crate::ui::Diagnose as _;

fn site(roots: &[&str]) -> Site {
    Site {
        roots: roots.iter().map(|root| (*root).to_owned()).collect(),
        exclude: Vec::new(),
        fallback: None,
        not_found: None,
        listing: false,
        dot_files: false,
    }
}

fn tree(files: &[(&str, &str)]) -> Tree {
    let mut tree: Tree = files.iter().map(|(path, text)| ((*path).to_owned(), Entry::bytes(*text))).collect();
    tree.add_parents();
    tree
}

fn paths(tree: &Tree) -> Vec<&str> {
    tree.iter().map(|(path, _)| path).collect()
}

fn index(tree: &Tree) -> Vec<u8> {
    match &tree.get(INDEX).unwrap().kind {
        Kind::File { content: Content::Bytes(bytes), .. } => bytes.clone(),
        other => panic!("{other:?}"),
    }
}

/// The head that answers a request.
fn head(index: &[u8], request: &str) -> String {
    let mut buffer = [0; 8192];
    let mut out = Buffer::new(&mut buffer);
    match parse(request.as_bytes()) {
        Parsed::Complete(head, length) => {
            assert_eq!(length, request.len());
            answer(&head, Index::new(index).unwrap(), 784_111_777, &mut out);
        }
        Parsed::Refused(status) => {
            refuse(status, 784_111_777, &mut out);
        }
        Parsed::Incomplete => panic!("{request:?} is no whole head"),
    }
    String::from_utf8(out.written().unwrap().to_vec()).unwrap().replace("\r\n", "\n")
}

fn refusal(site: &Site, work: &Tree) -> String {
    let error = pack(site, work).unwrap_err();
    format!("error[{}]: {error}\nhint: {}", error.id(), error.hints().join("\nhint: "))
}

#[test]
fn the_first_folder_with_a_page_is_the_root() {
    let work = tree(&[("app/public/robots.txt", ""), ("app/dist/index.html", "x"), ("app/index.html", "y")]);
    let packed = pack(&site(&["app/public", "app/dist", "app"]), &work).unwrap();
    assert_eq!(paths(&packed), ["app/dist/index.html", INDEX]);
}

#[test]
fn links_are_the_files_that_they_lead_to_inside_the_root() {
    let mut work = tree(&[("app/dist/index.html", "x"), ("app/secret", "s")]);
    work.insert("app/dist/home.html", Entry::symlink("index.html"));
    work.insert("app/dist/out", Entry::symlink("../secret"));
    work.insert("app/dist/loop", Entry::symlink("loop"));
    work.insert("app/dist/host", Entry::symlink("/etc/passwd"));
    let packed = pack(&site(&["app/dist"]), &work).unwrap();
    assert_eq!(paths(&packed), ["app/dist/index.html", INDEX]);
    let bytes = index(&packed);
    let found = |path: &[u8]| Index::new(&bytes).unwrap().find(path).is_some();
    assert!(found(b"/home") && found(b"/home.html") && found(b"/"));
    assert!(!found(b"/out") && !found(b"/loop") && !found(b"/host"));
}

#[test]
fn folders_are_listed_only_when_asked_for() {
    let work = tree(&[("app/files/a <b>.txt", "1"), ("app/files/sub/c&d.txt", "2")]);
    let listed = pack(&Site { listing: true, ..site(&["app/files"]) }, &work).unwrap();
    let page = |path: &str| match &listed.get(path).unwrap().kind {
        Kind::File { content: Content::Bytes(bytes), .. } => String::from_utf8(bytes.clone()).unwrap(),
        other => panic!("{other:?}"),
    };
    insta::assert_snapshot!(format!(
        "{}\n{}",
        page("usr/share/rpack/compressed/app/files/index.html"),
        page("usr/share/rpack/compressed/app/files/sub/index.html")
    ));
    insta::assert_snapshot!("not_listed", refusal(&site(&["app/files"]), &work));
}

#[test]
fn equal_files_give_equal_sites() {
    let text = "body { margin: 0 }\n".repeat(200);
    let work = tree(&[("app/index.html", &text), ("app/a.css", &text), ("app/b/c.js", &text)]);
    let (first, second) = (pack(&site(&["app"]), &work).unwrap(), pack(&site(&["app"]), &work).unwrap());
    assert_eq!(first, second);
    assert_eq!(
        paths(&first),
        [
            "app/a.css",
            "app/b/c.js",
            "app/index.html",
            "usr/share/rpack/compressed/app/a.css.gz",
            "usr/share/rpack/compressed/app/a.css.zst",
            "usr/share/rpack/compressed/app/b/c.js.gz",
            "usr/share/rpack/compressed/app/b/c.js.zst",
            "usr/share/rpack/compressed/app/index.html.gz",
            "usr/share/rpack/compressed/app/index.html.zst",
            INDEX,
        ]
    );
}

#[test]
fn what_a_builder_compressed_is_used_when_it_is_the_same_file() {
    let text = "let x = 1;\n".repeat(200);
    let mut work = tree(&[("app/index.html", "x"), ("app/a.js", &text), ("app/b.js", &text)]);
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut gz, text.as_bytes()).unwrap();
    work.insert("app/a.js.gz", Entry::bytes(gz.finish().unwrap()));
    work.insert("app/a.js.br", Entry::bytes("brotli"));
    work.insert("app/b.js.gz", Entry::bytes("stale"));
    let packed = pack(&site(&["app"]), &work).unwrap();
    let made: Vec<&str> =
        paths(&packed).into_iter().filter(|path| path.starts_with("usr/share/rpack/c")).collect();
    assert_eq!(
        made,
        [
            "usr/share/rpack/compressed/app/a.js.zst",
            "usr/share/rpack/compressed/app/b.js.gz",
            "usr/share/rpack/compressed/app/b.js.zst",
        ]
    );
    let answered =
        head(&index(&packed), "GET /a.js HTTP/1.1\r\nHost: x\r\nAccept-Encoding: br, gzip\r\n\r\n");
    insta::assert_snapshot!(answered);
}

#[test]
fn what_cannot_be_served_is_an_error_with_its_place() {
    let none = tree(&[("app/readme.txt", "")]);
    let page = tree(&[("app/dist/index.html", "")]);
    let with = |name: &str, text: &str| {
        let mut work = page.clone();
        work.insert(format!("app/dist/{name}"), Entry::bytes(text));
        refusal(&site(&["app/dist"]), &work)
    };
    let texts = [
        refusal(&site(&["app/dist"]), &none),
        refusal(&site(&["app/public", "app"]), &none),
        refusal(&Site { fallback: Some("app.html".to_owned()), ..site(&["app/dist"]) }, &page),
        with("_headers", "X-A: b\n"),
        with("_headers", "/*\n  X-A\n"),
        with("_headers", "/*\n  Content-Length: 4\n"),
        with("_headers", "/*\n  X-A: a\u{7f}\n"),
        with("_headers", "/a*b\n"),
        with("_redirects", "/a\n"),
        with("_redirects", "/a /b 418\n"),
        with("_redirects", "# x\n\n/a b 301\n"),
        with("_redirects", "/a /b 301 Country=de\n"),
        with("_redirects", "/api/* https://api.example/:splat 200\n"),
        with("_redirects", "/%ff /b\n"),
        with("_redirects", "/* /none.html 200\n"),
    ];
    insta::assert_snapshot!(texts.join("\n\n"));
}

#[test]
fn rules_read_as_written() {
    let text =
        "/a /b#part # a comment\n/* /index.html 200\n/c/* https://x.example/:splat 302!\n/d%20e /f g\n";
    let error = redirects::parse("_redirects", text).unwrap_err();
    assert_eq!(
        error.to_string(),
        "_redirects:4: `g` is no status of a rule: 301, 302, 303, 307, 308, 200 and 404 are"
    );
    let text = text.replace(" g\n", "\n");
    insta::assert_debug_snapshot!(redirects::parse("_redirects", &text).unwrap());
    assert!(headers::Headers::parse("_headers", "# nothing\n\n").is_ok());
}

#[test]
fn dates_are_those_of_the_calendar() {
    for (seconds, expected) in [
        (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
        (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
        (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
        (1_709_164_799, "Wed, 28 Feb 2024 23:59:59 GMT"),
        (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
        (253_402_300_799, "Fri, 31 Dec 9999 23:59:59 GMT"),
    ] {
        let mut buffer = [0; 64];
        let mut out = Buffer::new(&mut buffer);
        out.date(seconds);
        assert_eq!(std::str::from_utf8(out.written().unwrap()).unwrap(), expected);
    }
}

#[test]
fn the_servers_are_small_static_programs_that_name_no_folder() {
    for platform in ["linux/amd64", "linux/arm64"] {
        let binary = super::binary(platform).unwrap();
        assert_eq!(&binary[..4], b"\x7fELF", "{platform}");
        assert!(binary.len() < 60_000, "{platform}: {} bytes", binary.len());
        for folder in ["/app", "/home", "/root", "/tmp", "/usr/src", "/work", ".cargo", "rustlib"] {
            let found = binary.windows(folder.len()).any(|window| window == folder.as_bytes());
            assert!(!found, "the server for {platform} names `{folder}`");
        }
    }
    assert_eq!(super::binary("linux/riscv64"), None);
}

proptest! {
    #[test]
    fn any_bytes_are_read_as_a_request(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        parse(&bytes);
    }

    #[test]
    fn any_request_is_answered_from_the_site(
        method in "GET|HEAD|PUT",
        path in "(/|%2e|%2F|[.]{1,2}|a|index.html|[?#]|%|\u{e9}| ){0,12}",
        name in "Range|If-None-Match|Accept|Accept-Encoding|If-Range|Connection",
        value in "(bytes=|[0-9]{1,20}|-|,|;q=|[*]|gzip|W/|\"| |text/html){0,8}",
    ) {
        let work = tree(&[("app/index.html", "x"), ("app/a/index.html", "y"), ("app/_redirects", "/:x/* /a/:splat/:x\n")]);
        let bytes = index(&pack(&Site { fallback: Some("index.html".to_owned()), ..site(&["app"]) }, &work).unwrap());
        let answered = head(&bytes, &format!("{method} {path} HTTP/1.1\r\nHost: x\r\n{name}: {value}\r\n\r\n"));
        let location = answered.lines().find_map(|line| line.strip_prefix("Location: "));
        prop_assert!(location.is_none_or(|to| to.starts_with('/') && !to.starts_with("//")), "{answered}");
    }

    #[test]
    fn a_broken_index_gives_no_answers_and_no_harm(
        places in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
    ) {
        let work = tree(&[("app/index.html", "x"), ("app/a/index.html", "y"), ("app/_redirects", "/:x/* /a/:splat\n")]);
        let mut bytes = index(&pack(&site(&["app"]), &work).unwrap());
        for (place, byte) in places {
            let at = place.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(index) = Index::new(&bytes) {
            for path in ["/", "/a", "/a/", "/x/y"] {
                if let Some(Route::File(variants)) = index.find(path.as_bytes()) {
                    variants.iter().take(100).count();
                }
            }
            index.rules().take(100).count();
            prop_assert!(index.fallback().is_none_or(|page| page.iter().take(9).count() < 10));
            prop_assert!(index.not_found().is_none_or(|page| page.iter().take(9).count() < 10));
        }
    }
}
