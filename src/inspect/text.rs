//! What an image is, for people.

use std::collections::BTreeMap;

use serde_json::Value;

use super::report::{Details, Kind, Layer, Package, Report};
use crate::oci::image::{BASE_DIGEST, BASE_NAME};
use crate::plan::model::PROCESSES;
use crate::plan::provenance::VERSIONS;
use crate::ui::columns::{count, quoted, section, shown, table};
use crate::ui::size;

/// Packages of a layer that are named; the list of all follows.
const NAMED: usize = 8;
/// Files of a layer that are named; the JSON form has more.
const LARGEST: usize = 3;
/// The longest text of a setting or history that is shown.
const WIDTH: usize = 160;
/// What is shown of a digest, as in `docker images`.
const DIGEST: usize = 12;

impl Report {
    /// For people, with a line end behind every line.
    pub fn text(&self) -> String {
        let details = &self.details;
        let name = self.name.as_deref().unwrap_or(&self.image);
        let mut text = format!("{}  {}\n", shown(name), shown(&details.platform));
        section(&mut text, "image", self.identity());
        section(&mut text, "start", start(details));
        section(&mut text, "environment", details.start.environment.iter().map(|line| short(line)).collect());
        section(&mut text, "processes", processes(details));
        section(&mut text, "versions", versions(details));
        section(&mut text, "base", base(details));
        section(&mut text, "layers", layers(details));
        section(&mut text, "packages", packages(details));
        section(&mut text, "labels", labels(details));
        section(&mut text, "annotations", pairs(&details.annotations));
        section(&mut text, "other settings", others(&details.other));
        section(&mut text, "referrers", self.referring());
        text
    }

    fn identity(&self) -> Vec<String> {
        let details = &self.details;
        let mut rows = vec![row(&["digest", &self.digest.to_string()])];
        if self.digest != details.manifest {
            rows.push(row(&["manifest", &details.manifest.to_string()]));
        }
        rows.extend(details.created.iter().map(|created| row(&["created", created])));
        let of = count(details.layers.len(), "layer", "layers");
        let sizes = format!(
            "{} compressed, {} of files, {of}",
            size(details.size.compressed),
            size(details.size.files)
        );
        rows.push(row(&["size", &sizes]));
        if self.platforms.len() > 1 {
            rows.extend(self.platforms.iter().map(|member| {
                let mark = if member.shown { "  (shown)" } else { "" };
                row(&["platform", &format!("{}  {}{mark}", member.platform, member.digest)])
            }));
        }
        table(&rows)
    }

    fn referring(&self) -> Vec<String> {
        let rows = self.referrers.iter().flatten().map(|referrer| {
            let kind = referrer.artifact_type.as_deref().unwrap_or("of no type");
            row(&[kind, &referrer.digest.to_string(), &size(referrer.size)])
        });
        table(&rows.collect::<Vec<_>>())
    }
}

/// Cells without what a terminal would obey.
fn row(cells: &[&str]) -> Vec<String> {
    cells.iter().map(|cell| shown(cell)).collect()
}

/// A long text without its end.
pub(super) fn short(text: &str) -> String {
    crate::ui::shorten(&shown(text), WIDTH)
}

/// An argv so that its words can be told apart.
pub(super) fn command(words: &[String]) -> String {
    shown(&words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" "))
}

fn start(details: &Details) -> Vec<String> {
    let start = &details.start;
    let mut rows = Vec::new();
    let mut add = |name: &str, value: String| {
        if !value.is_empty() {
            rows.push(vec![name.to_owned(), value]);
        }
    };
    add("command", command(&start.entrypoint));
    add("arguments", command(&start.arguments));
    add("user", shown(&start.user));
    add("folder", shown(&start.working_directory));
    add("ports", shown(&start.ports.join(", ")));
    add("stopped by", shown(&start.stop_signal));
    table(&rows)
}

fn processes(details: &Details) -> Vec<String> {
    let rows = details.processes.iter().map(|(name, process)| {
        vec![shown(name), command(&process.argv), shown(&format!("({})", process.origin))]
    });
    table(&rows.collect::<Vec<_>>())
}

fn versions(details: &Details) -> Vec<String> {
    let rows = details.versions.iter().map(|stated| {
        let asked = format!("asked for {}", stated.requested);
        row(&[&format!("{} {}", stated.tool, stated.version), &stated.origin, &asked, &stated.source])
    });
    table(&rows.collect::<Vec<_>>())
}

