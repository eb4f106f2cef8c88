//! What manifests say: the source in, one typed value per ecosystem out.
//!
//! Every file is read by a real parser of its format. Invariants: nothing runs, nothing is fetched, and no file
//! outside the source is read; only the root and what its manifests name count.

mod about;
mod credentials;
mod files;
mod front_end;
pub mod go;
mod json;
mod located;
pub mod node;
pub mod procfile;
pub mod programs;
pub mod python;
pub mod shell;
pub mod site;
mod yaml;

use std::sync::LazyLock;

use serde::Serialize;

pub use about::About;
pub(super) use files::Files;
pub(super) use front_end::folders as front_end_folders;
pub use go::Go;
pub use located::Located;
pub use node::Node;
pub use procfile::Procfile;
pub use programs::Programs;
pub use python::Python;
pub use shell::Shell;
pub use site::Site;

use super::Error;
use crate::plan::model::Notice;

/// Everything that was read, one member per ecosystem that left a trace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Facts {
    /// The root folder itself.
    pub files: Root,
    /// Present with a `package.json` or a Node entry file at the root.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<Node>,
    /// Present with a manifest of Python or a `*.py` at the root.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub python: Option<Python>,
    /// Present with `go.mod`, `go.work` or a `*.go` at the root.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub go: Option<Go>,
    /// Present with a `Staticfile`, the configuration of Hugo, or an `index.html` where sites have it.
    #[serde(rename = "static", skip_serializing_if = "Option::is_none")]
    pub site: Option<Site>,
    /// Present with a start script at the root.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shell: Option<Shell>,
    /// Present with a `Procfile`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub procfile: Option<Procfile>,
    /// What the programs do to their surroundings.
    pub programs: Programs,
}

/// The root folder.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Root {
    /// The names at the root, files and folders, sorted.
    pub has: Vec<String>,
}

/// A line of a lock or a manifest that should be seen but does not stop anything.
pub(super) fn warning(id: &str, text: String) -> Notice {
    Notice { id: id.to_owned(), text, warning: true }
}

/// The facts of Node.js in `folder` alone, which is seen as a front end of the app in `files`.
pub(super) fn of_front_end(
    files: &Files<'_>,
    folder: &str,
    language: &str,
    notices: &mut Vec<Notice>,
) -> Result<Facts, Error> {
    let files = &files.of(&files.below(folder));
    let mut facts = Facts { files: Root { has: files.root().to_vec() }, ..Facts::default() };
    facts.complete(files, language, notices)?;
    Ok(facts)
}

/// Whether something at the root of the source says that `folder` is a member of its workspace.
pub(super) fn is_member(files: &Files<'_>, folder: &str) -> Result<bool, Error> {
    Ok(go::has_member(files, folder)? || node::has_member(files, folder)?)
}

/// Reads the facts. When `only` names an ecosystem, it is present even without a trace, and a broken manifest of
/// another one is a warning: the user has said what the app is.
pub(super) fn read(files: &Files<'_>, only: Option<&str>, notices: &mut Vec<Notice>) -> Result<Facts, Error> {
    let mut reader = Reader { only, notices };
    let node = reader.read("node", node::is_present(files), |notices| node::read(files, notices))?;
    Ok(Facts {
        files: Root { has: files.root().to_vec() },
        programs: programs::read(files, node.as_ref()),
        node,
        python: reader.read("python", python::is_present(files), |notices| python::read(files, notices))?,
        go: reader.read("go", go::is_present(files), |_| go::read(files))?,
        site: reader.read("static", site::is_present(files), |_| site::read(files))?,
        shell: reader.read("shell", shell::is_present(files), |_| Ok(shell::read(files)))?,
        procfile: procfile::read(files, reader.notices)?,
    })
}

struct Reader<'a> {
    only: Option<&'a str>,
    notices: &'a mut Vec<Notice>,
}

impl Reader<'_> {
    fn read<T>(
        &mut self,
        id: &str,
        present: bool,
        read: impl FnOnce(&mut Vec<Notice>) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        let wanted = self.only == Some(id);
        if !present && !wanted {
            return Ok(None);
        }
        match read(self.notices) {
            Ok(facts) => Ok(Some(facts)),
            Err(error) if self.only.is_some() && !wanted => {
                let text = format!("facts of `{id}` are left out, as the language is given: {error}");
                self.notices.push(warning("detect/skipped", text));
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

impl Facts {
    /// Makes the facts of `id` present: a Procfile may point at an ecosystem that left no trace at the root.
    pub(super) fn complete(
        &mut self,
        files: &Files<'_>,
        id: &str,
        notices: &mut Vec<Notice>,
    ) -> Result<(), Error> {
        match id {
            "node" if self.node.is_none() => self.node = Some(node::read(files, notices)?),
            "python" if self.python.is_none() => self.python = Some(python::read(files, notices)?),
            "static" if self.site.is_none() => self.site = Some(site::read(files)?),
            "shell" if self.shell.is_none() => self.shell = Some(shell::read(files)),
            "go" if self.go.is_none() => self.go = Some(go::read(files)?),
            _ => {}
        }
        Ok(())
    }

    /// The shape of all facts, for checking the names that expressions use: every optional member is present,
    /// lists are empty, and an empty object stands for a map with any key.
    pub(crate) fn shape() -> &'static serde_json::Value {
        static SHAPE: LazyLock<serde_json::Value> = LazyLock::new(|| {
            let facts = Facts {
                files: Root::default(),
                node: Some(Node::shape()),
                python: Some(Python::shape()),
                go: Some(Go::default()),
                site: Some(Site::shape()),
                shell: Some(Shell::shape()),
                procfile: Some(Procfile::default()),
                programs: Programs::default(),
            };
            serde_json::to_value(facts).expect("facts have string keys and no failing serialiser")
        });
        &SHAPE
    }
}

/// What is wrong with a dotted name that an expression over values of this shape uses, if anything.
pub(crate) fn unknown_name(shape: &serde_json::Value, name: &str) -> Option<String> {
    let mut value = shape;
    let mut walked = String::new();
    for part in name.split('.') {
        match value {
            serde_json::Value::Object(members) if members.is_empty() => return None,
            serde_json::Value::Object(members) => {
                let Some(member) = members.get(part) else {
                    let known: Vec<String> = members.keys().map(|key| format!("`{key}`")).collect();
                    let place = if walked.is_empty() { "rpack".to_owned() } else { format!("`{walked}`") };
                    return Some(format!("`{name}` is not a fact: {place} knows {}", known.join(", ")));
                };
                value = member;
            }
            serde_json::Value::Array(_) => return None,
            _ => return Some(format!("`{name}` is not a fact: `{walked}` has no members")),
        }
        if !walked.is_empty() {
            walked.push('.');
        }
        walked.push_str(part);
    }
    None
}
