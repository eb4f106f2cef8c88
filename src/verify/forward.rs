//! A port of the host that leads to another one, as container engines publish ports.

use std::io;
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::thread;

/// Takes connections on `from` and hands each on to `to`, until the program ends.
///
/// # Errors
/// When `from` is taken.
pub fn forward(from: u16, to: u16) -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, from))?;
    thread::spawn(move || {
        for incoming in listener.incoming().flatten() {
            // One that cannot be handed on is closed.
            thread::spawn(move || hand_on(incoming, to));
        }
    });
    Ok(())
}

fn hand_on(incoming: TcpStream, to: u16) -> io::Result<()> {
    let outgoing = TcpStream::connect((Ipv4Addr::LOCALHOST, to))?;
    let (back_from, back_to) = (outgoing.try_clone()?, incoming.try_clone()?);
    let back = thread::spawn(move || copy(back_from, back_to));
    copy(incoming, outgoing);
    let _ = back.join();
    Ok(())
}

/// Copies until one side ends, and passes the end on.
fn copy(mut from: TcpStream, mut to: TcpStream) {
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;

    #[test]
    fn both_ways_and_both_ends_are_handed_on() {
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let to = server.local_addr().unwrap().port();
        let free = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        let from = free.local_addr().unwrap().port();
        drop(free);
        forward(from, to).unwrap();
        let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, from)).unwrap();
        client.write_all(b"question").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let (mut behind, _) = server.accept().unwrap();
        let mut question = String::new();
        behind.read_to_string(&mut question).unwrap();
        behind.write_all(b"answer").unwrap();
        drop(behind);
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert_eq!((question.as_str(), answer.as_str()), ("question", "answer"));
        assert!(forward(from, to).is_err());
    }
}
