//! Scripts and the programs that run them.
//!
//! - The start command's script, and executable scripts of the app in a folder of the image's `PATH`: an interpreter
//!   that the image lacks is added from the build root. What starts the app and is nowhere to be found is an error.
//! - Any other executable script of the app, and scripts of dependencies in a folder of the `PATH`: the image stays
//!   as it is, and one note names them with the line that would add the interpreter.
//! - Scripts elsewhere in dependencies are not looked at: nothing starts them.

use std::collections::BTreeMap;

use super::scan::Script;
use super::view::View;

/// How much a script counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    /// It starts the app.
    Start,
    /// The app's own, on the `PATH`.
    Command,
    /// Whatever else.
    Other,
}

/// A program that a script needs and the image lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lacking {
    pub(super) script: String,
    pub(super) role: Role,
    /// `/bin/sh`, or a name to be found on the `PATH`.
    pub(super) program: String,
}

/// What scripts need and the image does not have, in the order of their paths.
pub(super) fn lacking(
    scripts: &BTreeMap<String, Script>,
    view: &View<'_>,
    path: &[String],
    role: impl Fn(&str) -> Role,
) -> Vec<Lacking> {
    let mut lacking = Vec::new();
    for (file, script) in scripts {
        for program in std::iter::once(&script.interpreter).chain(&script.program) {
            let is_there = if program.contains('/') {
                view.file(program).is_some()
            } else {
                path.iter().any(|folder| view.file(&format!("{folder}/{program}")).is_some())
            };
            if !is_there {
                let program = program.clone();
                lacking.push(Lacking { script: file.clone(), role: role(file), program });
            }
        }
    }
    lacking
}

/// `` `/app/x`, `/app/y` and 3 others ``.
pub(super) fn listed(scripts: &[String]) -> String {
    let shown: Vec<String> = scripts.iter().take(2).map(|path| format!("`/{path}`")).collect();
    match (scripts.len(), shown.as_slice()) {
        (0 | 1, _) => shown.concat(),
        (2, [first, second]) => format!("{first} and {second}"),
        (3, _) => format!("{} and one other", shown.join(", ")),
        (count, _) => format!("{} and {} others", shown.join(", "), count - 2),
    }
}

#[cfg(test)]
mod tests {
    use super::{Role, Script, View, lacking, listed};
    use crate::store::{Entry, Tree};

    #[test]
    fn interpreters_are_looked_for_where_the_kernel_and_env_look() {
        let mut tree = Tree::new();
        tree.insert("opt/node/bin/node", Entry::bytes(""));
        tree.add_parents();
        let script = |interpreter: &str, program: Option<&str>| Script {
            interpreter: interpreter.to_owned(),
            program: program.map(str::to_owned),
        };
        let scripts = [
            ("app/a".to_owned(), script("/opt/node/bin/node", None)),
            ("app/b".to_owned(), script("/usr/bin/env", Some("node"))),
            ("app/c".to_owned(), script("/bin/sh", None)),
        ]
        .into();
        let role = |path: &str| if path == "app/b" { Role::Start } else { Role::Other };
        let found: Vec<_> = lacking(&scripts, &View::new(vec![&tree]), &["/opt/node/bin".to_owned()], role)
            .into_iter()
            .map(|lacking| (lacking.script, lacking.role, lacking.program))
            .collect();
        assert_eq!(
            found,
            [
                ("app/b".to_owned(), Role::Start, "/usr/bin/env".to_owned()),
                ("app/c".to_owned(), Role::Other, "/bin/sh".to_owned()),
            ]
        );
    }

    #[test]
    fn long_lists_are_cut() {
        let paths: Vec<String> = ["a", "b", "c", "d"].map(str::to_owned).into();
        let texts: Vec<String> = (1..=4).map(|count| listed(&paths[..count])).collect();
        assert_eq!(texts, ["`/a`", "`/a` and `/b`", "`/a`, `/b` and one other", "`/a`, `/b` and 2 others"]);
    }
}
