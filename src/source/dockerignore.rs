//! `.dockerignore`, which is not `.gitignore`.
//!
//! Patterns are relative to the root and cleaned lexically; a pattern matches a path or any parent of it; the
//! last pattern that matches decides; `!` may take back a file below an excluded folder. `*` and `?` stop at a
//! slash, `**` does not, `[^a]` negates and `[!a]` does not, braces are ordinary characters
//! (<https://docs.docker.com/build/concepts/context/#dockerignore-files>).
//!
//! Matching takes time proportional to pattern times path, whatever the pattern is.

/// The rules of one file.
#[derive(Clone, Debug, Default)]
pub(super) struct Dockerignore {
    rules: Vec<Rule>,
}

#[derive(Clone, Debug)]
struct Rule {
    negated: bool,
    tokens: Vec<Token>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    /// This character.
    Character(char),
    /// Any character but a slash: `?`.
    One,
    /// Any number of characters but slashes: `*`.
    Many,
    /// Nothing, or any text that ends with a slash: `**/`, or `**` before more.
    Folders,
    /// Anything: `**` at the end.
    Rest,
    /// One character of a set of ranges.
    Class { negated: bool, ranges: Vec<(char, char)> },
}

/// A line that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Invalid {
    /// From 1.
    pub(super) line: usize,
    pub(super) pattern: String,
    pub(super) reason: &'static str,
}

impl Dockerignore {
    /// Reads the text of a file.
    pub(super) fn parse(text: &str) -> Result<Self, Invalid> {
        let mut rules = Vec::new();
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for (index, line) in text.lines().enumerate() {
            let pattern = line.trim();
            if line.starts_with('#') || pattern.is_empty() {
                continue;
            }
            let invalid = |reason| Invalid { line: index + 1, pattern: pattern.to_owned(), reason };
            let (negated, rest) = match pattern.strip_prefix('!') {
                Some(rest) => (true, rest.trim()),
                None => (false, pattern),
            };
            if rest.is_empty() {
                return Err(invalid("nothing follows `!`"));
            }
            let cleaned = clean(rest);
            if !cleaned.is_empty() {
                rules.push(Rule { negated, tokens: tokens(&cleaned).map_err(invalid)? });
            }
        }
        Ok(Self { rules })
    }

    /// Whether `path` (clean, relative) is left out.
    pub(super) fn is_ignored(&self, path: &str) -> bool {
        self.rules.iter().fold(false, |ignored, rule| {
            // A rule that could only confirm what holds already is not tried.
            if rule.negated == ignored && matches(&rule.tokens, path) { !rule.negated } else { ignored }
        })
    }

    /// Whether something below an ignored folder may be taken back.
    pub(super) fn has_negations(&self) -> bool {
        self.rules.iter().any(|rule| rule.negated)
    }
}

/// The shortest path that means the same, relative to the root; empty for the root itself.
fn clean(pattern: &str) -> String {
    let rooted = pattern.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in pattern.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if rooted => {}
            part => parts.push(part),
        }
    }
    parts.join("/")
}

fn tokens(pattern: &str) -> Result<Vec<Token>, &'static str> {
    let mut tokens = Vec::new();
    let mut characters = pattern.chars().peekable();
    while let Some(character) = characters.next() {
        tokens.push(match character {
            '*' if characters.next_if_eq(&'*').is_some() => {
                characters.next_if_eq(&'/');
                if characters.peek().is_none() { Token::Rest } else { Token::Folders }
            }
            '*' => Token::Many,
            '?' => Token::One,
            '[' => class(&mut characters)?,
            '\\' => Token::Character(characters.next().ok_or("nothing follows the last `\\`")?),
            other => Token::Character(other),
        });
    }
    Ok(tokens)
}

