//! The names that expressions may use, so that a misspelt one is found when a buildpack is read and not on the
//! first app for which its line counts.

use std::collections::HashSet;

/// Values that planning adds. Their members depend on the buildpack and are checked when they are used.
const OPEN: [&str; 6] = ["arch", "base", "config", "start", "value", "versions"];

/// Ecosystems whose facts are described by [`FACTS`]. Facts of other names are an extension and are not checked.
const DESCRIBED: [&str; 6] = ["files", "node", "python", "go", "static", "procfile"];

/// Every fact; `*` stands for any key.
const FACTS: [&str; 69] = [
    "files.has",
    "node.entry",
    "node.lock.drift",
    "node.lock.file",
    "node.lock.kind",
    "node.lock.scripts",
    "node.lock.version",
    "node.main_file",
    "node.package.dependencies.*",
    "node.package.dev_dependencies.*",
    "node.package.engines.*",
    "node.package.main",
    "node.package.name",
    "node.package.optional_dependencies.*",
    "node.package.package_manager",
    "node.package.script_lines.*",
    "node.package.scripts.*",
    "node.package.type",
    "node.package.version",
    "node.package.workspaces",
    "node.typescript",
    "node.typescript_entry",
    "node.versions",
    "python.apps.directory",
    "python.apps.factory",
    "python.apps.file",
    "python.apps.framework",
    "python.apps.interface",
    "python.apps.line",
    "python.apps.module",
    "python.apps.variable",
    "python.dependencies",
    "python.files",
    "python.hashed",
    "python.local",
    "python.mains",
    "python.manager",
    "python.no_binary",
    "python.project.build_system",
    "python.project.declared",
    "python.project.name",
    "python.project.poetry",
    "python.project.scripts.*",
    "python.requirements",
    "python.requirements_file",
    "python.unpinned",
    "python.versions",
    "go.cgo",
    "go.cgo_libraries",
    "go.embeds",
    "go.has_sum",
    "go.mains",
    "go.module",
    "go.replaces_outside",
    "go.requires.*",
    "go.vendored",
    "go.versions",
    "go.workspace",
    "static.hugo",
    "static.index",
    "static.staticfile.basic_auth",
    "static.staticfile.directory",
    "static.staticfile.dot_files",
    "static.staticfile.fallback",
    "static.staticfile.root",
    "procfile.default",
    "procfile.processes.*.command",
    "procfile.processes.*.line",
    "procfile.program",
];

/// Refuses the first of `used` (in order of spelling) that is no known name.
pub(super) fn check(used: HashSet<String>) -> Result<(), String> {
    let mut used: Vec<String> = used.into_iter().collect();
    used.sort();
    for name in used {
        let first = name.split('.').next().unwrap_or(&name);
        let open = OPEN.contains(&first) || first == "facts";
        if open || FACTS.iter().any(|fact| fits(&name, fact)) {
            continue;
        }
        if !DESCRIBED.contains(&first) {
            return Err(format!(
                "there is no value `{first}`: expected one of {}, or `facts.NAME` for other ecosystems",
                listed()
            ));
        }
        return Err(format!("there is no fact `{name}`{}", similar(&name)));
    }
    Ok(())
}

fn listed() -> String {
    let mut all: Vec<String> = OPEN.iter().chain(&DESCRIBED).map(|name| format!("`{name}`")).collect();
    all.sort();
    all.join(", ")
}

/// Whether `name` is the fact or a part of the way to it.
fn fits(name: &str, fact: &str) -> bool {
    let mut parts = fact.split('.');
    name.split('.').all(|part| parts.next().is_some_and(|expected| expected == "*" || expected == part))
}

fn similar(name: &str) -> String {
    let (parent, last) = name.rsplit_once('.').unwrap_or(("", name));
    let near: Vec<String> = FACTS
        .iter()
        .filter(|fact| fact.strip_prefix(parent).is_some_and(|rest| rest.starts_with('.')))
        .filter(|fact| fact.rsplit('.').next().is_some_and(|end| end.chars().next() == last.chars().next()))
        .map(|fact| format!("`{fact}`"))
        .collect();
    if near.is_empty() { String::new() } else { format!(": did you mean {}?", near.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(name: &str) -> Option<String> {
        check(HashSet::from([name.to_owned()])).err()
    }

    #[test]
    fn known_names_pass() {
        for name in
            ["node", "node.package", "node.package.scripts.build", "versions.node.major", "facts.ruby"]
        {
            assert_eq!(refusal(name), None, "{name}");
        }
    }

    #[test]
    fn a_misspelt_fact_names_its_neighbours() {
        assert_eq!(
            refusal("node.lock.fiel").unwrap(),
            "there is no fact `node.lock.fiel`: did you mean `node.lock.file`?"
        );
    }

    #[test]
    fn an_unknown_value_lists_the_known_ones() {
        assert_eq!(
            refusal("nod").unwrap(),
            "there is no value `nod`: expected one of `arch`, `base`, `config`, `files`, `go`, `node`, `procfile`, \
             `python`, `start`, `static`, `value`, `versions`, or `facts.NAME` for other ecosystems"
        );
    }
}
