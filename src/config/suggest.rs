//! What somebody may have meant by a name that does not exist.
//!
//! Names of the same table are tried first, then all names, then names that other build tools use.

use super::schema;

/// At most this many suggestions.
const LIMIT: usize = 3;

/// Names of other tools, in lower case, and what they are called here.
const FOREIGN: [(&str, &str); 38] = [
    ("aptpackages", "build.packages"),
    ("aptpkgs", "build.packages"),
    ("bp_cpython_version", "runtime.python.version"),
    ("bp_go_version", "runtime.go.version"),
    ("bp_image_labels", "image.labels.KEY"),
    ("bp_include_files", "source.include"),
    ("bp_node_version", "runtime.node.version"),
    ("buildcommand", "build.command"),
    ("buildscript", "build.command"),
    ("cmd", "start.command"),
    ("deploy.startcommand", "start.command"),
    ("engines.node", "runtime.node.version"),
    ("entrypoint", "start.command"),
    ("expose", "image.ports"),
    ("go_version", "runtime.go.version"),
    ("google_entrypoint", "start.command"),
    ("google_go_version", "runtime.go.version"),
    ("google_nodejs_version", "runtime.node.version"),
    ("google_python_version", "runtime.python.version"),
    ("google_runtime", "language"),
    ("google_runtime_version", "runtime.TOOL.version"),
    ("nixpacks_apt_pkgs", "build.packages"),
    ("nixpacks_build_cmd", "build.command"),
    ("nixpacks_node_version", "runtime.node.version"),
    ("nixpacks_python_version", "runtime.python.version"),
    ("nixpacks_start_cmd", "start.command"),
    ("node_version", "runtime.node.version"),
    ("nodeversion", "runtime.node.version"),
    ("port", "image.ports"),
    ("provider", "language"),
    ("providers", "language"),
    ("python_version", "runtime.python.version"),
    ("pythonversion", "runtime.python.version"),
    ("railpack_build_cmd", "build.command"),
    ("railpack_start_cmd", "start.command"),
    ("run", "start.command"),
    ("startcommand", "start.command"),
    ("variables", "runtime.env.NAME"),
];

/// Suggestions for the unknown key at `path`, best first.
pub(super) fn keys(path: &[&str]) -> Vec<String> {
    let Some((last, table)) = path.split_last() else { return Vec::new() };
    let mut found = Vec::new();
    let members = schema::members(table);
    found.extend(near(last, members.iter().copied()).map(|member| [table, &[member]].concat().join(".")));
    let names = schema::names();
    let full = path.join(".");
    let leaves = names.iter().filter(|name| name.rsplit('.').next().is_some_and(|leaf| leaf == *last));
    found.extend(leaves.cloned());
    found.extend(near(&full, names.iter().map(String::as_str)).map(str::to_owned));
    found.extend(foreign(&full).or_else(|| foreign(last)).map(str::to_owned));
    first(found)
}

/// Suggestions for the unknown variable `name`, which starts with `RPACK_`.
pub(super) fn variables(name: &str) -> Vec<String> {
    let mut known: Vec<String> = schema::MACHINE.iter().map(|(name, _)| (*name).to_owned()).collect();
    for key in &schema::KEYS {
        if key.words.is_empty() {
            known.push(key.variable(None));
        }
        for word in key.words {
            known.extend(schema::short(key, word));
            known.push(key.variable(Some(word)));
        }
    }
    let mut found: Vec<String> = near(name, known.iter().map(String::as_str)).map(str::to_owned).collect();
    let rest = name.strip_prefix(schema::PREFIX).unwrap_or(name);
    let flattened = |known: &&String| known.replace("__", "_") == name.replace("__", "_");
    found.extend(known.iter().filter(flattened).cloned());
    found.extend(foreign(rest).map(|key| {
        let spelled = schema::KEYS.iter().find(|known| known.name == key).map(|known| known.variable(None));
        let word = || {
            let path: Vec<&str> = key.split('.').collect();
            match schema::find(&path) {
                schema::Found::Key(known, argument) => Some(known.variable(argument.as_deref())),
                _ => None,
            }
        };
        spelled.or_else(word).unwrap_or_default()
    }));
    first(found)
}

fn foreign(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase();
    FOREIGN.iter().find(|(known, _)| *known == name).map(|(_, key)| *key)
}

fn first(found: Vec<String>) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    for name in found {
        if kept.len() < LIMIT && !kept.contains(&name) {
            kept.push(name);
        }
    }
    kept
}

/// The candidates within the distance of a slip, nearest first.
fn near<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> impl Iterator<Item = &'a str> {
    let limit = match name.chars().count() {
        0..4 => 1,
        4..9 => 2,
        _ => 3,
    };
    let mut found: Vec<(usize, &str)> =
        candidates.map(|candidate| (distance(name, candidate), candidate)).collect();
    found.retain(|(distance, _)| *distance <= limit);
    found.sort_unstable();
    found.into_iter().map(|(_, candidate)| candidate)
}

/// Edits between two names: insertions, deletions, substitutions, and swaps of neighbours (optimal string
/// alignment). Long names count as far from everything.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.len().abs_diff(b.len()) > 3 || a.len() > 200 {
        return usize::MAX;
    }
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let cost = usize::from(a[i - 1] != b[j - 1]);
                let mut best = (rows[i - 1][j] + 1).min(rows[i][j - 1] + 1).min(rows[i - 1][j - 1] + cost);
                if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                    best = best.min(rows[i - 2][j - 2] + 1);
                }
                best
            };
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::{FOREIGN, distance, keys, variables};
    use crate::config::schema;

    #[test]
    fn the_same_table_comes_first() {
        assert_eq!(keys(&["build", "pakages"]), ["build.packages"]);
        assert_eq!(keys(&["biuld"]), ["build"]);
        assert_eq!(keys(&["runtime", "nod"]), ["runtime.node"]);
        assert_eq!(keys(&["packages"]), ["build.packages", "runtime.packages"]);
        assert_eq!(keys(&["image", "bananas"]), Vec::<String>::new());
    }

    #[test]
    fn names_of_other_tools_are_known() {
        assert_eq!(keys(&["startCommand"]), ["start.command"]);
        assert_eq!(keys(&["deploy", "startCommand"]), ["start.command"]);
        assert_eq!(keys(&["BP_NODE_VERSION"]), ["runtime.node.version"]);
        assert_eq!(keys(&["build", "GOOGLE_ENTRYPOINT"]), ["start.command"]);
        assert_eq!(variables("RPACK_START_COMMAND"), ["RPACK_START__COMMAND"]);
        assert_eq!(variables("RPACK_ENTRYPOINT"), ["RPACK_START__COMMAND"]);
        assert_eq!(variables("RPACK_NODE_VERSON"), ["RPACK_NODE_VERSION"]);
        assert_eq!(variables("RPACK_BANANAS"), Vec::<String>::new());
    }

    #[test]
    fn every_foreign_name_leads_to_a_key() {
        let names = schema::names();
        assert!(FOREIGN.is_sorted());
        for (name, key) in FOREIGN {
            assert_eq!(name, name.to_ascii_lowercase());
            let known = names.iter().any(|known| known == key) || key == "runtime.TOOL.version";
            assert!(known, "{key}");
        }
    }

    #[test]
    fn a_swap_is_one_edit() {
        assert_eq!(distance("image", "imgae"), 1);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "ab"), 2);
        assert_eq!(distance("short", "much longer"), usize::MAX);
    }
}
