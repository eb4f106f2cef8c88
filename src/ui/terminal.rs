//! What may be sent to a terminal: our own colours, and foreign text without its control sequences.

use std::io;

/// What a piece of text means; the colour follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// The title of an error.
    Error,
    /// The title of a warning.
    Warning,
    /// The title of a hint.
    Hint,
    /// Something that is done.
    Done,
    /// Words that structure a message.
    Strong,
    /// Text that is there when looked for.
    Dim,
}

/// `text` in the colour of `style`, or as it is without `colour`.
pub(super) fn paint(style: Style, text: &str, colour: bool) -> String {
    if !colour {
        return text.to_owned();
    }
    let code = match style {
        Style::Error => "1;31",
        Style::Warning => "1;33",
        Style::Hint => "1;36",
        Style::Done => "32",
        Style::Strong => "1",
        Style::Dim => "2",
    };
    format!("\u{1b}[{code}m{text}\u{1b}[0m")
}

/// A line of a build's output as text only: escape sequences and other control characters are taken out, and of
/// a line that overwrote itself with carriage returns the last state is kept.
pub(super) fn printable(line: &str) -> String {
    let line = line.trim_end_matches(['\r', '\n']);
    let line = line.rsplit('\r').next().unwrap_or(line);
    let mut text = String::with_capacity(line.len());
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\u{1b}' => match characters.next() {
                // Control sequence: parameters, then a final byte (ECMA-48, 5.4).
                Some('[') => while characters.next().is_some_and(|c| !('\u{40}'..='\u{7e}').contains(&c)) {},
                // Operating system command and its kin: up to BEL or the string terminator (ECMA-48, 5.6).
                Some(']' | 'P' | 'X' | '^' | '_') => {
                    while let Some(c) = characters.next() {
                        if c == '\u{7}' || c == '\u{1b}' {
                            characters.next_if_eq(&'\\');
                            break;
                        }
                    }
                }
                _ => {}
            },
            '\t' => text.push_str("    "),
            c if c.is_control() => {}
            c => text.push(c),
        }
    }
    text
}

/// `text` in at most `width` characters; an ellipsis says that there was more.
pub(crate) fn shorten(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(width.saturating_sub(1)).collect();
    short.push('…');
    short
}

/// Columns of the terminal at stderr; 80 where there is none.
pub(super) fn width() -> usize {
    rustix::termios::tcgetwinsize(io::stderr()).map_or(80, |size| usize::from(size.ws_col).max(20))
}

/// Bytes as people read them: powers of 1000, three significant digits.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let (mut whole, mut rest, mut unit) = (bytes / 1000, bytes % 1000, 0);
    while whole >= 1000 && unit + 1 < UNITS.len() {
        (whole, rest, unit) = (whole / 1000, whole % 1000, unit + 1);
    }
    match whole {
        0..10 => format!("{whole}.{:02} {}", rest / 10, UNITS[unit]),
        10..100 => format!("{whole}.{} {}", rest / 100, UNITS[unit]),
        _ => format!("{whole} {}", UNITS[unit]),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{printable, shorten, size};

    #[test]
    fn foreign_control_sequences_do_not_reach_the_terminal() {
        assert_eq!(printable("\u{1b}[32mok\u{1b}[0m\tdone\u{7}\r\n"), "ok    done");
        assert_eq!(printable("\u{1b}]0;owned\u{7}a\u{1b}]8;;x\u{1b}\\b\u{1b}(0c"), "ab0c");
        assert_eq!(printable("10%\r50%\r100%"), "100%");
    }

    #[test]
    fn sizes_have_three_digits() {
        let sizes = [0, 999, 1000, 1_234_567, 12_345_678, 999_999_999, 1_000_000_000, u64::MAX];
        assert_eq!(
            sizes.map(size),
            ["0 B", "999 B", "1.00 kB", "1.23 MB", "12.3 MB", "999 MB", "1.00 GB", "18446744 TB"]
        );
    }

    #[test]
    fn a_cut_is_visible() {
        assert_eq!((shorten("abcdef", 6), shorten("abcdef", 4)), ("abcdef".to_owned(), "abc…".to_owned()));
    }

    proptest! {
        #[test]
        fn nothing_that_controls_a_terminal_is_left(line in "\\PC*|[\u{1b}\\[\\]a0;m\u{7}\u{9b}\r]{0,30}") {
            prop_assert!(!printable(&line).chars().any(char::is_control));
        }
    }
}
