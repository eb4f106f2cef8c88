//! Sites: files that a server only hands out. What it answers is decided here, when the image is packaged.
//!
//! In: the work tree and what the plan says of the site. Out: the files of the site, their compressed forms, and the
//! index of `rpack-site`, the server in `init/`: a static program of a few kilobytes that looks addresses up and never
//! makes a path of one.
//!
//! # Contract
//! `rpack-site [--root DIR] [PORT]` listens on all addresses, on `PORT` of the environment, else that of the command
//! line, else 8080.
//!
//! - **Addresses**: `/x` is the file `x`, else `x.html`; `/x/` is `x/index.html`, and `/x` leads there with 301.
//! - **Forms**: the smallest of gzip, zstd and what stands beside the file as `.br`, `.zst` or `.gz`, as the client
//!   takes them.
//! - **Caches**: a strong `ETag` of the content; names with a digest may be kept for a year, everything else is asked
//!   for again each time, which is 304 without a body.
//! - **Ranges**: one range of bytes of the plain file; `If-Range` with its tag.
//! - **Rules**: `_headers` and `_redirects` of the root (`headers.rs`, `redirects.rs`).
//! - **Nothing there**: the fallback with 200 for clients that take HTML, where the last part of the address has no
//!   dot; else the page `404.html` with 404; else one line of text.
//! - **Limits**: 8 KB for the head of a request and ten seconds to send it, 30 seconds without progress while an answer
//!   is read; bodies are not read. Of more connections than there is room for, the oldest idle one ends.
//! - **Log**: a line for each answer on standard output: method, address, status, bytes, milliseconds.
//! - **SIGTERM** and SIGINT: no more connections; those that are being answered have nine seconds; exit status 0.

mod error;
mod forms;
mod headers;
mod index;
mod listing;
mod media;
mod redirects;
mod routes;
mod server;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

pub use error::Error;

use crate::plan::model::Site;
use crate::store::{Entry, Kind, Tree};
use index::Contents;

/// Where images have the server.
pub const PATH: &str = "/usr/bin/rpack-site";
/// Where the server looks for its index, and where compressed forms are; relative to `/`.
const INDEX: &str = "usr/share/rpack/site";
const COMPRESSED: &str = "usr/share/rpack/compressed";
/// The page of folders, and the one that is served where nothing is.
const PAGE: &str = "index.html";
const NOT_FOUND: &str = "404.html";
const HEADERS: &str = "_headers";
const REDIRECTS: &str = "_redirects";

/// The server for a platform (`linux/amd64`): a static ELF file. None for a platform without one.
pub fn binary(platform: &str) -> Option<&'static [u8]> {
    match platform {
        "linux/amd64" => Some(include_bytes!("../../init/bin/rpack-site-amd64")),
        "linux/arm64" => Some(include_bytes!("../../init/bin/rpack-site-arm64")),
        _ => None,
    }
}

/// A file of the site: its path below the root, where it stands in the work tree, and what it is.
type File<'a> = (String, String, &'a Entry);

