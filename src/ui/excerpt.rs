//! A place in a text, as a person finds it: line, column, and the line itself with carets below it.
//!
//! In: a text and a range of its bytes (as parsers report it). Out: an [`Excerpt`]. Any range is accepted; one
//! that is out of bounds or inside a character is moved to the nearest place that exists.

use std::ops::Range;

/// Longer lines are cut around the place, so that a minified file does not flood the terminal.
const WIDTH: usize = 100;

/// A place in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excerpt {
    /// From 1.
    pub line: usize,
    /// From 1, counted in characters.
    pub column: usize,
    /// The line with its number and carets, several lines without a final line feed.
    pub text: String,
}

/// Shows `span` (bytes) of `text`. A span over several lines is marked up to the end of its first line.
pub fn excerpt(text: &str, span: Range<usize>) -> Excerpt {
    let start = boundary(text, span.start);
    let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
    let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
    let line = text[..line_start].matches('\n').count() + 1;
    let before = text[line_start..start].chars().count();
    let marked = text[start..boundary(text, span.end).clamp(start, line_end)].chars().count().max(1);
    let (shown, offset) = window(text[line_start..line_end].trim_end_matches('\r'), before);
    let marked = marked.min(shown.chars().count().saturating_sub(offset).max(1));
    let number = line.to_string();
    let margin = " ".repeat(number.len());
    Excerpt {
        line,
        column: before + 1,
        text: format!(
            "{margin} |\n{number} | {}\n{margin} | {}{}",
            shown.trim_end(),
            " ".repeat(offset),
            "^".repeat(marked)
        ),
    }
}

fn boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// The part of `line` around character `at`, and where that character is in it. Control characters become
/// spaces, so that the carets stand below what they mean and nothing is sent to the terminal.
fn window(line: &str, at: usize) -> (String, usize) {
    let skip = if line.chars().count() > WIDTH { at.saturating_sub(WIDTH / 2) } else { 0 };
    let shown =
        line.chars().skip(skip).take(WIDTH).map(|c| if c.is_control() { ' ' } else { c }).collect::<String>();
    (shown, at - skip)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::excerpt;

    #[test]
    fn the_caret_stands_below_the_place() {
        let text = "[build]\n\tpäckages = 3\r\n";
        let found = excerpt(text, 9..18);
        assert_eq!((found.line, found.column), (2, 2));
        assert_eq!(found.text, "  |\n2 |  päckages = 3\n  |  ^^^^^^^^");
    }

    #[test]
    fn the_end_of_the_text_is_a_place() {
        let found = excerpt("a = ", 4..4);
        assert_eq!((found.line, found.column), (1, 5));
        assert_eq!(found.text, "  |\n1 | a =\n  |     ^");
    }

    #[test]
    fn a_long_line_is_cut_around_the_place() {
        let text = format!("{}here{}", "a".repeat(300), "b".repeat(300));
        let found = excerpt(&text, 300..304);
        assert_eq!(found.column, 301);
        let expected =
            format!("  |\n1 | {}here{}\n  | {}^^^^", "a".repeat(50), "b".repeat(46), " ".repeat(50));
        assert_eq!(found.text, expected);
    }

    proptest! {
        #[test]
        fn any_range_of_any_text_is_shown(text in "[aé\\n\\r\t]{0,40}", start in 0_usize..60, end in 0_usize..60) {
            let found = excerpt(&text, start..end);
            prop_assert!(found.line >= 1 && found.column >= 1);
            prop_assert_eq!(found.text.lines().count(), 3);
        }
    }
}