fn class(characters: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<Token, &'static str> {
    const UNCLOSED: &str = "`[` without `]`";
    let negated = characters.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    loop {
        let low = match characters.next().ok_or(UNCLOSED)? {
            ']' if !ranges.is_empty() => return Ok(Token::Class { negated, ranges }),
            ']' | '-' => return Err("`]` and `-` stand in `[…]` only after `\\`"),
            '\\' => characters.next().ok_or(UNCLOSED)?,
            other => other,
        };
        let mut high = low;
        if characters.next_if_eq(&'-').is_some() {
            high = match characters.next().ok_or(UNCLOSED)? {
                ']' => return Err("a range in `[…]` has no end"),
                '\\' => characters.next().ok_or(UNCLOSED)?,
                other => other,
            };
        }
        if low > high {
            return Err("a range in `[…]` runs backwards");
        }
        ranges.push((low, high));
    }
}

/// Whether the tokens match `path` or a parent of it: all states are followed at once.
fn matches(tokens: &[Token], path: &str) -> bool {
    let mut state = State::new(tokens.len());
    state.at[0] = true;
    state.skip(tokens);
    for character in path.chars() {
        if character == '/' && state.at[tokens.len()] {
            return true;
        }
        state = state.step(tokens, character);
    }
    state.at[tokens.len()]
}

/// The positions between tokens that the text so far may have reached.
struct State {
    at: Vec<bool>,
    /// Within the text of [`Token::Folders`], before its slash.
    inside: Vec<bool>,
}

impl State {
    fn new(tokens: usize) -> Self {
        Self { at: vec![false; tokens + 1], inside: vec![false; tokens] }
    }

    /// Tokens that may match nothing are passed.
    fn skip(&mut self, tokens: &[Token]) {
        for (index, token) in tokens.iter().enumerate() {
            if self.at[index] && matches!(token, Token::Many | Token::Folders | Token::Rest) {
                self.at[index + 1] = true;
            }
        }
    }

    fn step(&self, tokens: &[Token], character: char) -> Self {
        let mut next = Self::new(tokens.len());
        for (index, token) in tokens.iter().enumerate() {
            let here = self.at[index];
            match token {
                Token::Character(expected) => next.at[index + 1] |= here && *expected == character,
                Token::One => next.at[index + 1] |= here && character != '/',
                Token::Many => next.at[index] |= here && character != '/',
                Token::Rest => next.at[index] |= here,
                Token::Folders => {
                    let within = here || self.inside[index];
                    next.inside[index] |= within;
                    next.at[index + 1] |= within && character == '/';
                }
                Token::Class { negated, ranges } => {
                    let member = ranges.iter().any(|(low, high)| (*low..=*high).contains(&character));
                    next.at[index + 1] |= here && member != *negated;
                }
            }
        }
        next.skip(tokens);
        next
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Dockerignore, Invalid, clean};

    fn ignored(rules: &str, path: &str) -> bool {
        Dockerignore::parse(rules).unwrap().is_ignored(path)
    }