/// The files of the site at their places in the image, with everything that the server needs.
///
/// # Errors
/// When there is no root, no page to begin with, or when `_headers` or `_redirects` cannot be followed.
pub fn pack(site: &Site, work: &Tree) -> Result<Tree, Error> {
    let root = root(site, work)?;
    let mut files = files(site, work, &root)?;
    let mut tree = Tree::new();
    let special = |name: &str| work.get(&format!("{root}/{name}"));
    let text = |name: &str| match special(name) {
        Some(entry) => {
            forms::bytes(name, entry).map(|bytes| Some(String::from_utf8_lossy(&bytes).into_owned()))
        }
        None => Ok(None),
    };
    let rules = match text(REDIRECTS)? {
        Some(text) => redirects::parse(REDIRECTS, &text)?,
        None => redirects::Redirects::default(),
    };
    let headers = match text(HEADERS)? {
        Some(text) => headers::Headers::parse(HEADERS, &text)?,
        None => headers::Headers::default(),
    };
    let listed = if site.listing { listing::pages(&files) } else { BTreeMap::new() };
    for (path, page) in &listed {
        files.push((path.clone(), format!("{COMPRESSED}/{root}/{path}"), page));
    }
    let page = |page: &Option<String>| match page {
        Some(page) if files.iter().any(|(path, ..)| path == page) => Ok(Some(page.clone())),
        Some(page) => Err(Error::FallbackMissing { page: page.clone(), root: shown(&root) }),
        None => Ok(None),
    };
    let fallback = page(&site.fallback.clone().or(rules.fallback))?;
    let not_found = match page(&site.not_found)? {
        None => files.iter().any(|(path, ..)| path == NOT_FOUND).then(|| NOT_FOUND.to_owned()),
        stated => stated,
    };
    let routes = routes::routes(&files, &headers, &mut tree)?;
    let address = |page: Option<String>| page.map(|page| format!("/{page}"));
    let contents =
        Contents { routes, rules: rules.rules, fallback: address(fallback), not_found: address(not_found) };
    tree.insert(INDEX, Entry::bytes(index::write(&contents)?));
    Ok(tree)
}

/// The first folder with a page to begin with.
fn root(site: &Site, work: &Tree) -> Result<String, Error> {
    let is_root = |root: &&String| {
        site.listing || work.locate(&format!("{root}/{PAGE}")).is_some_and(|page| work.get(&page).is_some())
    };
    let exists = |root: &&String| work.below(root).next().is_some();
    if let Some(root) = site.roots.iter().filter(exists).find(is_root) {
        return Ok(root.clone());
    }
    match &site.roots[..] {
        [root] if !exists(&root) => Err(Error::RootMissing { root: shown(root) }),
        roots => {
            Err(Error::NoIndex { roots: roots.iter().map(|root| format!("`{}`", shown(root))).collect() })
        }
    }
}

/// A folder as the user knows it.
fn shown(root: &str) -> String {
    match root.strip_prefix("app/") {
        Some(folder) => folder.to_owned(),
        None => ".".to_owned(),
    }
}

/// What is served, sorted by path. Links count as the files of the root that they lead to.
fn files<'a>(site: &Site, work: &'a Tree, root: &str) -> Result<Vec<File<'a>>, Error> {
    let exclude = globs(&site.exclude)?;
    let mut files = Vec::new();
    for (path, entry) in work.below(root) {
        let relative = &path[root.len() + 1..];
        let hidden = |part: &str| part.starts_with('.') && part != ".well-known";
        let is_hidden = !site.dot_files && relative.split('/').any(hidden);
        if is_hidden || exclude.is_match(path) || matches!(relative, HEADERS | REDIRECTS) {
            continue;
        }
        let place = match entry.kind {
            Kind::File { .. } => path.to_owned(),
            Kind::Symlink { .. } => match work.locate(path) {
                Some(place) if place.starts_with(&format!("{root}/")) && !exclude.is_match(&place) => place,
                _ => continue,
            },
            Kind::Directory { .. } | Kind::Whiteout => continue,
        };
        if let Some(entry) = work.get(&place).filter(|entry| matches!(entry.kind, Kind::File { .. })) {
            files.push((relative.to_owned(), place, entry));
        }
    }
    Ok(files)
}

fn globs(patterns: &[String]) -> Result<globset::GlobSet, Error> {
    let failed = |pattern: &str, source| Error::Glob { pattern: pattern.to_owned(), source };
    let mut set = globset::GlobSetBuilder::new();
    for pattern in patterns {
        let glob = globset::GlobBuilder::new(pattern).literal_separator(true).backslash_escape(true).build();
        set.add(glob.map_err(|source| failed(pattern, source))?);
    }
    set.build().map_err(|source| failed(&patterns.join(" "), source))
}
