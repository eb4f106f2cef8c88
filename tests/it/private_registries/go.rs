//! A proxy of Go modules, and a repository.

use std::fs;
use std::io::{BufRead as _, BufReader, Cursor, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rpack::config::Environment;
use rpack::oci::Digest;
use sha2::{Digest as _, Sha256};

use super::{TOKEN, basic, build, is_absent};
use crate::support::TestContext;
use crate::support::http_server::Server;

const GREET: &str = "package greet\n\nconst Greeting = \"hello from acme\"\n";
const GREET_MOD: &str = "module git.example.test/acme/greet.git\n\ngo 1.24\n";

/// Digests of a module's files as in `go.sum` (<https://pkg.go.dev/golang.org/x/mod/sumdb/dirhash#Hash1>).
fn sum(files: &[(&str, &str)]) -> String {
    let line = |(name, text): &(&str, &str)| format!("{}  {name}\n", Digest::of(text.as_bytes()).hex());
    let lines = files.iter().map(line).collect::<Vec<_>>().concat();
    format!("h1:{}", STANDARD.encode(Sha256::digest(lines)))
}

/// A program that prints what the private module says.
fn app() -> TestContext {
    let module = "git.example.test/acme/greet.git";
    let prefix = format!("{module}@v1.0.0");
    let whole = sum(&[(&format!("{prefix}/go.mod"), GREET_MOD), (&format!("{prefix}/greet.go"), GREET)]);
    let manifest = sum(&[("go.mod", GREET_MOD)]);
    let context = TestContext::with_shared_store();
    context
        // What another run of the tests has downloaded is not this one's.
        .file(
            "go.mod",
            &format!("module shop // {}\n\ngo 1.24\n\nrequire {module} v1.0.0\n", std::process::id()),
        )
        .file("go.sum", &format!("{module} v1.0.0 {whole}\n{module} v1.0.0/go.mod {manifest}\n"))
        .file(
            "main.go",
            &format!(
                "package main\n\nimport greet \"{module}\"\n\nfunc main() {{ println(greet.Greeting) }}\n"
            ),
        );
    context
}

/// What the program in the unpacked image prints.
fn said(context: &TestContext) -> String {
    let program = context.root().join("unpacked/app/bin/shop");
    let output =
        Command::new(&program).output().unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    String::from_utf8(output.stderr).unwrap()
}

/// Serves a folder over TLS to whoever has the header; prints its port.
const SERVER: &str = r#"
import functools, http.server, ssl, sys
folder, certificate, authorization = sys.argv[1:]
class Handler(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        if self.headers.get("Authorization") == authorization:
            return super().do_GET()
        self.send_response(401)
        self.end_headers()
server = http.server.HTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=folder))
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate)
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_port, flush=True)
server.serve_forever()
"#;

/// A proxy of modules, which the go command shows credentials only over TLS.
struct Proxy {
    server: Child,
    port: u16,
    /// The machine's authorities with that of the server.
    authorities: PathBuf,
}

