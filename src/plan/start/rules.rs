//! What a buildpack says of start commands: how words become an argv, and which programs are special.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::super::template::{Expression, Text};

/// How words of a start command become an argv.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::plan) struct Commands {
    /// The map of named scripts that commands can call.
    pub(super) scripts: Option<Expression>,
    /// Their lines in `scripts_file`, by name.
    pub(super) script_lines: Option<Expression>,
    /// The file that holds them.
    #[serde(default)]
    pub(super) scripts_file: Text,
    /// Words before a script's name: `["npm", "run"]`.
    #[serde(default)]
    pub(super) run: Vec<Vec<String>>,
    /// Words that call one script: `["npm", "start"]` → `start`.
    #[serde(default)]
    pub(super) aliases: Vec<Alias>,
    /// Leading words that are dropped, with assignments after them: `cross-env`, `npx`.
    #[serde(default)]
    pub(super) transparent: Vec<Vec<String>>,
    /// A list of commands that the build has run, which count as done where `&&` stands after them.
    pub(super) prepared: Option<Expression>,
    /// The file that a bare first word stands for.
    #[serde(default)]
    pub(super) programs: BTreeMap<String, Text>,
    /// Where other bare first words are.
    pub(super) bins: Option<Bins>,
    /// The shell that the image gets when a command is a list of commands: `a && b`.
    pub(super) list_shell: Option<String>,
    /// Whether the image has a shell, so that commands may name it.
    #[serde(default)]
    pub(super) shell: bool,
    /// Commands that are no production start.
    #[serde(default)]
    pub(super) reject: Vec<Reject>,
    /// Servers with options for where they listen.
    #[serde(default)]
    pub(super) listens: Vec<Listens>,
    /// Programs that run several commands.
    #[serde(default)]
    pub(super) several: Vec<Several>,
    /// What commands begin with that only make files, once or whenever a source changes: beside a server, the build has
    /// done their work.
    #[serde(default)]
    pub(super) makers: Vec<Vec<String>>,
}

/// A server with options for where it listens: a port that is written becomes the default of `PORT`, and an address that
/// only the same machine reaches becomes every address.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Listens {
    /// What the command begins with; the folder of the first word does not count.
    pub(super) words: Vec<String>,
    /// Options for the port; the first is added where none is there and there is a default.
    #[serde(default)]
    pub(super) port: Vec<String>,
    /// Options for the address; the first is added as the port's is.
    #[serde(default)]
    pub(super) host: Vec<String>,
    /// Options for both, `HOST:PORT`.
    #[serde(default)]
    pub(super) bind: Vec<String>,
    /// The port of a server that does not read `PORT` itself.
    pub(super) default: Option<u16>,
}

/// A program that runs several commands: `run-s`, `concurrently`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Several {
    /// What the command begins with; the folder of the first word does not count.
    pub(super) words: Vec<String>,
    /// What its other words are.
    #[serde(default)]
    pub(super) takes: Takes,
    /// Options that make it run them at the same time; none when it always does.
    pub(super) parallel_with: Option<Vec<String>>,
    /// Options that have a value.
    #[serde(default)]
    pub(super) valued: Vec<String>,
    /// Those of them that name the commands, with commas between the names.
    #[serde(default)]
    pub(super) names: Vec<String>,
}

/// What the words are that such a program is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Takes {
    /// Names of scripts, also with `*`.
    Scripts,
    /// Whole commands, or `npm:NAME` for a script.
    Lines,
    /// Nothing that says what runs: that stands in another file.
    #[default]
    Nothing,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Alias {
    pub(super) words: Vec<String>,
    pub(super) script: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Bins {
    pub(super) folder: Text,
    /// The program that runs them.
    pub(super) interpreter: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Reject {
    /// What the command begins with; the folder of the first word does not count.
    pub(super) words: Vec<String>,
    /// A word that it must have besides.
    pub(super) with: Option<String>,
    /// What to use instead.
    pub(super) instead: String,
    /// The program that runs the file which the command names: `nodemon server.js` → `node server.js`.
    pub(super) runs: Option<String>,
    /// Options before that file that have a value.
    #[serde(default)]
    pub(super) valued: Vec<String>,
    /// Options whose value is the program itself: `nodemon --exec tsx server.ts` → `tsx server.ts`.
    #[serde(default)]
    pub(super) exec: Vec<String>,
    /// Why, for a program that is not for development: it manages processes.
    pub(super) why: Option<String>,
    /// What stands between its own options, also behind the file, and the arguments of the program: `--`.
    pub(super) separator: Option<String>,
    /// Endings of files that say what is to run, and are no programs: `ecosystem.config.js`.
    #[serde(default)]
    pub(super) settings: Vec<String>,
}
