//! A real registry with TLS: an authority of one's own, and certificates of clients.

use std::fs;
use std::path::{Path, PathBuf};

use super::login::{command, log_in};
use crate::support::image::{layout_of, noise};
use crate::support::registry::{Registry, tool};
use crate::support::{Finished, TestContext};

/// An authority and what it signs, in a folder.
struct Authority<'a> {
    folder: &'a Path,
}

impl<'a> Authority<'a> {
    fn new(folder: &'a Path) -> Self {
        fs::create_dir_all(folder).unwrap();
        let authority = Self { folder };
        let (key, certificate) = (authority.path("ca.key"), authority.path("ca.crt"));
        let names = ["-subj", "/CN=authority", "-keyout", &key, "-out", &certificate, "-days", "2"];
        tool("openssl", &[&["req", "-x509", "-nodes"][..], &CURVE, &names].concat());
        authority
    }

    fn path(&self, name: &str) -> String {
        self.folder.join(name).to_str().unwrap().to_owned()
    }

    /// A certificate with its key, `NAME.cert` and `NAME.key`, for `usage`.
    fn sign(&self, name: &str, usage: &str) {
        let (request, extensions) = (self.path("request"), self.path("extensions"));
        let (key, certificate) = (self.path(&format!("{name}.key")), self.path(&format!("{name}.cert")));
        let subject = format!("/CN={name}");
        let asked = ["-subj", &subject, "-keyout", &key, "-out", &request];
        tool("openssl", &[&["req", "-nodes"][..], &CURVE, &asked].concat());
        let text = format!("subjectAltName=IP:127.0.0.1\nextendedKeyUsage={usage}\n");
        fs::write(&extensions, text).unwrap();
        let (ca, ca_key) = (self.path("ca.crt"), self.path("ca.key"));
        let by = ["-CA", &ca, "-CAkey", &ca_key, "-CAcreateserial", "-extfile", &extensions, "-days", "2"];
        let files = ["-in", &request, "-out", &certificate];
        tool("openssl", &[&["x509", "-req"][..], &by, &files].concat());
    }
}

const CURVE: [&str; 4] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];

/// A registry with TLS; with `clients`, for those alone whom the authority vouches for.
fn registry(folder: &Path, authority: &Authority<'_>, clients: bool) -> Registry {
    let (certificate, key, ca) =
        (authority.path("server.cert"), authority.path("server.key"), authority.path("ca.crt"));
    let wanted = if clients { format!("    clientcas:\n      - {ca}\n") } else { String::new() };
    let tls = format!("  tls:\n    certificate: {certificate}\n    key: {key}\n{wanted}");
    Registry::start(folder, &tls, "")
}

/// Pushes the image to `host` with further variables.
fn push(context: &TestContext, host: &str, variables: &[(&str, &str)]) -> Finished {
    let source = format!("oci:{}:1", context.root().join("image").display());
    let mut command = command(context, &["copy", &source, &format!("docker://{host}/team/app:1")]);
    context.finish(command.envs(variables.iter().copied()).output().unwrap())
}

/// The error that it ended with, without what was told before.
fn error(finished: &Finished, host: &str) -> String {
    let at = finished.stderr.find("error[").unwrap();
    finished.stderr[at..].replace(host, "HOST")
}

/// The folder of certificates for `host`, as podman has it.
fn certificates(context: &TestContext, host: &str) -> PathBuf {
    let folder = context.root().join("home/.config/containers/certs.d").join(host);
    fs::create_dir_all(&folder).unwrap();
    folder
}

