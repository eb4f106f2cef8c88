//! What connections may do: send nonsense, many requests at once, or nothing.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Output;
use std::time::{Duration, Instant};

use rpack::store::Entry;

use super::{Served, example_plain, shown, site};

#[test]
fn what_is_no_request_is_refused_and_ends_the_connection() {
    let served = Served::new(&site(None), &example_plain());
    let long = format!("GET /{} HTTP/1.1\r\n", "a".repeat(9000));
    let heads = format!("GET / HTTP/1.1\r\nHost: x\r\n{}", "X-Y: z\r\n".repeat(1200));
    let asked: [(&str, &str); 17] = [
        ("garbage", "\u{16}\u{3}\u{1}\r\n\r\n"),
        ("no version", "GET /\r\n\r\n"),
        ("HTTP/2", "GET / HTTP/2.0\r\n\r\n"),
        ("no host", "GET / HTTP/1.1\r\n\r\n"),
        ("two hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
        ("old", "GET /about HTTP/1.0\r\n\r\n"),
        ("space before colon", "GET / HTTP/1.1\r\nHost : a\r\n\r\n"),
        ("folded", "GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n"),
        ("no colon", "GET / HTTP/1.1\r\nHost: a\r\nnothing\r\n\r\n"),
        ("control", "GET / HTTP/1.1\r\nHost: a\r\nX: \u{1}\r\n\r\n"),
        ("two spaces", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("relative", "GET about HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("body", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"),
        (
            "smuggled",
            "GET /about HTTP/1.1\r\nHost: a\r\nContent-Length: 40\r\n\r\nGET /docs/ HTTP/1.1\r\nHost: a\r\n\r\n",
        ),
        ("chunked", "GET /about HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        ("long line", &long),
        ("many headers", &heads),
    ];
    let answers: Vec<String> = asked
        .iter()
        .map(|(name, bytes)| format!("> {name}\n{}", shown(&served.raw(bytes.as_bytes()))))
        .collect();
    insta::assert_snapshot!(answers.join("\n---\n"));
    let printed = served.end();
    insta::assert_snapshot!("log", log(&printed));
}

/// The log without its times, which differ.
fn log(output: &Output) -> String {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let line = |line: &str| line.rsplit_once(' ').unwrap().0.to_owned();
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_connection_serves_many_requests_also_when_they_come_at_once() {
    let served = Served::new(&site(None), &example_plain());
    let one = "GET /about HTTP/1.1\r\nHost: a\r\n\r\n";
    let last = "GET /docs/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let answer = String::from_utf8(served.raw(format!("\r\n{}{last}", one.repeat(100)).as_bytes())).unwrap();
    assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 101);
    assert!(answer.ends_with("docs"));
    // Byte by byte.
    let mut stream = served.connect();
    for byte in last.bytes() {
        stream.write_all(&[byte]).unwrap();
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("docs"), "{answer}");
}

#[test]
fn a_large_file_arrives_whole_through_a_slow_reader() {
    let large: String =
        (0..3_000_000).map(|number: u32| char::from(b'a' + u8::try_from(number % 23).unwrap())).collect();
    let mut work = example_plain();
    work.insert("app/dist/large.bin", Entry::bytes(large.clone()));
    let served = Served::new(&site(None), &work);
    let mut stream = served.connect();
    stream.write_all(b"GET /large.bin HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    std::thread::sleep(Duration::from_millis(300));
    // Others are answered meanwhile.
    assert_eq!(served.brief("GET /about", &[]), "200 OK | about");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let body = &answer[answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap() + 4..];
    assert!(body == large.as_bytes(), "{} bytes", body.len());
    let part = served
        .raw(b"GET /large.bin HTTP/1.1\r\nHost: a\r\nConnection: close\r\nRange: bytes=2999998-\r\n\r\n");
    assert!(part.ends_with(&large.as_bytes()[2_999_998..]));
}

#[test]
fn idle_connections_do_not_keep_others_out_and_slow_heads_end() {
    let served = Served::new(&site(None), &example_plain());
    let idle: Vec<TcpStream> = (0..300).map(|_| served.connect()).collect();
    assert_eq!(served.brief("GET /about", &[]), "200 OK | about");
    let mut slow = served.connect();
    slow.write_all(b"GET / HT").unwrap();
    let start = Instant::now();
    let mut answer = String::new();
    slow.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 Request Timeout"), "{answer}");
    assert!((8..16).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    drop(idle);
}

#[test]
fn sigterm_lets_a_started_answer_finish() {
    let mut work = example_plain();
    work.insert("app/dist/large.bin", Entry::bytes("x".repeat(8_000_000)));
    let served = Served::new(&site(None), &work);
    let mut stream = served.connect();
    let _idle = served.connect();
    stream.write_all(b"GET /large.bin HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    std::thread::sleep(Duration::from_millis(300));
    let reader = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(500));
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        answer.len()
    });
    let output = served.end();
    assert_eq!(output.status.code(), Some(0));
    assert!(reader.join().unwrap() > 8_000_000);
    assert!(log(&output).contains("GET /large.bin 200 8000000"), "{}", log(&output));
}
