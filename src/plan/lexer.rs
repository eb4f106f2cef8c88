//! Start commands as people write them (Procfile lines, package.json scripts, `start.command`) split into words.
//!
//! There is no shell in the image, so what only a shell could do is found here and named. `$NAME`, `${NAME}` and
//! `${NAME:-default}` stay in the words for the start helper; a `$` that quotes make literal becomes `$$`.

/// A command line that needs no shell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Line {
    /// Leading `A=b` assignments.
    pub(super) assignments: Vec<(String, String)>,
    /// The folder of a leading `cd D &&`.
    pub(super) directory: Option<String>,
    /// The words; at least one.
    pub(super) argv: Vec<String>,
}

/// Why a line cannot be split.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unsplit {
    /// It needs a shell: the operator, at this byte.
    Shell(String, usize),
    /// A quote is not closed; it opens at this byte.
    Quote(usize),
    /// There is no command.
    Empty,
}

/// Splits a line.
pub(super) fn split(line: &str) -> Result<Line, Unsplit> {
    let mut words = words(line)?;
    let mut result = Line::default();
    if let [cd, directory, and, ..] = words.as_slice()
        && cd == "cd"
        && and == AND
    {
        result.directory = Some(directory.clone());
        words.drain(..3);
    }
    if words.iter().any(|word| word == AND) {
        return Err(Unsplit::Shell("&&".to_owned(), line.find("&&").unwrap_or_default()));
    }
    let mut words = words.into_iter().peekable();
    while let Some((name, value)) = words.peek().and_then(|word| assignment(word)) {
        result.assignments.push((name, value));
        words.next();
    }
    words.next_if(|word| word == "exec");
    result.argv = words.collect();
    if result.argv.is_empty() { Err(Unsplit::Empty) } else { Ok(result) }
}

/// How `&&` is marked among the words; no word can be this, because NUL cannot stand in a command.
const AND: &str = "\0&&";

fn words(line: &str) -> Result<Vec<String>, Unsplit> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut characters = line.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        match character {
            ' ' | '\t' | '\n' | '\r' => words.extend(word.take()),
            '\'' => {
                let text = quoted(&mut characters, at)?;
                word.get_or_insert_default().push_str(&text.replace('$', "$$"));
            }
            '"' => double_quoted(&mut characters, at, word.get_or_insert_default())?,
            '\\' => {
                if let Some((_, next)) = characters.next() {
                    literal(next, word.get_or_insert_default());
                }
            }
            '$' => variable(line, at, &mut characters, word.get_or_insert_default())?,
            '&' if characters.next_if(|(_, next)| *next == '&').is_some() => {
                words.extend(word.take());
                words.push(AND.to_owned());
            }
            '&' | '|' | ';' | '<' | '>' | '(' | ')' | '`' | '*' | '?' => {
                return Err(Unsplit::Shell(character.to_string(), at));
            }
            '~' | '#' if word.is_none() => return Err(Unsplit::Shell(character.to_string(), at)),
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    Ok(words)
}

type Characters<'a> = std::iter::Peekable<std::str::CharIndices<'a>>;

fn quoted(characters: &mut Characters<'_>, open: usize) -> Result<String, Unsplit> {
    let mut text = String::new();
    for (_, character) in characters.by_ref() {
        if character == '\'' {
            return Ok(text);
        }
        text.push(character);
    }
    Err(Unsplit::Quote(open))
}

fn double_quoted(characters: &mut Characters<'_>, open: usize, word: &mut String) -> Result<(), Unsplit> {
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Ok(()),
            '`' => return Err(Unsplit::Shell("`".to_owned(), at)),
            '$' if characters.peek().is_some_and(|(_, next)| *next == '(') => {
                return Err(Unsplit::Shell("$(".to_owned(), at));
            }
            '\\' => match characters.next() {
                Some((_, next @ ('"' | '\\' | '$' | '`'))) => literal(next, word),
                Some((_, next)) => {
                    word.push('\\');
                    word.push(next);
                }
                None => return Err(Unsplit::Quote(open)),
            },
            other => word.push(other),
        }
    }
    Err(Unsplit::Quote(open))
}

/// A character that stands for itself.
fn literal(character: char, word: &mut String) {
    if character == '$' {
        word.push('$');
    }
    word.push(character);
}

/// A `$` outside quotes: `${…}` is taken whole, because its default may hold characters of the shell.
fn variable(line: &str, at: usize, characters: &mut Characters<'_>, word: &mut String) -> Result<(), Unsplit> {
    match characters.peek() {
        Some((_, '(')) => Err(Unsplit::Shell("$(".to_owned(), at)),
        Some((_, '{')) => {
            let end = line[at..].find('}').ok_or(Unsplit::Quote(at))? + at;
            word.push_str(&line[at..=end]);
            while characters.next_if(|(next, _)| *next <= end).is_some() {}
            Ok(())
        }
        _ => {
            word.push('$');
            Ok(())
        }
    }
}

fn assignment(word: &str) -> Option<(String, String)> {
    let (name, value) = word.split_once('=')?;
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let first = name.bytes().next()?;
    (name.bytes().all(valid) && !first.is_ascii_digit()).then(|| (name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Line, Unsplit, split};

    fn argv(words: &[&str]) -> Line {
        Line { argv: words.iter().map(|word| (*word).to_owned()).collect(), ..Line::default() }
    }

    #[test]
    fn words_quotes_and_variables() {
        for (line, words) in [
            ("node server.js", &["node", "server.js"][..]),
            ("gunicorn app:app --bind 0.0.0.0:$PORT", &["gunicorn", "app:app", "--bind", "0.0.0.0:$PORT"]),
            ("run --port=${PORT:-80 80}", &["run", "--port=${PORT:-80 80}"]),
            (r#"sh "a b" 'c $d' e\ f"#, &["sh", "a b", "c $$d", "e f"]),
            (r#"echo "\$x $y" """#, &["echo", "$$x $y", ""]),
            ("exec ./start", &["./start"]),
        ] {
            assert_eq!(split(line), Ok(argv(words)), "{line}");
        }
    }

    #[test]
    fn assignments_and_a_leading_cd_are_taken_off() {
        let line = split("cd web && NODE_ENV=production A=1 exec node .").unwrap();
        assert_eq!(line.directory.as_deref(), Some("web"));
        assert_eq!(line.assignments, [("NODE_ENV".into(), "production".into()), ("A".into(), "1".into())]);
        assert_eq!(line.argv, ["node", "."]);
    }

    #[test]
    fn what_needs_a_shell_is_named() {
        for (line, operator) in [
            ("a | b", "|"),
            ("a && b", "&&"),
            ("a; b", ";"),
            ("a > log", ">"),
            ("echo $(date)", "$("),
            ("echo \"`date`\"", "`"),
            ("rm *.log", "*"),
            ("a &", "&"),
        ] {
            let Err(Unsplit::Shell(found, _)) = split(line) else { panic!("{line}") };
            assert_eq!(found, operator, "{line}");
        }
        assert_eq!(split("echo 'open"), Err(Unsplit::Quote(5)));
        assert_eq!(split("  "), Err(Unsplit::Empty));
        assert_eq!(split("A=1"), Err(Unsplit::Empty));
    }

    proptest! {
        #[test]
        fn never_panics(line in "\\PC*") {
            let _ = split(&line);
        }
    }
}
