//! The one way an error becomes text.
//!
//! ```text
//! error[area/what]: what was found and what was needed
//!  --> file:line:column
//!   |
//! 3 | the line
//!   | ^^^
//! caused by: the error below
//!
//! hint: what to do
//! ```
//! Without colour the text says the same. A cause that only repeats its parent is left out.

use std::error::Error;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::Diagnose;
use super::terminal::{Style, paint};

/// Renders `error` and what caused it, ending with a line feed.
pub fn render(error: &dyn Diagnose, colour: bool) -> String {
    let several = error.several();
    if several.is_empty() {
        return one(error, colour);
    }
    several.iter().map(|error| render(*error, colour)).collect::<Vec<_>>().join("\n")
}

fn one(error: &dyn Diagnose, colour: bool) -> String {
    let title = paint(Style::Error, &format!("error[{}]", error.id()), colour);
    let mut text = format!("{title}: {error}\n");
    if let Some(location) = error.location() {
        // Writing to a String cannot fail.
        let _ = writeln!(text, " {} {location}", paint(Style::Dim, "-->", colour));
    }
    if let Some(detail) = error.detail() {
        text.push_str(detail.trim_end_matches('\n'));
        text.push('\n');
    }
    for cause in causes(error) {
        let _ = writeln!(text, "{}: {cause}", paint(Style::Strong, "caused by", colour));
    }
    let hints = error.hints();
    let label = paint(Style::Hint, "hint", colour);
    match hints.as_slice() {
        [] => {}
        [hint] => {
            let _ = write!(text, "\n{label}: {hint}\n");
        }
        hints => {
            text.push('\n');
            for (index, hint) in hints.iter().enumerate() {
                let _ = writeln!(text, "{label} {}: {hint}", index + 1);
            }
        }
    }
    text
}

/// The same as data: `id`, `exit`, `message`, `location`, `detail`, `causes`, `hints`, and `errors` when it
/// stands for several.
pub fn render_json(error: &dyn Diagnose) -> Value {
    let several = error.several();
    let mut value = json!({
        "id": error.id(),
        "exit": error.exit() as u8,
        "message": error.to_string(),
        "location": error.location(),
        "detail": error.detail(),
        "causes": causes(error),
        "hints": error.hints(),
    });
    if !several.is_empty() {
        value["errors"] = several.into_iter().map(render_json).collect();
    }
    value
}

fn causes(error: &dyn Diagnose) -> Vec<String> {
    let mut last = error.to_string();
    let mut found = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if text != last {
            found.push(text.clone());
        }
        last = text;
        next = Error::source(cause);
    }
    found
}

#[cfg(test)]
mod tests {
    use std::io;

    use serde_json::json;

    use super::{render, render_json};
    use crate::ui::{Diagnose, ExitCode, Location};

    #[derive(Debug, thiserror::Error)]
    #[error("cannot read `{file}`")]
    struct Unreadable {
        file: String,
        hints: Vec<String>,
        source: io::Error,
    }

    impl Diagnose for Unreadable {
        fn id(&self) -> &'static str {
            "test/unreadable"
        }
        fn exit(&self) -> ExitCode {
            ExitCode::Usage
        }
        fn location(&self) -> Option<Location> {
            Some(Location { file: self.file.clone(), line: Some(3), column: None })
        }
        fn detail(&self) -> Option<String> {
            Some("  | the line\n".to_owned())
        }
        fn hints(&self) -> Vec<String> {
            self.hints.clone()
        }
    }

    #[derive(Debug, thiserror::Error)]
    #[error("2 problems")]
    struct Both(Vec<Unreadable>);

    impl Diagnose for Both {
        fn id(&self) -> &'static str {
            "test/both"
        }
        fn several(&self) -> Vec<&dyn Diagnose> {
            self.0.iter().map(|error| error as &dyn Diagnose).collect()
        }
    }

    fn unreadable(hints: &[&str]) -> Unreadable {
        let hints = hints.iter().map(ToString::to_string).collect();
        Unreadable { file: "a.txt".to_owned(), hints, source: io::Error::other("broken disk") }
    }

    #[test]
    fn an_error_with_everything() {
        assert_eq!(
            render(&unreadable(&["replace the disk", "or `cp b.txt a.txt`"]), false),
            "error[test/unreadable]: cannot read `a.txt`\n \
             --> a.txt:3\n  \
             | the line\n\
             caused by: broken disk\n\
             \n\
             hint 1: replace the disk\n\
             hint 2: or `cp b.txt a.txt`\n"
        );
    }

    #[test]
    fn several_errors_are_shown_one_after_the_other() {
        assert_eq!(
            render(&Both(vec![unreadable(&["replace the disk"]), unreadable(&[])]), false),
            "error[test/unreadable]: cannot read `a.txt`\n \
             --> a.txt:3\n  \
             | the line\n\
             caused by: broken disk\n\
             \n\
             hint: replace the disk\n\
             \n\
             error[test/unreadable]: cannot read `a.txt`\n \
             --> a.txt:3\n  \
             | the line\n\
             caused by: broken disk\n"
        );
    }

    #[test]
    fn colour_changes_nothing_but_colour() {
        let text = render(&unreadable(&["replace the disk"]), true);
        assert!(text.starts_with("\u{1b}[1;31merror[test/unreadable]\u{1b}[0m: cannot read `a.txt`\n"));
    }

    #[test]
    fn the_same_as_data() {
        assert_eq!(
            render_json(&unreadable(&["replace the disk"])),
            json!({
                "id": "test/unreadable",
                "exit": 2,
                "message": "cannot read `a.txt`",
                "location": { "file": "a.txt", "line": 3, "column": null },
                "detail": "  | the line\n",
                "causes": ["broken disk"],
                "hints": ["replace the disk"],
            })
        );
    }
}
