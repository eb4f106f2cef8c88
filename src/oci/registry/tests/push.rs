//! What a push sends to a registry that follows the specification, with and without faults.

use reqwest::Method;
use serde_json::json;

use super::memory::{Manners, Memory};
use super::{Machine, Server, answer, auths};
use crate::http::{Body, Client, Options, Protection, Request};
use crate::oci::image::{CONFIG, Descriptor, LAYER, MANIFEST};
use crate::oci::registry::{Error, Pushed, Way};
use crate::oci::{Content, Digest, Reference};
use crate::store::Store;
use crate::ui::{Diagnose as _, ExitCode, Progress, Reporter};

const SIZE: usize = 5 << 20;

/// An image with one layer of 5 MiB in a store.
fn image(store: &Store) -> Content {
    let layer: Vec<u8> =
        (0..SIZE).map(|at| u8::try_from(at.wrapping_mul(2_654_435_761) >> 7 & 0xff).unwrap()).collect();
    let put = |bytes: &[u8], media_type: &str| {
        let (digest, size) = store.put_blob(bytes).unwrap();
        Descriptor::new(media_type, digest, size)
    };
    let (config, layer) = (put(b"{}", CONFIG), put(&layer, LAYER));
    let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer]});
    let root = put(manifest.to_string().as_bytes(), MANIFEST);
    Content { root, manifests: Vec::new(), blobs: vec![config, layer] }
}

fn push_to(machine: &Machine, host: &str, name: &str) -> Result<Pushed, Error> {
    let store = machine.store();
    let content = image(&store);
    let open = |part: &Descriptor| Ok(store.blob_path(&part.digest));
    let reporter = Reporter::new(Progress::Quiet);
    let way = Way { open: &open, mounts: &[], store: &store, reporter: &reporter };
    let reference: Reference = format!("{host}/{name}").parse().unwrap();
    machine.registry().push(&content, &[&reference], &way)
}

/// Bytes of blobs that arrived: those of the layer, and two of the config.
fn arrived(memory: &Memory) -> usize {
    memory.take().iter().filter(|asked| asked.line.contains("/uploads/")).map(|asked| asked.body).sum()
}

#[test]
fn no_byte_that_arrived_is_sent_again() {
    let memory = Memory::start(Manners { always_cut: Some(64 << 10), ..Manners::default() });
    let pushed = push_to(&Machine::new(), &memory.host, "app:1").unwrap();
    assert_eq!((pushed.uploaded, pushed.bytes), (2, SIZE as u64 + 2));
    assert_eq!(arrived(&memory), SIZE + 2);
}

#[test]
fn the_next_run_sends_the_rest() {
    let machine = Machine::new();
    // Nothing but 3 MiB gets through, however often it is tried.
    let memory = Memory::start(Manners { fills_at: Some(3 << 20), ..Manners::default() });
    let error = push_to(&machine, &memory.host, "app:1").unwrap_err();
    assert_eq!((error.id(), error.exit()), ("network/transient", ExitCode::Retry));
    assert_eq!(arrived(&memory), (3 << 20) + 2);
    memory.state().manners.fills_at = None;
    push_to(&machine, &memory.host, "app:1").unwrap();
    assert_eq!(arrived(&memory), 2 << 20);
    // It is done, and nothing is left of it.
    let notes = std::fs::read_dir(machine.store().root().join("metadata/uploads")).unwrap();
    assert_eq!(notes.count(), 0);
}

#[test]
fn pieces_are_as_large_as_the_registry_wants() {
    let manners = Manners { cuts: vec![100], least: Some(2 << 20), ..Manners::default() };
    let memory = Memory::start(manners);
    push_to(&Machine::new(), &memory.host, "app:1").unwrap();
    let ranges: Vec<_> = memory.take().into_iter().filter_map(|asked| asked.range).collect();
    let (first, second) = (100, 100 + (2 << 20));
    let expected = [
        format!("{first}-{}", second - 1),
        format!("{second}-{}", second + (2 << 20) - 1),
        format!("{}-{}", second + (2 << 20), SIZE - 1),
    ];
    assert_eq!(ranges, expected);
}

#[test]
fn a_token_that_ends_in_mid_push_is_renewed_and_the_upload_goes_on() {
    let memory = Memory::start(Manners { token_lasts: Some(3), cuts: vec![1 << 20], ..Manners::default() });
    push_to(&Machine::new(), &memory.host, "app:1").unwrap();
    let asked = memory.take();
    let tokens: Vec<_> = asked.iter().filter(|asked| asked.line.contains("/token")).collect();
    assert!(tokens.len() >= 3, "{tokens:?}");
    assert!(
        tokens
            .iter()
            .all(|asked| { asked.line == "GET /token?service=memory&scope=repository%3Aapp%3Apull%2Cpush" })
    );
    assert!(memory.state().manifests.contains_key(&("app".to_owned(), "1".to_owned())));
}

#[test]
fn credentials_do_not_follow_an_upload_to_another_host() {
    let elsewhere = Memory::start(Manners::default());
    // The other host knows the upload that is begun here.
    elsewhere.state().manners.uploads_at = Some(format!("http://{}", elsewhere.host));
    let target = elsewhere.host.clone();
    let registry = Server::start(move |request, authorization, _| {
        if authorization.is_none() {
            return answer(401, &[("WWW-Authenticate", "Basic realm=\"x\"")], "");
        }
        if request.starts_with("POST") {
            let address = format!("http://{target}/v2/app/blobs/uploads/");
            let begin = Request::new(Method::POST, address, Protection::Transport);
            let opened = Client::new(Options::default()).ask(&begin.sending(Body::Bytes(Vec::new())), 1024);
            return answer(202, &[("Location", opened.unwrap().header("location").unwrap())], "");
        }
        if request.starts_with("PUT") { answer(201, &[], "") } else { answer(404, &[], "") }
    });
    let config = auths(&registry.host, &json!({"auth": "bWU6c2VjcmV0"}));
    let machine = Machine::new().file("home/.docker/config.json", &config);
    push_to(&machine, &registry.host, "app:1").unwrap();
    let asked = elsewhere.take();
    assert!(asked.iter().any(|asked| asked.line.starts_with("PUT") && asked.body > 0));
    assert!(asked.iter().all(|asked| asked.authorization.is_none()), "{asked:?}");
    assert!(
        registry
            .take_requests()
            .iter()
            .any(|request| request.starts_with("PUT /v2/app/manifests/1 as Basic"))
    );
}