#[test]
#[ignore = "needs docker-registry, openssl and skopeo: run by .ci/run"]
fn tool_an_authority_of_ones_own() {
    let context = TestContext::new();
    let folder = context.root().join("authority");
    let authority = Authority::new(&folder);
    authority.sign("server", "serverAuth");
    let registry = registry(context.root(), &authority, false);
    let host = &registry.host;
    let digest = layout_of(&context.root().join("image"), &[noise(1, 1000)]);

    // What listens on this machine is taken for plain http.
    let plain = push(&context, host, &[]);
    assert_eq!(plain.status, 5);
    insta::assert_snapshot!("tls_on_loopback", error(&plain, host));
    // The folder is there and empty: nobody vouches for the registry.
    let certificates = certificates(&context, host);
    let refused = push(&context, host, &[]);
    assert_eq!(refused.status, 5);
    insta::assert_snapshot!("certificate_untrusted", error(&refused, host));
    // The authority for everything.
    let ca = authority.path("ca.crt");
    let pushed = push(&context, host, &[("SSL_CERT_FILE", &ca)]);
    assert_eq!(pushed.success(), format!("{digest}\n"));
    // The authority for this registry.
    fs::copy(&ca, certificates.join("ca.crt")).unwrap();
    assert_eq!(push(&context, host, &[]).success(), format!("{digest}\n"));
    let logged_in = log_in(&context, host, "anything", &[]);
    assert_eq!(logged_in.status, 0, "{}", logged_in.stderr);
    // Others read what was pushed.
    let folder = certificates.to_str().unwrap();
    let image = format!("docker://{host}/team/app:1");
    let inspected = tool("skopeo", &["inspect", "--cert-dir", folder, "--format", "{{.Digest}}", &image]);
    assert_eq!(inspected.trim(), digest);
    // A file that is no certificate.
    fs::write(certificates.join("ca.crt"), "nothing").unwrap();
    let broken = push(&context, host, &[]);
    assert_eq!(broken.status, 2);
    insta::assert_snapshot!("certificate_broken", error(&broken, host));
}

#[test]
#[ignore = "needs docker-registry and openssl: run by .ci/run"]
fn tool_a_registry_that_wants_to_know_its_clients() {
    let context = TestContext::new();
    let folder = context.root().join("authority");
    let authority = Authority::new(&folder);
    authority.sign("server", "serverAuth");
    authority.sign("client", "clientAuth");
    let registry = registry(context.root(), &authority, true);
    let host = &registry.host;
    let digest = layout_of(&context.root().join("image"), &[noise(1, 1000)]);

    let certificates = certificates(&context, host);
    fs::copy(authority.path("ca.crt"), certificates.join("ca.crt")).unwrap();
    let nobody = push(&context, host, &[]);
    assert_eq!(nobody.status, 5);
    insta::assert_snapshot!("client_certificate_missing", error(&nobody, host));
    fs::copy(authority.path("client.cert"), certificates.join("client.cert")).unwrap();
    let half = push(&context, host, &[]);
    assert_eq!(half.status, 2);
    insta::assert_snapshot!("client_key_missing", error(&half, host));
    fs::copy(authority.path("client.key"), certificates.join("client.key")).unwrap();
    assert_eq!(push(&context, host, &[]).success(), format!("{digest}\n"));
    fs::remove_file(certificates.join("client.cert")).unwrap();
    assert_eq!(push(&context, host, &[]).status, 2);
    // Somebody for whom another authority vouches.
    let elsewhere = context.root().join("elsewhere");
    let other = Authority::new(&elsewhere);
    other.sign("client", "clientAuth");
    for name in ["client.cert", "client.key"] {
        fs::copy(other.path(name), certificates.join(name)).unwrap();
    }
    let stranger = push(&context, host, &[]);
    assert_eq!(stranger.status, 5);
    assert!(error(&stranger, host).starts_with("error[network/client-certificate]"), "{}", stranger.stderr);
}

#[test]
#[ignore = "needs docker-registry: run by .ci/run"]
fn tool_a_registry_without_tls_is_no_https_server() {
    let context = TestContext::new();
    let registry = Registry::open(context.root());
    layout_of(&context.root().join("image"), &[noise(1, 1000)]);
    certificates(&context, &registry.host);
    let refused = push(&context, &registry.host, &[]);
    assert_eq!(refused.status, 5);
    insta::assert_snapshot!("not_tls", error(&refused, &registry.host));
    let pushed = push(&context, &registry.host, &[("RPACK_REGISTRY__INSECURE", &registry.host)]);
    assert_eq!(pushed.status, 0, "{}", pushed.stderr);
}
