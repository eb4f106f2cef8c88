//! Pushes through a proxy that does harm: nothing is lost, nothing is sent twice, and errors say what happened.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::support::image::{layout_of, noise};
use crate::support::proxy::{Asked, Fault, Proxy};
use crate::support::registry::Registry;
use crate::support::{Finished, TestContext};

const SIZE: usize = 5 << 20;

/// An image with one layer of 5 MiB, a registry, and a proxy before it.
struct Faulty {
    context: TestContext,
    registry: Registry,
    proxy: Proxy,
    source: String,
    digest: String,
}

impl Faulty {
    fn new(fault: impl Fn(&Asked) -> Fault + Send + Sync + 'static) -> Self {
        let context = TestContext::new();
        let registry = Registry::open(context.root());
        let proxy = Proxy::start(&registry.host, fault);
        let digest = layout_of(&context.root().join("image"), &[noise(7, SIZE)]);
        let source = format!("oci:{}:1", context.root().join("image").display());
        Self { context, registry, proxy, source, digest }
    }

    fn push(&self) -> Finished {
        let target = format!("docker://{}/team/app:1", self.proxy.host);
        let mut found = self.context.rpack(&["copy", &self.source, &target]);
        found.stderr = found.stderr.replace(&self.proxy.host, "[PROXY]");
        found
    }

    /// The image is in the registry as a whole.
    #[track_caller]
    fn check(&self) {
        let place = format!("docker://{}/team/app:1", self.registry.host);
        let other = TestContext::new();
        assert_eq!(other.rpack(&["copy", &place, "pulled:1"]).success(), format!("{}\n", self.digest));
    }

    /// Bytes of the layer that reached the registry.
    fn sent(&self) -> u64 {
        self.proxy.take().iter().filter(|asked| asked.is_upload()).map(|asked| asked.body).sum()
    }
}

#[test]
#[ignore = "needs docker-registry: run by .ci/run"]
fn tool_an_upload_that_breaks_every_64_kib_goes_on_where_it_broke() {
    let faulty = Faulty::new(|asked| if asked.is_upload() { Fault::CutBody(64 << 10) } else { Fault::None });
    assert_eq!(faulty.push().success(), format!("{}\n", faulty.digest));
    faulty.check();
    let sent = faulty.sent();
    assert!(sent < (SIZE as u64) * 11 / 10, "{sent}");
}

#[test]
#[ignore = "needs docker-registry: run by .ci/run"]
fn tool_a_push_that_failed_is_repeated_and_sends_only_the_rest() {
    let broken = Arc::new(AtomicBool::new(true));
    let is_broken = broken.clone();
    // This registry forgets what a request brought that broke, but for whole pieces.
    let faulty = Faulty::new(move |asked| match asked.method.as_str() {
        "PUT" if is_broken.load(Ordering::Relaxed) && asked.length > 1000 => Fault::CutBody(0),
        "PATCH" if is_broken.load(Ordering::Relaxed) && asked.before > 2 => {
            Fault::Answer(500, Vec::new(), Vec::new())
        }
        _ => Fault::None,
    });
    let found = faulty.push();
    assert_eq!(found.status, 75, "{}", found.stderr);
    insta::assert_snapshot!(found.stderr, @r"
    push [PROXY]/team/app:1
    push to [PROXY]/team/app  (5.24 MB)
    push to [PROXY]/team/app  3.14 MB
    error[network/transient]: `[PROXY]/team/app:1` was not pushed: http://[PROXY]/v2/team/app/blobs/uploads/ failed 5 times; the last time: at `PATCH`, it answered `500 Internal Server Error`

    hint: run the same command again: what has arrived is not sent again
    ");
    broken.store(false, Ordering::Relaxed);
    faulty.proxy.take();
    assert_eq!(faulty.push().success(), format!("{}\n", faulty.digest));
    assert!(faulty.sent() <= (2 << 20) + 4096);
    faulty.check();
}

#[test]
#[ignore = "needs docker-registry: run by .ci/run"]
fn tool_a_registry_that_is_busy_is_asked_again_when_it_says() {
    let start = Instant::now();
    let faulty = Faulty::new(|asked| match (asked.method.as_str(), asked.before) {
        ("POST", 0) => Fault::Answer(429, vec![("Retry-After", "1".to_owned())], Vec::new()),
        ("PUT", 0) => Fault::Answer(503, Vec::new(), Vec::new()),
        _ => Fault::None,
    });
    assert_eq!(faulty.push().success(), format!("{}\n", faulty.digest));
    assert!(start.elapsed() >= Duration::from_secs(1));
    faulty.check();
}

#[test]
#[ignore = "needs docker-registry: run by .ci/run"]
fn tool_an_answer_that_is_lost_does_not_lose_the_upload() {
    let faulty = Faulty::new(|asked| match (asked.method.as_str(), asked.before) {
        ("POST" | "PUT", 0) => Fault::CutAnswer(20),
        _ => Fault::None,
    });
    assert_eq!(faulty.push().success(), format!("{}\n", faulty.digest));
    faulty.check();
}

#[test]
#[ignore = "needs docker-registry: run by .ci/run"]
fn tool_a_slow_registry_is_waited_for() {
    let faulty = Faulty::new(|asked| match asked.method.as_str() {
        "GET" if asked.path.contains("/manifests/") => Fault::Drip(40, Duration::from_millis(10)),
        _ => Fault::None,
    });
    faulty.push().success();
    let place = format!("docker://{}/team/app:1", faulty.proxy.host);
    let other = TestContext::new();
    assert_eq!(other.rpack(&["copy", &place, "pulled:1"]).success(), format!("{}\n", faulty.digest));
}

#[test]
#[ignore = "needs docker-registry: run by .ci/run"]
fn tool_what_a_registry_answers_wrongly_is_not_taken() {
    let manifest = "application/vnd.oci.image.manifest.v1+json";
    for (body, expected) in [
        (
            format!(r#"{{"schemaVersion":2,"padding":"{}"}}"#, "x".repeat(9 << 20)).into_bytes(),
            "error[network/too-large]: http://[PROXY]/v2/team/app/manifests/1 sends more than the 8388608 bytes that were \
             expected at most",
        ),
        (
            br#"{"schemaVersion":2,"config":{},"layers":[]}"#.to_vec(),
            "error[registry/manifest]: `[PROXY]/team/app:1` cannot be read: the answer has digest \
             sha256:4108250765b19c4d5000be73d2bdd612bbb17a989972bcfd1adbf5085a9af46b, expected \
             sha256:0000000000000000000000000000000000000000000000000000000000000000",
        ),
    ] {
        let faulty = Faulty::new(move |asked| match asked.method.as_str() {
            "GET" if asked.path.contains("/manifests/") => Fault::Answer(
                200,
                vec![
                    ("Content-Type", manifest.to_owned()),
                    ("Docker-Content-Digest", format!("sha256:{}", "0".repeat(64))),
                ],
                body.clone(),
            ),
            _ => Fault::None,
        });
        let place = format!("docker://{}/team/app:1", faulty.proxy.host);
        let found = faulty.context.rpack(&["copy", &place, "pulled:1"]);
        let first = found.stderr.lines().next().unwrap_or_default().replace(&faulty.proxy.host, "[PROXY]");
        assert_eq!(first, expected);
    }
}
