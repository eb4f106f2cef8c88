//! `docs/languages.md` is made from the data files: this is the program that makes it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;

use toml::{Table, Value};

use crate::support::repository;

const HEAD: &str = "# Languages

What the data files say: `detectors/*.toml` and `buildpacks/*/buildpack.toml`. This page is made from them by
`cargo test`; each buildpack's README says more. `rpack detect --explain` shows the evidence for an app, and
`rpack plan` the versions.
";

fn table(path: &str) -> Table {
    fs::read_to_string(repository().join(path)).unwrap().parse().unwrap()
}

fn texts(value: Option<&Value>) -> Vec<String> {
    let list = value.and_then(Value::as_array).cloned().unwrap_or_default();
    list.iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

fn rows<'a>(table: &'a Table, key: &str) -> Vec<&'a Table> {
    let list = table.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    list.iter().map(|row| row.as_table().unwrap()).collect()
}

fn text<'a>(table: &'a Table, key: &str) -> &'a str {
    table.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// `npm: node-linux-{{ … }}`, as short as can be.
fn source(source: &Value) -> String {
    match source {
        Value::String(kind) => kind.clone(),
        Value::Table(table) => table
            .iter()
            .map(|(kind, detail)| match detail {
                Value::String(name) => format!("{kind} `{name}`"),
                Value::Table(detail) => {
                    let name =
                        ["project", "module", "artifact"].iter().find_map(|key| detail.get(*key)?.as_str());
                    format!("{kind} `{}`", name.unwrap_or_default())
                }
                _ => kind.clone(),
            })
            .collect(),
        _ => String::new(),
    }
}

fn tools(buildpack: &Table) -> String {
    let mut page =
        String::from("\n| tool | default | from | release lines (end of fixes) |\n|---|---|---|---|\n");
    for tool in rows(buildpack, "tool") {
        let one = tool.get("source").into_iter();
        let several = tool.get("sources").and_then(Value::as_array).into_iter().flatten();
        let sources: Vec<String> = one.chain(several).map(source).collect();
        let lines =
            rows(tool, "line").into_iter().map(|line| match line.get("eol").and_then(Value::as_str) {
                Some(eol) => format!("{} ({eol})", text(line, "line")),
                None => text(line, "line").to_owned(),
            });
        let lines = lines.collect::<Vec<_>>().join(", ");
        let default = text(tool, "default");
        let cells = [text(tool, "title"), &format!("`{default}`"), &sources.join(", "), &lines];
        writeln!(page, "| {} |", cells.map(|cell| cell.replace('|', "\\|")).join(" | ")).unwrap();
    }
    page
}

fn language(detector: &Table) -> String {
    let id = text(detector, "id");
    let buildpack = table(&format!("buildpacks/{id}/buildpack.toml"));
    let mut page = format!("\n## {} (`{id}`)\n\n", text(detector, "name"));
    let code =
        |names: Vec<String>| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    writeln!(page, "Recognised by {}.", code(texts(detector.get("manifests")))).unwrap();
    let frameworks = detector.get("lists").and_then(|lists| lists.get("frameworks"));
    if frameworks.is_some() {
        writeln!(page, "\nServers it knows: {}.", code(texts(frameworks))).unwrap();
    }
    if !rows(&buildpack, "tool").is_empty() {
        page.push_str(&tools(&buildpack));
    }
    let mut seen = BTreeSet::new();
    let starts: Vec<&str> = rows(&buildpack, "start")
        .into_iter()
        .map(|start| text(start, "looks-for"))
        .filter(|text| seen.insert(*text))
        .collect();
    if !starts.is_empty() {
        page.push_str("\nStarts, in this order, after `start.command` and the Procfile:\n\n");
        for start in starts {
            writeln!(page, "1. {start}").unwrap();
        }
    }
    let checks: BTreeSet<String> = rows(&buildpack, "check")
        .into_iter()
        .map(|check| format!("`{}` ({})", text(check, "id"), text(check, "level")))
        .collect();
    if !checks.is_empty() {
        let checks: Vec<String> = checks.into_iter().collect();
        writeln!(page, "\nIts own checks: {}.", checks.join(", ")).unwrap();
    }
    page
}

#[test]
fn the_page_of_languages_is_up_to_date() {
    let folder = fs::read_dir(repository().join("detectors")).unwrap();
    let names = folder.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut detectors: Vec<Table> = names.map(|name| table(&format!("detectors/{name}"))).collect();
    detectors.sort_by_key(|detector| detector["order"].as_integer());
    let page: String = std::iter::once(HEAD.to_owned()).chain(detectors.iter().map(language)).collect();
    let written = fs::read_to_string(repository().join("docs/languages.md")).unwrap_or_default();
    if written != page {
        fs::write(repository().join("target/languages.md"), page).unwrap();
        panic!("docs/languages.md is out of date: `cp target/languages.md docs/languages.md`");
    }
}