impl Proxy {
    fn start(context: &TestContext) -> Self {
        let folder = context.root().join("proxy");
        let versions = folder.join("git.example.test/acme/greet.git/@v");
        fs::create_dir_all(&versions).unwrap();
        let prefix = "git.example.test/acme/greet.git@v1.0.0";
        let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, text) in [("go.mod", GREET_MOD), ("greet.go", GREET)] {
            archive.start_file(format!("{prefix}/{name}"), zip::write::SimpleFileOptions::default()).unwrap();
            archive.write_all(text.as_bytes()).unwrap();
        }
        fs::write(versions.join("v1.0.0.zip"), archive.finish().unwrap().into_inner()).unwrap();
        fs::write(versions.join("v1.0.0.mod"), GREET_MOD).unwrap();
        let info = r#"{"Version":"v1.0.0","Time":"2026-01-01T00:00:00Z"}"#;
        fs::write(versions.join("v1.0.0.info"), info).unwrap();
        let (key, certificate) = (context.root().join("key.pem"), context.root().join("certificate.pem"));
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"])
            .args(["-addext", "subjectAltName=IP:127.0.0.1", "-keyout"])
            .arg(&key)
            .arg("-out")
            .arg(&certificate)
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let certificate = fs::read(certificate).unwrap();
        let both = context.root().join("server.pem");
        fs::write(&both, [fs::read(key).unwrap(), certificate.clone()].concat()).unwrap();
        let machine = Environment::from_process();
        let machine = machine.get("SSL_CERT_FILE").unwrap_or("/etc/ssl/certs/ca-certificates.crt");
        let authorities = context.root().join("authorities.pem");
        fs::write(&authorities, [fs::read(machine).unwrap(), certificate].concat()).unwrap();
        let mut server = Command::new("python3")
            .args(["-c", SERVER])
            .args([&folder, &both])
            .arg(basic())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { server, port: line.trim().parse().unwrap(), authorities }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

#[test]
#[ignore = "needs the network, openssl and a sandbox"]
fn network_userns_a_proxy_of_go_modules_takes_a_netrc() {
    let context = app();
    let proxy = Proxy::start(&context);
    // The toolchain comes from Debian, so the mirror is asked for modules alone.
    context.file(
        "rpack.toml",
        &format!(
            "mirror.go.url = \"https://127.0.0.1:{}\"\nbuild.env.GONOSUMDB = \"git.example.test/*\"\n",
            proxy.port
        ),
    );
    let build = |arguments: &[&str]| {
        let mut command = context.command(&["build", "-o", "oci:../out", "--progress", "plain"]);
        command.args(arguments).env("SSL_CERT_FILE", &proxy.authorities);
        context.finish(command.output().unwrap())
    };
    let refused = build(&[]);
    assert_eq!(refused.status, 4, "{}", refused.stderr);
    let text = "for a proxy of modules, `--secret id=netrc,src=$HOME/.netrc`";
    assert!(refused.stderr.contains(text), "{}", refused.stderr);
    fs::write(
        context.root().join("netrc"),
        format!("machine 127.0.0.1:{}\nlogin ci\npassword {TOKEN}\n", proxy.port),
    )
    .unwrap();
    let finished = build(&["--secret", "id=netrc,src=../netrc"]);
    assert_eq!(finished.status, 0, "{}", finished.stderr);
    is_absent(&context, &finished);
    assert_eq!(said(&context), "hello from acme\n");
}

/// Serves the files of a bare repository, which is git's oldest protocol.
fn serve_repository(server: &Server, folder: &Path) {
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        command.args(["-c", "user.name=acme", "-c", "user.email=acme@example.test"]).args(arguments);
        let output = command.current_dir(folder).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    fs::create_dir(folder).unwrap();
    fs::write(folder.join("go.mod"), GREET_MOD).unwrap();
    fs::write(folder.join("greet.go"), GREET).unwrap();
    git(&["init", "-q", "-b", "main"]);
    git(&["add", "."]);
    git(&["commit", "-qm", "Greet"]);
    git(&["tag", "v1.0.0"]);
    git(&["update-server-info"]);
    for entry in walkdir::WalkDir::new(folder.join(".git")).into_iter().map(Result::unwrap) {
        let Ok(bytes) = fs::read(entry.path()) else { continue };
        let path = entry.path().strip_prefix(folder.join(".git")).unwrap().display().to_string();
        if path == "info/refs" {
            server.put("/acme/greet/info/refs?service=git-upload-pack", bytes.clone());
        }
        server.put(&format!("/acme/greet/{path}"), bytes);
    }
    server.guard("/acme/", &basic());
}

#[test]
#[ignore = "needs the network, git and a sandbox"]
fn network_userns_a_private_repository_of_go_takes_the_credentials_of_git() {
    let server = Server::start();
    let context = app();
    serve_repository(&server, &context.root().join("greet"));
    let settings = format!("'url.{}/.insteadof=https://git.example.test/'", server.url());
    context.file(
        "rpack.toml",
        &format!("go.private = \"git.example.test/*\"\nbuild.env.GIT_CONFIG_PARAMETERS = \"{settings}\"\n"),
    );
    let refused = build(&context, &[]);
    assert_eq!(refused.status, 4, "{}", refused.stderr);
    assert!(refused.stderr.contains("--secret id=git-credentials,src=FILE"), "{}", refused.stderr);
    let url = server.url().replace("http://", &format!("http://ci:{TOKEN}@"));
    fs::write(context.root().join("credentials"), format!("{url}\n")).unwrap();
    let finished = build(&context, &["--secret", "id=git-credentials,src=../credentials"]);
    assert_eq!(finished.status, 0, "{}", finished.stderr);
    is_absent(&context, &finished);
    assert_eq!(said(&context), "hello from acme\n");
}
