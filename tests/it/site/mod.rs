//! What the server of static sites answers: real sockets, complete answers.

#![expect(clippy::unwrap_used, reason = "a failed step of a test ends the test")]

mod connections;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use rpack::plan::model::Site;
use rpack::store::{Content, Entry, Kind, Tree};
use tempfile::TempDir;

use crate::support::server::{Server, free_port};

/// A site in a folder of its own, and its server.
struct Served {
    _folder: TempDir,
    server: Server,
    port: u16,
}

fn site(fallback: Option<&str>) -> Site {
    Site {
        roots: vec!["app/dist".to_owned()],
        exclude: vec!["app/dist/*.md".to_owned()],
        fallback: fallback.map(str::to_owned),
        not_found: None,
        listing: false,
        dot_files: false,
    }
}

fn tree(files: &[(&str, &str)]) -> Tree {
    let mut tree: Tree =
        files.iter().map(|(path, text)| (format!("app/dist/{path}"), Entry::bytes(*text))).collect();
    tree.add_parents();
    tree
}

fn write(tree: &Tree, folder: &Path) {
    for (path, entry) in tree.iter() {
        if let Kind::File { content: Content::Bytes(bytes), .. } = &entry.kind {
            let path = folder.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
    }
}

/// The command of the server for what is in `folder`.
fn command(folder: &Path) -> Command {
    let bytes = folder.join("bytes");
    fs::write(&bytes, rpack::site::binary(rpack::pipeline::machine()).unwrap()).unwrap();
    // Another process makes the executable: a fork while this one has it open for writing would keep it busy.
    let program = folder.join("rpack-site");
    let installed = Command::new("install").args(["-m", "755"]).arg(&bytes).arg(&program).status();
    assert!(installed.unwrap().success());
    let mut command = Command::new(program);
    command.arg("--root").arg(folder).env_clear();
    command
}

impl Served {
    fn new(site: &Site, work: &Tree) -> Self {
        let folder = TempDir::new().unwrap();
        write(&rpack::site::pack(site, work).unwrap(), folder.path());
        let port = free_port();
        let mut command = command(folder.path());
        command.env("PORT", port.to_string());
        let mut server = Server::start(command);
        server.get(port, "/first");
        Self { _folder: folder, server, port }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    /// Sends bytes and reads until the server closes.
    fn raw(&self, request: &[u8]) -> Vec<u8> {
        let mut stream = self.connect();
        stream.write_all(request).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        answer
    }

    /// The complete answer to a request with these header lines.
    fn ask(&self, line: &str, headers: &[&str]) -> String {
        let headers: String = headers.iter().flat_map(|header| [*header, "\r\n"]).collect();
        let request = format!("{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n");
        shown(&self.raw(request.as_bytes()))
    }

    /// The first line of the answer, and the first of its body.
    fn brief(&self, line: &str, headers: &[&str]) -> String {
        let answer = self.ask(line, headers);
        let (head, body) = answer.split_once("\n\n").unwrap();
        let location = head.lines().find(|line| line.starts_with("Location: "));
        let status = head.lines().next().unwrap().trim_start_matches("HTTP/1.1 ");
        [status, location.unwrap_or_default(), body.lines().next().unwrap_or_default()]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join(" | ")
    }

    fn end(self) -> Output {
        self.server.terminate()
    }
}

/// An answer with plain line ends, without its date; what is no text is counted.
fn shown(answer: &[u8]) -> String {
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").map_or(answer.len(), |at| at + 4);
    let head = String::from_utf8(answer[..end].to_vec()).unwrap().replace("\r\n", "\n");
    let head: String = head
        .split_inclusive('\n')
        .filter(|line| !line.starts_with("Date: ") && *line != "Connection: close\n")
        .collect();
    match std::str::from_utf8(&answer[end..]) {
        Ok(body) => head + body,
        Err(_) => format!("{head}[{} bytes]", answer.len() - end),
    }
}

fn example() -> Tree {
    let long = "body { margin: 0 }\n".repeat(60);
    tree(&[
        ("index.html", "home"),
        ("about.html", "about"),
        ("docs/index.html", "docs"),
        ("docs/a b.html", "spaces"),
        ("both", "file"),
        ("both.html", "page"),
        ("style.css", &long),
        ("assets/app-D7hW2mPq.js", "app"),
        ("data.unknown", "0123456789"),
        ("404.html", "nothing here"),
        (".env", "SECRET=1"),
        (".well-known/security.txt", "contact"),
        ("README.md", "readme"),
        ("_headers", "/docs/*\n  X-Robots-Tag: noindex\n  Cache-Control: max-age=60\n/*.js\n"),
    ])
}

#[test]
fn a_file_comes_with_its_type_its_tag_and_its_lifetime() {
    let mut work = example();
    work.insert(
        "app/dist/_headers",
        Entry::bytes("/docs/*\n  X-Robots-Tag: noindex\n  Cache-Control: max-age=60\n"),
    );
    let served = Served::new(&site(None), &work);
    let asked =
        ["GET /", "HEAD /", "GET /assets/app-D7hW2mPq.js", "GET /docs/", "GET /data.unknown", "POST /"];
    let answers: Vec<String> =
        asked.iter().map(|line| format!("> {line}\n{}", served.ask(line, &[]))).collect();
    insta::assert_snapshot!(answers.join("\n---\n"));
}

#[test]
fn addresses_find_files_pages_and_folders() {
    let mut work = example();
    work.remove("app/dist/_headers");
    let served = Served::new(&site(None), &work);
    let asked = [
        "GET /",
        "GET /index.html",
        "GET /about",
        "GET /about.html",
        "GET /about/",
        "GET /docs",
        "GET /docs?a=1&b=%20",
        "GET /docs/",
        "GET /docs/a%20b",
        "GET /docs/a%20b.html",
        "GET /both",
        "GET /both.html",
        "GET /?query",
        "GET http://elsewhere.example/about",
        "GET /.env",
        "GET /.well-known/security.txt",
        "GET /README.md",
        "GET /_headers",
        "GET /missing",
        "GET /missing.js",
        "GET //docs",
        "GET //evil.example/docs",
        "GET /ABOUT",
        "GET /docs/../about",
        "GET /../../../../etc/passwd",
        "GET /%2e%2e/%2e%2e/etc/passwd",
        "GET /..%2fetc/passwd",
        "GET /%00",
        "GET /%zz",
        "GET /%",
        "GET /usr/share/rpack/site",
        "OPTIONS *",
        "DELETE /about",
    ];
    let answers: Vec<String> =
        asked.iter().map(|line| format!("{line}: {}", served.brief(line, &[]))).collect();
    insta::assert_snapshot!(answers.join("\n"));
}

#[test]
fn the_fallback_answers_views_and_hides_no_missing_file() {
    let mut work = example();
    work.remove("app/dist/_headers");
    let served = Served::new(&site(Some("index.html")), &work);
    let html = "Accept: text/html,application/xhtml+xml,*/*;q=0.8";
    let asked = [
        ("GET /orders/7", html),
        ("HEAD /orders/7", html),
        ("GET /orders/7", "Accept: */*"),
        ("GET /orders/7", "X: y"),
        ("GET /orders/7", "Accept: application/json"),
        ("GET /orders/7", "Accept: text/html;q=0"),
        ("GET /assets/gone.js", html),
        ("GET /v1.2/view", html),
        ("GET /about", html),
        ("POST /orders", html),
    ];
    let answers: Vec<String> = asked
        .iter()
        .map(|(line, header)| format!("{line} [{header}]: {}", served.brief(line, &[header])))
        .collect();
    insta::assert_snapshot!(answers.join("\n"));
}

#[test]
fn a_client_gets_the_form_that_it_takes() {
    let served = Served::new(&site(None), &{
        let mut work = example();
        work.remove("app/dist/_headers");
        work
    });
    let accepted = [
        "gzip",
        "zstd",
        "gzip, zstd",
        "br",
        "identity",
        "gzip;q=0",
        "gzip;q=0, *",
        "*",
        "*;q=0",
        "GZIP;q=0.5",
        "x-gzip",
    ];
    let answers: Vec<String> = accepted
        .iter()
        .map(|accepted| {
            let answer = served.ask("HEAD /style.css", &[&format!("Accept-Encoding: {accepted}")]);
            let part =
                |name: &str| answer.lines().find(|line| line.starts_with(name)).unwrap_or("-").to_owned();
            format!("{accepted}: {} {} {}", part("Content-Encoding"), part("Vary"), part("ETag"))
        })
        .collect();
    insta::assert_snapshot!(answers.join("\n"));
    let small = served.ask("HEAD /about", &["Accept-Encoding: gzip"]);
    assert!(!small.contains("Encoding"), "{small}");
}

#[test]
fn conditions_and_ranges() {
    let served = Served::new(&site(None), &{
        let mut work = example();
        work.remove("app/dist/_headers");
        work
    });
    let head = served.ask("HEAD /data.unknown", &[]);
    let etag = head.lines().find_map(|line| line.strip_prefix("ETag: ")).unwrap().to_owned();
    let weak = format!("If-None-Match: \"x\", W/{etag}");
    let (same, other) = (format!("If-Range: {etag}"), "If-Range: \"other\"");
    let asked: [&[&str]; 18] = [
        &[&weak],
        &["If-None-Match: *"],
        &["If-None-Match: \"other\""],
        &["Range: bytes=0-0"],
        &["Range: bytes=2-4"],
        &["Range: bytes=7-"],
        &["Range: bytes=-3"],
        &["Range: bytes=-99"],
        &["Range: bytes=5-99"],
        &["Range: bytes=10-"],
        &["Range: bytes=-0"],
        &["Range: bytes=4-2"],
        &["Range: bytes=0-1,3-4"],
        &["Range: lines=1-2"],
        &["Range: bytes=99999999999999999999999-"],
        &["Range: bytes=1-2", &same],
        &["Range: bytes=1-2", other],
        &["Range: bytes=1-2", &weak],
    ];
    let answers: Vec<String> = asked
        .iter()
        .map(|headers| format!("> {}\n{}", headers.join(" | "), served.ask("GET /data.unknown", headers)))
        .collect();
    insta::assert_snapshot!(answers.join("\n---\n"));
}

#[test]
fn rules_lead_elsewhere_and_never_to_a_host_that_a_client_named() {
    let rules = "# moved\n/old /about\n/blog/:year/:id /posts/:id?year=:year 302\n/shop/* https://shop.example/:splat 308\n\
                 /any/* /:splat 301\n/about /index.html 200!\n/private/* /404.html 404\n/alias /docs/ 200\n/style.css /gone\n";
    let mut work = example();
    work.remove("app/dist/_headers");
    work.insert("app/dist/_redirects", Entry::bytes(rules));
    let served = Served::new(&site(None), &work);
    let asked = [
        "GET /old",
        "GET /old?x=1",
        "GET /old/",
        "GET /blog/2024/a%20b",
        "GET /blog/2024/7?q",
        "GET /blog/2024",
        "GET /shop/a/b?c",
        "GET /shop",
        "GET /any//evil.example",
        "GET /any/%2F%2Fevil.example/x",
        "GET /any/%0d%0aSet-Cookie:x",
        "GET /about",
        "GET /private/x",
        "GET /alias",
        "GET /_redirects",
        "HEAD /style.css",
    ];
    let answers: Vec<String> =
        asked.iter().map(|line| format!("{line}: {}", served.brief(line, &[]))).collect();
    insta::assert_snapshot!(answers.join("\n"));
}

fn example_plain() -> Tree {
    let mut work = example();
    work.remove("app/dist/_headers");
    work
}

#[test]
fn what_cannot_be_served_is_said() {
    let folder = TempDir::new().unwrap();
    let run = |port: Option<&str>| {
        let mut command = command(folder.path());
        command.args(port);
        let output = command.output().unwrap();
        format!("{:?} {}", output.status.code(), String::from_utf8_lossy(&output.stderr))
    };
    let mut answers = vec![run(None), run(Some("0")), run(Some("http")), run(Some("70000"))];
    fs::create_dir_all(folder.path().join("usr/share/rpack")).unwrap();
    fs::write(folder.path().join("usr/share/rpack/site"), "RPSITE1\n").unwrap();
    answers.push(run(Some("8080")));
    insta::assert_snapshot!(answers.concat());
}

#[test]
#[ignore = "needs curl: run by .ci/run"]
fn tool_curl_gets_what_it_asks_for() {
    let served = Served::new(&site(Some("index.html")), &example_plain());
    let folder = TempDir::new().unwrap();
    let curl = |arguments: &[&str], path: &str| {
        let output = Command::new("curl")
            .args([
                "--silent",
                "--show-error",
                "--path-as-is",
                "--write-out",
                "\n%{http_code} %{size_download}",
            ])
            .args(arguments)
            .arg(format!("http://127.0.0.1:{}{path}", served.port))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let file = folder.path().join("etag");
    let file = file.to_str().unwrap();
    let answers = [
        curl(&[], "/about"),
        curl(&["--compressed"], "/style.css").lines().next().unwrap().to_owned(),
        curl(&["--location"], "/docs"),
        curl(&["--range", "2-4"], "/data.unknown"),
        curl(&["--head", "--output", "/dev/null"], "/about"),
        curl(&["--data", "x=1"], "/about"),
        curl(&["--upload-file", "/etc/hostname"], "/about"),
        curl(&[], "/../../etc/passwd"),
        curl(&["--header", "Accept: text/html"], "/view"),
        curl(&["--etag-save", file], "/about"),
        curl(&["--etag-compare", file], "/about"),
        curl(&["--globoff"], "/[1-3]"),
    ];
    insta::assert_snapshot!(answers.join("\n---\n"));
}
