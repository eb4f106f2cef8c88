//! `docker-registry` of Debian, started by a test.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::server::free_port;

/// A running registry; it ends with this value.
pub(crate) struct Registry {
    child: Child,
    /// `127.0.0.1:PORT`
    pub(crate) host: String,
}

impl Registry {
    /// Anybody may do anything.
    pub(crate) fn open(folder: &Path) -> Self {
        Self::start(folder, "", "")
    }

    /// One user, `me` with the password `secret`.
    pub(crate) fn with_user(folder: &Path) -> Self {
        let password = tool("htpasswd", &["-Bbn", "me", "secret"]);
        fs::create_dir_all(folder).unwrap();
        fs::write(folder.join("htpasswd"), password).unwrap();
        let auth = format!("auth:\n  htpasswd:\n    realm: test\n    path: {}/htpasswd\n", folder.display());
        Self::start(folder, "", &auth)
    }

    /// With more below `http` and at the end of its configuration. Its files are below `folder`.
    pub(crate) fn start(folder: &Path, http: &str, rest: &str) -> Self {
        fs::create_dir_all(folder).unwrap();
        let port = free_port();
        let config = format!(
            "version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: {}/registry\n  delete:\n    \
             enabled: true\nhttp:\n  addr: 127.0.0.1:{port}\n{http}{rest}",
            folder.display()
        );
        let file = folder.join(format!("registry-{port}.yml"));
        fs::write(&file, config).unwrap();
        let child = Command::new("docker-registry")
            .arg("serve")
            .arg(file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let host = format!("127.0.0.1:{port}");
        wait_for(&host);
        Self { child, host }
    }

    /// The text of a docker `config.json` with its user.
    pub(crate) fn auth(&self) -> String {
        format!(r#"{{"auths":{{"{}":{{"auth":"bWU6c2VjcmV0"}}}}}}"#, self.host)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns when somebody listens at `host`.
#[track_caller]
pub(crate) fn wait_for(host: &str) {
    let end = Instant::now() + Duration::from_secs(20);
    while TcpStream::connect(host).is_err() {
        assert!(Instant::now() < end, "the registry does not listen");
        thread::sleep(Duration::from_millis(50));
    }
}

/// The output of a program that must succeed.
#[track_caller]
pub(crate) fn tool(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// go-containerregistry's registry in memory (`tests/servers/ggcr`), which keeps lists of referrers; it ends with this
/// value.
pub(crate) struct Ggcr {
    child: Child,
    /// `127.0.0.1:PORT`
    pub(crate) host: String,
}

impl Ggcr {
    pub(crate) fn start() -> Self {
        let mut child = Command::new(tools().join("ggcr-registry"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut host = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut host).unwrap();
        Self { child, host: host.trim().to_owned() }
    }
}

impl Drop for Ggcr {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The folder of programs that `.ci/run` builds from the Go module proxy.
pub(crate) fn tools() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools")
}
