//! How documents are shown to people on stdout: sections, columns, words.

use std::fmt::Write as _;

/// A title, and its lines below it; nothing without lines.
pub(crate) fn section(text: &mut String, title: &str, lines: Vec<String>) {
    if lines.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n{title}");
    for line in lines {
        let _ = writeln!(text, "  {line}");
    }
}

/// Columns of equal width, two spaces apart.
pub(crate) fn table(rows: &[Vec<String>]) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or_default()
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    rows.iter()
        .map(|row| {
            let cells: Vec<String> =
                row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
            cells.join("  ").trim_end().to_owned()
        })
        .collect()
}

/// The word so that its ends can be seen.
pub(crate) fn quoted(word: &str) -> String {
    let plain = !word.is_empty() && !word.contains(|c: char| c.is_whitespace() || "'\"\\".contains(c));
    if plain { word.to_owned() } else { format!("{word:?}") }
}

/// Foreign text without what a terminal would obey: control characters are written as escapes.
pub(crate) fn shown(text: &str) -> String {
    if text.chars().any(char::is_control) { text.escape_debug().to_string() } else { text.to_owned() }
}

/// `one layer`, `3 layers`.
pub(crate) fn count(number: usize, one: &str, many: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {many}") }
}

#[cfg(test)]
mod tests {
    use super::{count, quoted, shown};

    #[test]
    fn foreign_text_moves_no_cursor() {
        assert_eq!(shown("a\u{1b}[2Jb\nc"), "a\\u{1b}[2Jb\\nc");
        assert_eq!(shown("caf\u{e9} \"x\""), "caf\u{e9} \"x\"");
    }

    #[test]
    fn words_and_numbers() {
        assert_eq!(["a", "", "b c", "d'e"].map(quoted), ["a", "\"\"", "\"b c\"", "\"d'e\""]);
        assert_eq!([0, 1, 2].map(|n| count(n, "layer", "layers")), ["0 layers", "1 layer", "2 layers"]);
    }
}
