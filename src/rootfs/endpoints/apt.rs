//! apt's sources, in both formats (<https://manpages.debian.org/sources.list.5>).

use std::fs;
use std::path::PathBuf;

use super::{AptRules, Endpoint, Machine, address};

/// An entry of either format.
#[derive(Default)]
struct Source {
    is_binary: bool,
    urls: Vec<String>,
    suites: Vec<String>,
    components: Vec<String>,
    signed_by: Option<String>,
    line: usize,
}

/// The address of Debian's archive (or of its security archive) that apt uses on the machine.
pub(super) fn find(machine: &Machine, rules: &AptRules, security: bool) -> Option<Endpoint> {
    for path in files(machine) {
        let Some(text) = machine.read(&path) else { continue };
        let is_stanzas = path.extension().is_some_and(|extension| extension == "sources");
        let sources = if is_stanzas { stanzas(&text) } else { lines(&text) };
        for source in sources.into_iter().filter(|source| is_debian(source, rules, security)) {
            if let Some(url) = source.urls.iter().find_map(|url| address(url)) {
                return Some(Endpoint { url, origin: format!("{}:{}", path.display(), source.line) });
            }
        }
    }
    None
}

/// apt's own order: the main file, then the folder by name.
fn files(machine: &Machine) -> Vec<PathBuf> {
    let folder = machine.root.join("etc/apt");
    let parts = folder.join("sources.list.d");
    machine.observer.file(&parts);
    let mut files: Vec<PathBuf> = fs::read_dir(parts)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.extension().is_some_and(|extension| extension == "list" || extension == "sources")
        })
        .collect();
    files.sort();
    files.insert(0, folder.join("sources.list"));
    files
}

/// Whether the entry is Debian's archive and not one that only uses the names of its releases.
fn is_debian(source: &Source, rules: &AptRules, security: bool) -> bool {
    let is_codename = |name: &str| rules.codenames.iter().any(|codename| codename == name);
    let suite = |name: &String| {
        if security {
            name.strip_suffix("-security").or_else(|| name.strip_suffix("/updates")).is_some_and(is_codename)
        } else {
            is_codename(name)
        }
    };
    let signed = source
        .signed_by
        .as_ref()
        .is_none_or(|keyring| rules.keyrings.iter().any(|known| keyring.contains(known.as_str())));
    source.is_binary
        && signed
        && source.suites.iter().any(suite)
        && source.components.iter().any(|component| component == "main")
}

/// `deb [option=value …] URL SUITE COMPONENT…`
fn lines(text: &str) -> Vec<Source> {
    let mut sources = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        let Some((kind, rest)) = line.split_once(char::is_whitespace) else { continue };
        let rest = rest.trim_start();
        let (options, rest) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((options, rest)) => (options, rest),
            None => ("", rest),
        };
        let signed_by = options.split_whitespace().find_map(|option| option.strip_prefix("signed-by="));
        let mut words = rest.split_whitespace().map(str::to_owned);
        let (Some(url), Some(suite)) = (words.next(), words.next()) else { continue };
        sources.push(Source {
            is_binary: kind == "deb",
            urls: vec![url],
            suites: vec![suite],
            components: words.collect(),
            signed_by: signed_by.map(str::to_owned),
            line: number + 1,
        });
    }
    sources
}

/// Stanzas of fields; a field goes on in lines that begin with a space.
fn stanzas(text: &str) -> Vec<Source> {
    let mut sources = Vec::new();
    let mut fields: Vec<(String, String)> = Vec::new();
    let mut start = 0;
    // The empty line at the end closes the last stanza.
    for (number, line) in text.lines().chain([""]).enumerate() {
        if line.starts_with('#') {
            continue;
        }
        if line.trim().is_empty() {
            sources.extend(stanza(&fields, start));
            fields.clear();
        } else if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = fields.last_mut() {
                value.push(' ');
                value.push_str(line.trim());
            }
        } else if let Some((name, value)) = line.split_once(':') {
            if fields.is_empty() {
                start = number + 1;
            }
            fields.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    sources
}

fn stanza(fields: &[(String, String)], line: usize) -> Option<Source> {
    let get = |name: &str| fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str());
    let words = |name: &str| get(name).unwrap_or_default().split_whitespace().map(str::to_owned).collect();
    if get("enabled").is_some_and(|value| matches!(value, "no" | "false" | "0")) || fields.is_empty() {
        return None;
    }
    Some(Source {
        is_binary: get("types")?.split_whitespace().any(|kind| kind == "deb"),
        urls: words("uris"),
        suites: words("suites"),
        components: words("components"),
        signed_by: get("signed-by").map(str::to_owned),
        line,
    })
}