#[test]
fn what_cannot_be_mounted_is_sent() {
    for refuses_mounts in [false, true] {
        let machine = Machine::new();
        let memory = Memory::start(Manners { refuses_mounts, ..Manners::default() });
        push_to(&machine, &memory.host, "first:1").unwrap();
        let pushed = push_to(&machine, &memory.host, "second:1").unwrap();
        let expected = if refuses_mounts { (0, 2, SIZE as u64 + 2) } else { (2, 0, 0) };
        assert_eq!((pushed.mounted, pushed.uploaded, pushed.bytes), expected);
    }
}

#[test]
fn an_unchanged_image_is_one_request() {
    let machine = Machine::new();
    let memory = Memory::start(Manners::default());
    push_to(&machine, &memory.host, "app:1").unwrap();
    memory.take();
    assert!(push_to(&machine, &memory.host, "app:1").unwrap().is_unchanged);
    let lines: Vec<_> = memory.take().into_iter().map(|asked| asked.line).collect();
    assert_eq!(lines, ["HEAD /v2/app/manifests/1"]);
}

#[test]
fn errors_name_registry_repository_request_status_and_code() {
    let refuse = |method, status, code| {
        let refuses = [(method, (status, code))].into();
        let memory = Memory::start(Manners { refuses, ..Manners::default() });
        let error = push_to(&Machine::new(), &memory.host, "team/app:1").unwrap_err();
        (error.id(), error.exit(), error.to_string().replace(&memory.host, "[HOST]"))
    };
    assert_eq!(
        refuse("POST", 403, "DENIED"),
        (
            "registry/refused",
            ExitCode::Network,
            "[HOST] refuses `team/app`: `POST /v2/team/app/blobs/uploads/` answered `403`: DENIED: no"
                .to_owned()
        )
    );
    assert_eq!(
        refuse("POST", 405, "UNSUPPORTED"),
        (
            "registry/status",
            ExitCode::Network,
            "[HOST]: `POST /v2/team/app/blobs/uploads/` answered `405`: UNSUPPORTED: no".to_owned()
        )
    );
    assert_eq!(
        refuse("POST", 429, "TOOMANYREQUESTS"),
        (
            "network/transient",
            ExitCode::Retry,
            "http://[HOST]/v2/team/app/blobs/uploads/ failed 5 times; the last time: at `POST`, it answered \
             `429 Too Many Requests`: TOOMANYREQUESTS: no"
                .to_owned()
        )
    );
}

#[test]
fn a_registry_that_stores_something_else_is_found_out() {
    let other = Digest::of(b"other");
    let memory = Memory::start(Manners { states: Some(other), ..Manners::default() });
    let error = push_to(&Machine::new(), &memory.host, "app:1").unwrap_err();
    assert_eq!((error.id(), error.exit()), ("registry/stored", ExitCode::Failed));
    assert!(memory.state().manifests.is_empty());
}

#[test]
fn what_may_not_be_looked_at_is_sent() {
    let memory = Memory::start(Manners { refuses: [("HEAD", (403, "DENIED"))].into(), ..Manners::default() });
    let pushed = push_to(&Machine::new(), &memory.host, "app:1").unwrap();
    assert_eq!(pushed.uploaded, 2);
}

#[test]
fn referrers_are_listed_by_the_registry_or_by_a_tag() {
    for lists_referrers in [true, false] {
        let machine = Machine::new();
        let memory = Memory::start(Manners { lists_referrers, ..Manners::default() });
        push_to(&machine, &memory.host, "app:1").unwrap();
        let (registry, subject) = (machine.registry(), image(&machine.store()).root);
        let reference: Reference = format!("{}/app:1", memory.host).parse().unwrap();
        assert_eq!(registry.referrers(&reference, subject.digest, None).unwrap(), Vec::new());
        let config =
            json!({"mediaType": "application/vnd.oci.empty.v1+json", "digest": Digest::of(b"{}"), "size": 2});
        let mut entries = Vec::new();
        for kind in ["application/spdx+json", "application/vnd.example"] {
            let document = json!({
                "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": kind, "config": config,
                "layers": [], "subject": subject,
            });
            let bytes = document.to_string().into_bytes();
            let mut entry = Descriptor::new(MANIFEST, Digest::of(&bytes), bytes.len() as u64);
            entry.artifact_type = Some(kind.to_owned());
            registry.attach(&reference, subject.digest, &entry, bytes).unwrap();
            entries.push(entry);
        }
        entries.sort_by_key(|entry| entry.digest);
        assert_eq!(registry.referrers(&reference, subject.digest, None).unwrap(), entries);
        let spdx = registry.referrers(&reference, subject.digest, Some("application/spdx+json")).unwrap();
        assert_eq!(spdx.len(), 1);
        let tag = format!("sha256-{}", subject.digest.hex());
        let has_tag = memory.state().manifests.contains_key(&("app".to_owned(), tag));
        assert_eq!(has_tag, !lists_referrers);
    }
}
