//! A real registry, started for a test.

use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::server::free_port;

fn htpasswd() -> String {
    let output = Command::new("htpasswd").args(["-Bbn", "me", "secret"]).output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

/// `docker-registry` with one user; it ends with this value.
pub(crate) struct Registry {
    child: Child,
    pub(crate) host: String,
}

impl Registry {
    /// Serves what it keeps below `folder`; the user is `me` and the password `secret`.
    pub(crate) fn start(folder: &Path) -> Self {
        let port = free_port();
        let password = htpasswd();
        fs::write(folder.join("htpasswd"), password).unwrap();
        let config = format!(
            "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {0}/registry\nhttp:\n  addr: \
             127.0.0.1:{port}\nauth:\n  htpasswd:\n    realm: test\n    path: {0}/htpasswd\n",
            folder.display()
        );
        fs::write(folder.join("registry.yml"), config).unwrap();
        let child = Command::new("docker-registry")
            .arg("serve")
            .arg(folder.join("registry.yml"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let host = format!("127.0.0.1:{port}");
        let end = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(&host).is_err() {
            assert!(Instant::now() < end, "the registry does not listen");
            thread::sleep(Duration::from_millis(50));
        }
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
