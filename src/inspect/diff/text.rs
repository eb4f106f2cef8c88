//! How two images differ, for people.

use std::collections::BTreeMap;

use serde_json::Value;

use super::files::{Aspect, Node, Touched};
use super::{Changed, Difference, LayerPair, Setting, Side};
use crate::inspect::text::{command, short};
use crate::ui::columns::{count, section, shown, table};
use crate::ui::size;

/// Files of a layer that are listed; the JSON form has all.
const LISTED: usize = 25;

impl Difference {
    /// For people, with a line end behind every line.
    pub fn text(&self) -> String {
        if self.same {
            return match (self.from.manifest, &self.from.platform) {
                (Some(manifest), Some(platform)) => {
                    format!("{manifest}  both have the same image for {}\n", shown(platform))
                }
                _ => format!("{}  both are the same image\n", self.from.digest),
            };
        }
        let mut text = format!("- {}\n+ {}\n", head(&self.from), head(&self.to));
        section(&mut text, "settings", table(&self.config.iter().map(setting).collect::<Vec<_>>()));
        section(&mut text, "packages", table(&self.packages.iter().map(package).collect::<Vec<_>>()));
        section(&mut text, "files", self.file_lines());
        section(&mut text, "size", self.sizes());
        text
    }

    /// The files of each layer, in the order of the layers.
    fn file_lines(&self) -> Vec<String> {
        let mut of_layer: BTreeMap<&str, Vec<&Touched>> = BTreeMap::new();
        for touched in &self.files.entries {
            of_layer.entry(&touched.layer).or_default().push(touched);
        }
        let mut lines = Vec::new();
        for name in self.layers.iter().map(|pair| pair.name.as_str()) {
            let Some(ours) = of_layer.remove(name) else { continue };
            lines.push(format!("{}: {}", short(name), summary(&ours)));
            let rows: Vec<Vec<String>> = ours.iter().take(LISTED).map(|touched| file(touched)).collect();
            lines.extend(table(&rows).into_iter().map(|line| format!("  {line}")));
            if let more @ 1.. = ours.len().saturating_sub(LISTED) {
                lines.push(format!("  and {more} more"));
            }
        }
        if self.files.times > 0 {
            let entries = count(self.files.times, "entry differs", "entries differ");
            lines.push(format!("{entries} in time alone"));
        }
        lines
    }

    fn sizes(&self) -> Vec<String> {
        let own = self.layers.iter().filter(|pair| !pair.shared);
        let mut rows: Vec<Vec<String>> = own.map(layer).collect();
        let shared: Vec<&LayerPair> = self.layers.iter().filter(|pair| pair.shared).collect();
        if !shared.is_empty() {
            let bytes = shared.iter().filter_map(|pair| pair.to.as_ref()).map(|blob| blob.size).sum();
            let what = count(shared.len(), "layer of both", "layers of both");
            rows.push(vec![what, size(bytes)]);
        }
        rows.push(vec!["all".to_owned(), change(Some(self.size.from), Some(self.size.to))]);
        table(&rows)
    }
}

fn head(side: &Side) -> String {
    let digest = side.manifest.unwrap_or(side.digest);
    let platform = side.platform.as_deref().unwrap_or_default();
    format!("{}  {}  {digest}", shown(&side.image), shown(platform))
}

fn setting(setting: &Setting) -> Vec<String> {
    let mark = mark(setting.from.is_some(), setting.to.is_some());
    let values = [&setting.from, &setting.to].into_iter().flatten();
    let values: Vec<String> = values.map(value).collect();
    vec![format!("{mark} {}", shown(&setting.name)), values.join(" → ")]
}

fn value(value: &Value) -> String {
    match value {
        Value::String(text) => short(text),
        Value::Array(words) if words.iter().all(Value::is_string) => {
            let words: Vec<String> = words.iter().filter_map(Value::as_str).map(str::to_owned).collect();
            short(&command(&words))
        }
        Value::Bool(true) => String::new(),
        other => short(&other.to_string()),
    }
}

fn package(changed: &Changed) -> Vec<String> {
    let mark = mark(!changed.from.is_empty(), !changed.to.is_empty());
    let versions = [&changed.from, &changed.to].into_iter().filter(|versions| !versions.is_empty());
    let versions: Vec<String> = versions.map(|versions| shown(&versions.join(", "))).collect();
    vec![format!("{mark} {}", shown(&changed.name)), versions.join(" → "), changed.kind.name().to_owned()]
}

fn mark(from: bool, to: bool) -> char {
    match (from, to) {
        (false, true) => '+',
        (true, false) => '-',
        _ => '~',
    }
}

fn summary(files: &[&Touched]) -> String {
    let of = |wanted: char| {
        files.iter().filter(|file| mark(file.from.is_some(), file.to.is_some()) == wanted).count()
    };
    let counts = [(of('+'), "added"), (of('-'), "removed"), (of('~'), "changed")];
    let counts = counts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}"));
    counts.collect::<Vec<_>>().join(", ")
}

fn file(touched: &Touched) -> Vec<String> {
    let mark = mark(touched.from.is_some(), touched.to.is_some());
    let what = match (&touched.from, &touched.to) {
        (Some(from), Some(to)) => touched
            .changed
            .iter()
            .map(|aspect| aspect_change(*aspect, from, to))
            .collect::<Vec<_>>()
            .join(", "),
        (Some(node), None) | (None, Some(node)) => what(node),
        (None, None) => String::new(),
    };
    vec![format!("{mark} {}", shown(&touched.path)), what]
}

fn what(node: &Node) -> String {
    match node {
        Node::Folder { .. } => "folder".to_owned(),
        Node::File { size: bytes, .. } => size(*bytes),
        Node::Link { target, .. } => format!("→ {}", shown(target)),
    }
}

fn aspect_change(aspect: Aspect, from: &Node, to: &Node) -> String {
    let part = |node: &Node| match (aspect, node) {
        (Aspect::Mode, Node::Folder { mode, .. } | Node::File { mode, .. }) => mode.clone(),
        (Aspect::Owner, Node::Folder { owner, .. } | Node::File { owner, .. } | Node::Link { owner, .. }) => {
            owner.clone()
        }
        (Aspect::Target, Node::Link { target, .. }) => shown(target),
        (Aspect::Type, Node::File { .. }) => "file".to_owned(),
        (Aspect::Type, Node::Link { .. }) => "link".to_owned(),
        _ => what(node),
    };
    let (before, after) = (part(from), part(to));
    let name = aspect.name();
    if before == after { format!("{name}, {after}") } else { format!("{name} {before} → {after}") }
}

fn layer(pair: &LayerPair) -> Vec<String> {
    let bytes = |blob: &Option<super::Blob>| blob.as_ref().map(|blob| blob.size);
    vec![short(&pair.name), change(bytes(&pair.from), bytes(&pair.to))]
}

/// `1.20 kB → 1.40 kB, 200 B more`.
fn change(from: Option<u64>, to: Option<u64>) -> String {
    match (from, to) {
        (Some(from), Some(to)) if from < to => {
            format!("{} → {}, {} more", size(from), size(to), size(to - from))
        }
        (Some(from), Some(to)) if from > to => {
            format!("{} → {}, {} less", size(from), size(to), size(from - to))
        }
        (Some(_), Some(to)) => size(to),
        (Some(from), None) => format!("{}, removed", size(from)),
        (None, Some(to)) => format!("{}, added", size(to)),
        (None, None) => String::new(),
    }
}
