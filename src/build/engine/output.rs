//! Following a running step: its lines to the reporter, the last of them kept for the error.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read};
use std::sync::Mutex;

use crate::build::Error;
use crate::build::sandbox::{Outcome, Running};
use crate::build::secret::Hidden;
use crate::ui::Reporter;

/// Lines kept for the message of a failing step.
const TAIL: usize = 40;
/// Bytes of one line that are kept; a program that never ends its line must not fill the memory.
const LINE: u64 = 8 * 1024;

/// Reads both streams until they end, then waits for the step.
pub(super) fn follow(
    running: &mut Running,
    step: &str,
    reporter: &Reporter,
    hidden: &Hidden,
) -> Result<(Outcome, Vec<String>), Error> {
    let tail = Mutex::new(VecDeque::with_capacity(TAIL));
    let (stdout, stderr) = (running.stdout.take(), running.stderr.take());
    std::thread::scope(|scope| {
        let lines = Lines { step, reporter, hidden, tail: &tail };
        scope.spawn(move || stderr.map(|stream| lines.copy(stream)));
        scope.spawn(move || stdout.map(|stream| lines.copy(stream)));
    });
    let outcome = running.wait()?;
    let tail = tail.into_inner().unwrap_or_default();
    Ok((outcome, tail.into()))
}

/// Where the lines of a step go.
#[derive(Clone, Copy)]
struct Lines<'a> {
    step: &'a str,
    reporter: &'a Reporter,
    hidden: &'a Hidden,
    tail: &'a Mutex<VecDeque<String>>,
}

impl Lines<'_> {
    fn copy(self, stream: impl Read) {
        let mut reader = BufReader::new(stream);
        let mut line = Vec::new();
        loop {
            line.clear();
            match reader.by_ref().take(LINE).read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
            let text = self.hidden.hide(printable(&line));
            self.reporter.output(self.step, &text);
            if let Ok(mut tail) = self.tail.lock() {
                if tail.len() == TAIL {
                    tail.pop_front();
                }
                tail.push_back(text);
            }
        }
    }
}

/// A line without its end and without control characters, which could rewrite what the terminal shows.
fn printable(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let text = text.trim_end_matches(['\n', '\r']);
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\u{1b}' => {
                // An escape sequence `ESC [ … letter` goes as a whole.
                if characters.next() == Some('[') {
                    for next in characters.by_ref() {
                        if next.is_ascii_alphabetic() {
                            break;
                        }
                    }
                }
            }
            '\t' => out.push('\t'),
            other if other.is_control() => {}
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn escape_sequences_and_control_characters_are_dropped() {
        assert_eq!(printable(b"\x1b[31mred\x1b[0m\x07 text\tend\r\n"), "red text\tend");
        assert_eq!(printable(b"half \x1b["), "half ");
    }
}
