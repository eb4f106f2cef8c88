//! Where packages are that their archive has dropped: snapshots of the archive as it once was
//! (<https://snapshot.debian.org>).
//!
//! In: a package of a root and when its archive held it. Out: addresses to try. The digest decides in any case, so
//! a snapshot needs no trust.

use super::base::Base;
use super::{Context, Error};
use crate::http::shown;
use crate::plan::lock::stamp;
use crate::plan::model::Package;

/// The mirror's name in the configuration.
const ECOSYSTEM: &str = "debian-snapshot";
/// A snapshot is asked for by time, and the last one before it answers. One is taken some times a day, and an archive
/// keeps what it superseded for longer than this: the snapshot of this many seconds later holds the package for sure.
const LATER: i64 = 12 * 60 * 60;

/// The addresses of `package` in snapshots, the likeliest first; nothing when no time is known at which the archive
/// held it, or no snapshot of the archive.
pub(super) fn addresses(context: &Context, base: &Base, package: &Package) -> Vec<String> {
    let date = context.date(&package.sha256);
    let template = base.archives.get(&package.archive).and_then(|archive| archive.snapshot.as_deref());
    let (Some(date), Some(template)) = (date, template) else { return Vec::new() };
    let template = match context.endpoints.find(ECOSYSTEM) {
        Ok(mirror) => format!("{}/{}", mirror.url.trim_end_matches('/'), below_host(template)),
        Err(_) => template.to_owned(),
    };
    let address = |date| {
        let root = template.replace("{timestamp}", &stamp(date));
        format!("{}/{}", root.trim_end_matches('/'), package.path)
    };
    vec![address(date + LATER), address(date)]
}

/// What to say when no address had it.
pub(super) fn vanished(context: &Context, base: &Base, package: &Package) -> Error {
    let archive = context.archive(base, &package.archive).unwrap_or_default();
    let urls =
        std::iter::once(format!("{archive}/{}", package.path)).chain(addresses(context, base, package));
    Error::Vanished {
        package: package.name.clone(),
        version: package.version.clone(),
        urls: urls.map(|url| shown(&url)).collect(),
    }
}

/// `archive/debian/…` of `http://host/archive/debian/…`.
fn below_host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split_once('/').map_or("", |(_, path)| path)
}
