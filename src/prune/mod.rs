//! Pruning: the tree after all steps in, the same tree without packages that only development needs out.
//!
//! No package manager is asked. From the manifests that ship, dependencies are followed as Node.js resolves them
//! (<https://nodejs.org/api/modules.html#loading-from-node_modules-folders>) over whatever layout the manager made:
//! nested, hoisted, or links into a store. What is not reached goes. Invariant: only folders of packages that
//! belong to the given manifests are touched; those inside what a build wrote, or inside a package's own files, stay.

mod place;
mod walk;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::io;

use crate::plan::Plan;
use crate::store::{Kind, Tree};
use crate::ui::{Diagnose, ExitCode, Reporter};

use place::Place;
use walk::Walk;

/// Why the packages could not be told apart.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A manifest in the work tree cannot be read.
    #[error("cannot read `/{path}` of the work tree")]
    Read {
        /// Relative to `/`.
        path: String,
        /// The system's answer.
        source: io::Error,
    },
}

impl Diagnose for Error {
    fn id(&self) -> &'static str {
        "prune/read"
    }

    fn exit(&self) -> ExitCode {
        ExitCode::Failed
    }
}

/// Takes out of `tree` what the plan says, and says so.
pub fn prune(plan: &Plan, tree: &mut Tree, reporter: &Reporter) -> Result<(), Error> {
    if plan.prune.is_none() {
        return Ok(());
    }
    let task = reporter.task("production dependencies");
    let before = size(tree);
    take_out(plan, tree)?;
    task.done(&format!("{:.1} MB of {:.1} MB stay", megabytes(size(tree)), megabytes(before)));
    Ok(())
}

/// Takes out of `tree` what the plan says.
pub fn take_out(plan: &Plan, tree: &mut Tree) -> Result<(), Error> {
    let Some(rule) = &plan.prune else { return Ok(()) };
    let folders: Vec<String> =
        rule.folders.iter().map(|folder| folder.trim_start_matches('/').to_owned()).collect();
    let mut walk = Walk::new(tree, &rule.cpu);
    for folder in &folders {
        walk.follow_manifest(folder)?;
    }
    let directory = plan.image.working_directory.trim_start_matches('/');
    // A word may be a list of commands for a shell.
    let argv = plan.image.entrypoint.iter().chain(&plan.image.cmd);
    let argv: Vec<&str> = argv.flat_map(|word| word.split_whitespace()).collect();
    walk.follow_command(directory, &argv)?;
    let kept = kept(&walk, &folders);
    tree.retain(|path, _| kept.contains(path) || matches!(Place::of(path, &folders), Place::Elsewhere));
    Ok(())
}

/// The paths in folders of packages that stay, with the directories that they need.
fn kept(walk: &Walk<'_>, folders: &[String]) -> BTreeSet<String> {
    let mut kept = BTreeSet::new();
    for (path, entry) in walk.tree.iter() {
        let is_directory = matches!(entry.kind, Kind::Directory { .. });
        let stays = match Place::of(path, folders) {
            // Stores also have links for those who load what they do not declare.
            Place::Package(package) => {
                let is_link = matches!(entry.kind, Kind::Symlink { .. });
                walk.keeps(package) || (is_link && walk.leads_to_kept(path, folders))
            }
            // A command stays with the package that it belongs to.
            Place::Command => !is_directory && walk.leads_to_kept(path, folders),
            // Directories are there for what is in them.
            Place::Data => !is_directory,
            // So are these, and files are notes of the manager. The rest is not looked at here.
            Place::Structure | Place::Elsewhere => false,
        };
        if stays {
            let mut above = path;
            while let Some((parent, _)) = above.rsplit_once('/') {
                if !kept.insert(parent.to_owned()) {
                    break;
                }
                above = parent;
            }
            kept.insert(path.to_owned());
        }
    }
    kept
}

fn size(tree: &Tree) -> u64 {
    let sizes = tree.iter().map(|(_, entry)| if let Kind::File { size, .. } = entry.kind { size } else { 0 });
    sizes.sum()
}

#[expect(clippy::cast_precision_loss, reason = "megabytes for a message")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
