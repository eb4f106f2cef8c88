//! The client against a server with faults.

use std::time::Duration;

use super::{Client, Error, Expected, Job, Options, Patience, Protection, shown};
use crate::http_server::{Fault, Server};
use crate::oci::Digest;
use crate::store::Store;
use crate::ui::{Diagnose as _, ExitCode, Progress, Reporter};

fn client() -> Client {
    Client::new(Options { offline: false, pause: Duration::from_millis(1), parallel: 3 })
}

fn store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    (folder, store)
}

fn get(server: &Server, path: &str) -> Result<Vec<u8>, Error> {
    client().get(&format!("{}{path}", server.url()), Protection::Transport, 100)
}

#[test]
fn passing_faults_are_retried_and_refusals_are_not() {
    let server = Server::start();
    server.put("/a", "text");
    server.fail("/a", &[Fault::Status(503), Fault::Status(429), Fault::BreakAfter(2)]);
    assert_eq!(get(&server, "/a").unwrap(), b"text");
    assert_eq!(server.take_requests().len(), 4);
    for code in [401, 403] {
        server.fail("/a", &[Fault::Status(code)]);
        let error = get(&server, "/a").unwrap_err();
        assert_eq!((error.id(), error.exit()), ("network/status", ExitCode::Network));
        assert_eq!(server.take_requests().len(), 1);
    }
    let error = get(&server, "/missing").unwrap_err();
    assert_eq!(error.to_string(), format!("{}/missing answered `404 Not Found`", server.url()));
    assert!(error.is_missing());
}

#[test]
fn nothing_is_fetched_after_a_stop() {
    let server = Server::start();
    server.put("/a", "text");
    let client = client();
    let clone = client.clone();
    client.stop();
    let error = clone.get(&format!("{}/a", server.url()), Protection::Transport, 100).unwrap_err();
    assert_eq!((error.id(), error.exit()), ("network/stopped", ExitCode::Network));
    assert_eq!(server.take_requests(), Vec::<String>::new());
}

#[test]
fn a_fault_that_does_not_pass_is_worth_another_run() {
    let server = Server::start();
    server.fail("/a", &[const { Fault::Status(503) }; 9]);
    let error = get(&server, "/a").unwrap_err();
    assert_eq!((error.id(), error.exit()), ("network/transient", ExitCode::Retry));
    assert_eq!(server.take_requests().len(), 5);
}

#[test]
fn what_cannot_be_reached_says_so_at_once() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = client().get(&format!("http://{free}/"), Protection::Transport, 1).unwrap_err();
    assert_eq!((error.id(), error.exit()), ("network/unreachable", ExitCode::Network));
    assert!(error.to_string().starts_with(&format!("cannot reach http://{free}/: ")), "{error}");
}

#[test]
fn plain_http_and_other_schemes_are_refused_before_anything_is_sent() {
    let refused = |url: &str| client().get(url, Protection::Transport, 1).unwrap_err().id();
    assert_eq!(refused("http://registry.example/x"), "network/plain-http");
    assert_eq!(refused("file:///etc/passwd"), "network/address");
    assert_eq!(refused("nonsense"), "network/address");
    let offline = Client::new(Options { offline: true, ..Options::default() });
    assert_eq!(
        offline.get("https://x.example/", Protection::Transport, 1).unwrap_err().id(),
        "network/offline"
    );
}

#[test]
fn answers_are_bounded() {
    let server = Server::start();
    server.put("/a", vec![0; 101]);
    assert_eq!(get(&server, "/a").unwrap_err().id(), "network/too-large");
}

#[test]
fn a_server_without_ranges_sends_all_of_it_again() {
    let (_folder, store) = store();
    let server = Server::start();
    server.put("/a", "0123456789");
    server.fail("/a", &[Fault::BreakAfter(4), Fault::IgnoreRange]);
    let expected = Expected::Sha256 { digest: Digest::of(b"0123456789"), size: 10 };
    let progress = Reporter::new(Progress::Quiet).transfer("a", 10);
    let url = format!("{}/a", server.url());
    let fetched = client().fetch(&url, Protection::Transport, &expected, &store, &progress).unwrap();
    assert_eq!(std::fs::read(fetched.file.path()).unwrap(), b"0123456789");
    assert_eq!(server.take_requests(), ["/a", "/a from 4"]);
}

#[test]
fn a_reset_connection_goes_on_where_it_stopped() {
    let (_folder, store) = store();
    let server = Server::start();
    server.put("/a", "0123456789");
    server.fail("/a", &[Fault::ResetAfter(4)]);
    assert_eq!(fetch(&client(), &server, &store, "/a", b"0123456789").unwrap(), b"0123456789");
    assert_eq!(server.take_requests(), ["/a", "/a from 4"]);
}

#[test]
fn a_server_that_hardly_sends_counts_as_broken() {
    let (_folder, store) = store();
    let server = Server::start();
    server.put("/a", "0123456789");
    let options = Options { offline: false, pause: Duration::from_millis(1), parallel: 1 };
    let patience =
        Patience { silence: Duration::from_secs(30), window: Duration::from_millis(200), least: 100 };
    let client = Client::with_patience(options, patience);
    server.fail("/a", &[Fault::Drip(Duration::from_millis(110))]);
    assert_eq!(fetch(&client, &server, &store, "/a", b"0123456789").unwrap(), b"0123456789");
    let requests = server.take_requests();
    assert_eq!(requests.len(), 2);
    assert!(requests[1].starts_with("/a from "), "{requests:?}");
    server.fail("/a", &[const { Fault::Drip(Duration::from_millis(110)) }; 9]);
    let url = format!("{}/a", server.url());
    let error = client.get(&url, Protection::Transport, 100).unwrap_err();
    assert_eq!((error.id(), error.exit()), ("network/transient", ExitCode::Retry));
    assert!(
        error.to_string().starts_with(&format!("{url} failed 5 times; the last time: it sent ")),
        "{error}"
    );
}

