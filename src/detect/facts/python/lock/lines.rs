//! What is needed, as lines for the installer.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::str::FromStr as _;

use pep440_rs::Version;

use super::super::install::Install;
use super::document::Document;
use super::graph::{Needed, Source};
use crate::detect::Error;

/// Where the source tree is while steps run.
const APP: &str = crate::plan::APP;

/// Writes a line for every package; what has no digest goes to lines of its own.
pub(super) fn write(document: &Document<'_>, needed: &[Needed]) -> Result<Install, Error> {
    let mut sorted: Vec<&Needed> = needed.iter().collect();
    sorted.sort_by(|a, b| (&a.package.name, &a.package.version).cmp(&(&b.package.name, &b.package.version)));
    let mut install = Install { exact: true, hashed: true, ..Install::default() };
    let mut names = BTreeSet::new();
    for one in sorted {
        let package = &one.package;
        check(document, one)?;
        match &package.source {
            Source::Virtual(_) => continue,
            Source::Folder(path) => install.folders.push(path.clone()),
            Source::File(path) => {
                install.files.push(path.clone());
                line(document, &mut install, one, &format!("{} @ file://{APP}/{path}", package.name))?;
            }
            Source::Url(url) => {
                install.git |= url.starts_with("git+");
                line(document, &mut install, one, &format!("{} @ {url}", package.name))?;
            }
            Source::Index => {
                line(document, &mut install, one, &format!("{}=={}", package.name, package.version))?;
            }
        }
        names.insert(package.name.clone());
        names.extend(one.extras.iter().map(|extra| format!("{}[{extra}]", package.name)));
    }
    install.folders.sort();
    install.names = names.into_iter().collect();
    Ok(install)
}

/// Adds a line. The installer wants digests for all lines of a file or for none.
fn line(document: &Document<'_>, install: &mut Install, one: &Needed, what: &str) -> Result<(), Error> {
    let package = &one.package;
    let marker = one
        .marker
        .text()
        .ok_or_else(|| document.wrong(&package.name, "a condition with too many alternatives"))?;
    let marker = if marker.is_empty() { marker } else { format!(" ; {marker}") };
    let hashes = &package.hashes;
    let is_git = matches!(&package.source, Source::Url(url) if url.starts_with("git+"));
    // A commit is a digest.
    let direct = package.source != Source::Index && hashes.is_empty();
    install.hashed &= direct || !hashes.is_empty();
    let text = if is_git || direct { &mut install.direct } else { &mut install.lines };
    let _ = write!(text, "{what}{marker}");
    for hash in hashes.iter().filter(|_| !is_git) {
        let _ = write!(text, " \\\n    --hash={hash}");
    }
    text.push('\n');
    Ok(())
}

/// Nothing of a lock may end a word of a line, or begin an option.
fn check(document: &Document<'_>, one: &Needed) -> Result<(), Error> {
    let package = &one.package;
    let name = &package.name;
    let in_name = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if name.is_empty() || !name.chars().all(in_name) || name.starts_with('-') {
        return Err(document.wrong(name, "a name that packages do not have"));
    }
    let plain =
        |text: &str| !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control());
    if package.source == Source::Index
        && !(plain(&package.version) && Version::from_str(&package.version).is_ok())
    {
        return Err(document.wrong(name, &format!("the version `{}`, which is none", package.version)));
    }
    if let Source::Url(address) | Source::File(address) = &package.source
        && (!plain(address) || address.contains(';'))
    {
        return Err(document.wrong(name, "an address with blanks"));
    }
    let is_digest = |hash: &String| {
        hash.split_once(':').is_some_and(|(algorithm, digest)| {
            let lower = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
            !digest.is_empty()
                && algorithm.chars().all(lower)
                && digest.chars().all(|c| c.is_ascii_hexdigit())
        })
    };
    match package.hashes.iter().find(|hash| !is_digest(hash)) {
        Some(hash) => Err(document.wrong(name, &format!("the digest `{hash}`, which is none"))),
        None => Ok(()),
    }
}