fn base(details: &Details) -> Vec<String> {
    let base = &details.base;
    let facts = [
        ("system", &base.release),
        ("composed of", &base.composed),
        ("image", &base.name),
        ("digest", &base.digest),
    ];
    let rows = facts.iter().filter_map(|(name, value)| Some(row(&[name, value.as_ref()?])));
    table(&rows.collect::<Vec<_>>())
}

/// Two lines or more for each: what it is, and what is in it.
fn layers(details: &Details) -> Vec<String> {
    let heads: Vec<Vec<String>> = details.layers.iter().map(head).collect();
    let mut packages: BTreeMap<(usize, Kind), Vec<&Package>> = BTreeMap::new();
    for package in &details.packages {
        packages.entry((package.layer, package.kind)).or_default().push(package);
    }
    let mut lines = Vec::new();
    for (index, (layer, head)) in details.layers.iter().zip(table(&heads)).enumerate() {
        lines.push(head);
        let of_layer = packages.range((index, Kind::Cargo)..=(index, Kind::Python));
        let of_layer = of_layer.map(|((_, kind), packages)| (*kind, &packages[..]));
        lines.extend(holds(layer, of_layer).into_iter().map(|line| format!("  {line}")));
    }
    lines
}

fn head(layer: &Layer) -> Vec<String> {
    let digest: String = layer.digest.hex().chars().take(DIGEST).collect();
    let made_by = layer.id.as_deref().unwrap_or(&layer.created_by);
    let comment = if layer.comment == made_by { "" } else { &layer.comment };
    let what = [made_by, comment].into_iter().filter(|text| !text.is_empty()).map(short);
    let what: Vec<String> = what.collect();
    vec![digest, size(layer.size), what.join("  ")]
}

fn holds<'a>(layer: &Layer, packages: impl Iterator<Item = (Kind, &'a [&'a Package])>) -> Vec<String> {
    let contents = &layer.contents;
    let mut numbers = vec![count(contents.entries, "file", "files"), size(contents.files)];
    if contents.removed > 0 {
        numbers.push(format!("{} removed", count(contents.removed, "path", "paths")));
    }
    let mut lines = vec![numbers.join(", ")];
    for (kind, ours) in packages {
        let named: Vec<String> = ours.iter().take(NAMED).map(|package| label(package)).collect();
        let more = ours.len().saturating_sub(NAMED);
        let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
        lines.push(format!("{}: {}{rest}", kind.name(), named.join(", ")));
    }
    let largest = contents.largest.iter().take(LARGEST).filter(|file| file.size > 0);
    let largest: Vec<String> =
        largest.map(|file| format!("{} {}", shown(&file.path), size(file.size))).collect();
    if !largest.is_empty() {
        lines.push(format!("largest: {}", largest.join(", ")));
    }
    lines
}

fn label(package: &Package) -> String {
    shown(&format!("{} {}", package.name, package.version))
}

/// A line for each; its folder is named where another folder has a package of this name.
fn packages(details: &Details) -> Vec<String> {
    let mut known: BTreeMap<(Kind, &str), usize> = BTreeMap::new();
    for package in &details.packages {
        *known.entry((package.kind, &package.name)).or_default() += 1;
    }
    let rows = details.packages.iter().map(|package| {
        let source = package.source.as_ref().map(|source| format!("source {source}"));
        let path = package.path.as_deref().filter(|_| known[&(package.kind, package.name.as_str())] > 1);
        let facts = [source.as_deref(), package.licence.as_deref(), path];
        let facts: Vec<&str> = facts.into_iter().flatten().collect();
        row(&[package.kind.name(), &package.name, &package.version, &facts.join(", ")])
    });
    table(&rows.collect::<Vec<_>>())
}

/// Those that no other section has shown.
fn labels(details: &Details) -> Vec<String> {
    let is_shown = |key: &str| match key {
        VERSIONS => !details.versions.is_empty(),
        PROCESSES => !details.processes.is_empty(),
        _ => key == BASE_NAME || key == BASE_DIGEST,
    };
    let others = details.labels.iter().filter(|(key, _)| !is_shown(key));
    pairs(&others.map(|(key, value)| (key.clone(), value.clone())).collect())
}

fn pairs(table_of: &BTreeMap<String, String>) -> Vec<String> {
    let rows = table_of.iter().map(|(key, value)| vec![shown(key), short(value)]);
    table(&rows.collect::<Vec<_>>())
}

fn others(settings: &BTreeMap<String, Value>) -> Vec<String> {
    let rows = settings.iter().map(|(key, value)| vec![shown(key), short(&value.to_string())]);
    table(&rows.collect::<Vec<_>>())
}