#[test]
fn a_server_that_falls_silent_counts_as_broken() {
    let server = Server::start();
    server.put("/a", "01");
    let options = Options { offline: false, pause: Duration::from_millis(1), parallel: 1 };
    let patience = Patience { silence: Duration::from_millis(500), ..Patience::default() };
    let client = Client::with_patience(options, patience);
    server.fail("/a", &[Fault::Drip(Duration::from_secs(30))]);
    assert_eq!(client.get(&format!("{}/a", server.url()), Protection::Transport, 100).unwrap(), b"01");
    assert!(server.take_requests().len() > 1);
}

#[test]
fn wrong_lengths_are_noticed() {
    let (_folder, store) = store();
    let server = Server::start();
    server.put("/a", "0123456789");
    // More than comes: the rest is asked for.
    server.fail("/a", &[Fault::Length(20)]);
    assert_eq!(fetch(&client(), &server, &store, "/a", b"0123456789").unwrap(), b"0123456789");
    // Less than there is.
    server.fail("/a", &[Fault::Length(6)]);
    let error = fetch(&client(), &server, &store, "/a", b"0123456789").unwrap_err();
    assert_eq!(error.to_string(), format!("{}/a has 6 bytes, expected 10", server.url()));
    // A longer file than promised.
    let error = fetch(&client(), &server, &store, "/a", b"01234").unwrap_err();
    assert_eq!(error.id(), "network/too-large");
}

#[test]
fn redirections_are_followed_but_not_in_circles() {
    let server = Server::start();
    server.put("/b", "text");
    server.fail("/a", &[Fault::Redirect("/b".to_owned())]);
    assert_eq!(get(&server, "/a").unwrap(), b"text");
    let circle = || Fault::Redirect("/a".to_owned());
    server.fail("/a", &(0..30).map(|_| circle()).collect::<Vec<_>>());
    server.take_requests();
    let error = get(&server, "/a").unwrap_err();
    assert_eq!(error.to_string(), format!("cannot reach {}/a: more than 10 redirections", server.url()));
    assert_eq!(server.take_requests().len(), 11);
}

#[test]
fn answers_may_be_packed_for_the_journey_and_files_may_not() {
    let (_folder, store) = store();
    let server = Server::start();
    server.put("/a", "0123456789");
    server.fail("/a", &[Fault::Gzip]);
    assert_eq!(get(&server, "/a").unwrap(), b"0123456789");
    server.put("/bomb", vec![0; 101]);
    server.fail("/bomb", &[Fault::Gzip]);
    assert_eq!(get(&server, "/bomb").unwrap_err().id(), "network/too-large");
    server.fail("/a", &[Fault::Gzip]);
    let error = fetch(&client(), &server, &store, "/a", b"0123456789").unwrap_err();
    assert!(["store/digest", "network/too-large"].contains(&error.id()), "{error}");
}

fn fetch(
    client: &Client,
    server: &Server,
    store: &Store,
    path: &str,
    bytes: &[u8],
) -> Result<Vec<u8>, Error> {
    let expected = Expected::Sha256 { digest: Digest::of(bytes), size: bytes.len() as u64 };
    let progress = Reporter::new(Progress::Quiet).transfer("a", expected.limit());
    let url = format!("{}{path}", server.url());
    let fetched = client.fetch(&url, Protection::Transport, &expected, store, &progress)?;
    Ok(std::fs::read(fetched.file.path()).unwrap())
}

#[test]
fn many_files_arrive_and_the_first_wrong_one_is_named() {
    let (_folder, store) = store();
    let server = Server::start();
    let job = |text: &str| {
        server.put(&format!("/{text}"), text);
        Job {
            url: format!("{}/{text}", server.url()),
            protection: Protection::Transport,
            digest: Digest::of(text.as_bytes()),
            size: text.len() as u64,
        }
    };
    let jobs: Vec<Job> = (0..20).map(|n| job(&format!("file{n}"))).collect();
    let reporter = Reporter::new(Progress::Quiet);
    let paths = client().download_all("files", &jobs, &store, &reporter).unwrap();
    assert_eq!(std::fs::read(&paths[7]).unwrap(), b"file7");
    server.take_requests();
    client().download_all("files", &jobs, &store, &reporter).unwrap();
    assert_eq!(server.take_requests(), Vec::<String>::new());
    let mut wrong = jobs;
    wrong.push(Job { digest: Digest::of(b"else"), ..job("same") });
    let (index, error) = client().download_all("files", &wrong, &store, &reporter).unwrap_err();
    assert_eq!((index, error.id(), error.exit()), (20, "store/digest", ExitCode::Failed));
    assert!(store.blob(&Digest::of(b"else")).is_none());
}

#[test]
fn addresses_are_shown_without_secrets() {
    assert_eq!(shown("https://me:secret@x.example/a?token=1#b"), "https://x.example/a");
}
