//! Pages that list folders, for sites that ask for them. They are files like others, made when the image is.

use std::collections::{BTreeMap, BTreeSet};

use super::routes::encoded;
use super::{File, PAGE};
use crate::store::Entry;

/// A page for each folder that has none, by the page's path.
pub(super) fn pages(files: &[File<'_>]) -> BTreeMap<String, Entry> {
    let mut folders: BTreeMap<&str, BTreeSet<String>> = BTreeMap::from([("", BTreeSet::new())]);
    for (path, ..) in files {
        let mut rest = path.as_str();
        let mut is_folder = false;
        loop {
            let (folder, name) = rest.rsplit_once('/').unwrap_or(("", rest));
            let name = if is_folder { format!("{name}/") } else { name.to_owned() };
            folders.entry(folder).or_default().insert(name);
            if folder.is_empty() {
                break;
            }
            rest = folder;
            is_folder = true;
        }
    }
    let without = folders.into_iter().filter(|(_, names)| !names.contains(PAGE));
    without
        .map(|(folder, names)| {
            let path = if folder.is_empty() { PAGE.to_owned() } else { format!("{folder}/{PAGE}") };
            (path, Entry::bytes(page(folder, &names)))
        })
        .collect()
}

fn page(folder: &str, names: &BTreeSet<String>) -> String {
    let title = escaped(&format!("/{folder}"));
    let row =
        |name: &String| format!("<li><a href=\"./{}\">{}</a></li>\n", escaped(&encoded(name)), escaped(name));
    let above = if folder.is_empty() { "" } else { "<li><a href=\"../\">../</a></li>\n" };
    let rows: String = names.iter().map(row).collect();
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>{title}</title>\n<h1>{title}</h1>\n\
         <ul>\n{above}{rows}</ul>\n</html>\n"
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