    #[test]
    fn patterns_are_anchored_and_match_everything_below() {
        for (pattern, path, expected) in [
            ("docs", "docs/a/b", true),
            ("docs", "src/docs", false),
            ("/docs/", "docs", true),
            ("./docs/../src", "src/a", true),
            ("*.md", "README.md", true),
            ("*.md", "docs/README.md", false),
            ("*/*.md", "docs/README.md", true),
            ("**/*.md", "README.md", true),
            ("**/*.md", "a/b/README.md", true),
            ("**", "a/b", true),
            ("a/**", "a", false),
            ("a/**", "a/b/c", true),
            ("a/**/z", "a/z", true),
            ("a/**/z", "a/b/c/z/d", true),
            ("a**z", "a/b/z", true),
            ("a**z", "abz", false),
            ("file?", "file1", true),
            ("file?", "file", false),
            ("a?b", "a/b", false),
            ("file[0-9x]", "file7", true),
            ("file[^0-9]", "file7", false),
            ("file[^0-9]", "filex", true),
            ("[!a]", "!", true),
            ("[!a]", "b", false),
            ("{a,b}", "a", false),
            ("{a,b}", "{a,b}", true),
            (r"\*", "*", true),
            (r"\*", "a", false),
            (".", "a", false),
            ("/", "a", false),
            ("..", "a", false),
        ] {
            assert_eq!(ignored(pattern, path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn the_last_match_decides_and_may_take_back_below_an_excluded_folder() {
        let rules =
            "\u{feff}# a comment\n*\n  !src  \n! package.json\nsrc/*.log\n # no comment\n!src/keep.log\n";
        for (path, expected) in [
            ("README", true),
            ("src", false),
            ("src/main.rs", false),
            ("src/a.log", true),
            ("src/keep.log", false),
            ("package.json", false),
        ] {
            assert_eq!(ignored(rules, path), expected, "{path}");
        }
        assert!(!ignored("a\n!a/b", "a/b/c"));
        assert!(ignored("!a/b\na", "a/b/c"));
    }

    #[test]
    fn what_means_nothing_is_named() {
        let invalid = |text: &str| Dockerignore::parse(text).unwrap_err();
        let expected = |line, pattern: &str, reason| Invalid { line, pattern: pattern.to_owned(), reason };
        assert_eq!(invalid("a\n!"), expected(2, "!", "nothing follows `!`"));
        assert_eq!(invalid("a[b"), expected(1, "a[b", "`[` without `]`"));
        assert_eq!(invalid("[]"), expected(1, "[]", "`]` and `-` stand in `[…]` only after `\\`"));
        assert_eq!(invalid("[b-a]"), expected(1, "[b-a]", "a range in `[…]` runs backwards"));
        assert_eq!(invalid("a\\"), expected(1, "a\\", "nothing follows the last `\\`"));
    }

    #[test]
    fn many_stars_take_no_time() {
        let pattern = "**/*a".repeat(200);
        assert!(!ignored(&pattern, &"a".repeat(150)));
    }

    /// The same rules as plain recursion over the text of a pattern, for parts in which nothing is escaped.
    fn model(pattern: &str, path: &str) -> bool {
        let Some(first) = pattern.chars().next() else { return path.is_empty() };
        let rest = &pattern[first.len_utf8()..];
        if let Some(after) = pattern.strip_prefix("**") {
            let after = after.strip_prefix('/').unwrap_or(after);
            if after.is_empty() {
                return true;
            }
            let folders = path.match_indices('/').map(|(at, _)| &path[at + 1..]);
            return std::iter::once(path).chain(folders).any(|path| model(after, path));
        }
        match (first, path.chars().next()) {
            ('*', Some(next)) if next != '/' => model(rest, path) || model(pattern, &path[next.len_utf8()..]),
            ('*', _) => model(rest, path),
            ('?', Some(next)) => next != '/' && model(rest, &path[next.len_utf8()..]),
            (first, Some(next)) => first == next && model(rest, &path[next.len_utf8()..]),
            (_, None) => false,
        }
    }

    fn model_ignores(rules: &[(bool, String)], path: &str) -> bool {
        let parents = path.match_indices('/').map(|(at, _)| &path[..at]);
        let prefixes: Vec<&str> = parents.chain(std::iter::once(path)).collect();
        let mut ignored = false;
        for (negated, pattern) in rules {
            let pattern = clean(pattern);
            if !pattern.is_empty() && prefixes.iter().any(|path| model(&pattern, path)) {
                ignored = !negated;
            }
        }
        ignored
    }

    proptest! {
        #[test]
        fn agrees_with_the_model(
            rules in prop::collection::vec((any::<bool>(), "[ab/.*?]{1,7}"), 1..4),
            path in "[ab]{1,2}(/[ab.]{0,1}[ab]){0,3}",
        ) {
            let text: String =
                rules.iter().flat_map(|(negated, rule)| [if *negated { "!" } else { "" }, rule, "\n"]).collect();
            prop_assert_eq!(ignored(&text, &path), model_ignores(&rules, &path), "{}", text);
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,40}", path in "[a-z/]{0,10}") {
            if let Ok(rules) = Dockerignore::parse(&text) {
                rules.is_ignored(&path);
            }
        }
    }
}
