//! What the image allows because the app's programs do it: where they write, and the port that they listen on.

use std::collections::BTreeMap;

use super::model::{Notice, Writable};
use super::start::{Candidate, StartCommand};
use super::{APP, Error, Planner, image, part};
use crate::config::{Config, Resolved};
use crate::detect::facts::programs::Listen;

/// Programs that run a file of the app, which listens as its source says.
const INTERPRETERS: [&str; 6] = ["bun", "node", "python", "python3", "ts-node", "tsx"];
/// What static sites are served with.
const SITE_SERVER: &str = "/usr/bin/rpack-site";

/// Where the app may write: what is configured, else what its sources show.
pub(super) fn writable(planner: &mut Planner<'_>, candidate: &Candidate) -> Result<Vec<Writable>, Error> {
    if let Some(stated) = &planner.config.writable {
        return stated.iter().map(stated_folder).collect::<Result<Vec<_>, _>>().map(sorted);
    }
    if candidate.start.argv.first().is_some_and(|program| program == SITE_SERVER) {
        return Ok(Vec::new());
    }
    let app = part::directory(&planner.folder);
    let mut found: BTreeMap<String, Writable> = BTreeMap::new();
    let mut add = |path: String, whole: bool, origin: &str| {
        let new = || Writable { path: path.clone(), whole, origin: origin.to_owned() };
        found.entry(path.clone()).or_insert_with(new).whole |= whole;
    };
    for write in &planner.programs.writes {
        let origin = match write.line {
            0 => format!("{} {}", write.file, write.what),
            line => format!("{}:{line} {}", write.file, write.what),
        };
        add(candidate.start.directory.clone(), false, &origin);
        if let Some((folder, _)) = write.file.rsplit_once('/') {
            add(format!("{app}/{folder}"), false, &origin);
        }
        for place in &write.places {
            add(format!("{app}/{}", place.path), place.whole, &origin);
        }
    }
    let found: Vec<Writable> = found.into_values().collect();
    if let Some(first) = found.iter().find(|place| place.path == candidate.start.directory) {
        let text = format!(
            "files can be added to `{}`: the app writes ({}), and what it writes goes with the container; \
             `image.writable = []` forbids it, `image.writable = [\"{APP}/data\"]` names the only folder",
            first.path, first.origin
        );
        note(planner, "image/writable", text, false);
    }
    Ok(found)
}

fn sorted(mut folders: Vec<Writable>) -> Vec<Writable> {
    folders.sort();
    folders.dedup_by(|one, other| one.path == other.path);
    folders
}

fn stated_folder(folder: &Resolved<String>) -> Result<Writable, Error> {
    let clean = folder.value.trim_end_matches('/');
    let valid = clean.starts_with('/')
        && clean[1..].split('/').all(|part| !matches!(part, "" | "." | ".."))
        && !clean.contains('\0');
    if valid {
        return Ok(Writable { path: clean.to_owned(), whole: true, origin: folder.origin.to_string() });
    }
    Err(image::wrong(
        "image.writable",
        &folder.value,
        &folder.origin,
        "an absolute path without `.` and `..` is needed",
        "image.writable = [\"/app/uploads\"]",
    ))
}

/// The ports of the image: what is configured, else the one that the program listens on whatever `PORT` says, else that
/// of the buildpack.
pub(super) fn ports(planner: &mut Planner<'_>, candidate: &Candidate) -> Vec<u16> {
    let found = listens(planner, &candidate.start).cloned();
    if let Some(listen) = &found {
        warn(planner, listen);
    }
    let stated = stated_ports(planner.config);
    if !stated.is_empty() {
        return stated;
    }
    vec![found.and_then(|listen| listen.port).unwrap_or(planner.buildpack.port)]
}

fn stated_ports(config: &Config) -> Vec<u16> {
    config.ports.iter().map(|port| port.value).collect()
}

/// The call by which the start command listens on a fixed port or address, if its program shows one. A server that
/// loads the app has its own way to listen.
fn listens<'a>(planner: &'a Planner<'_>, start: &StartCommand) -> Option<&'a Listen> {
    let programs = &planner.programs;
    let words: Vec<&str> = start.argv.iter().map(|word| stem(word)).collect();
    let runs = words.first().is_some_and(|program| INTERPRETERS.contains(program));
    let is_compiled = start.argv.first().is_some_and(|program| program.starts_with(&format!("{APP}/bin/")));
    if programs.reads_port || start.expands() || !(runs || is_compiled) {
        return None;
    }
    let mut all = programs.listens.iter();
    let named = all.clone().find(|listen| words[1..].contains(&stem(&listen.file)));
    let first = all.next()?;
    named.or_else(|| all.all(|other| other.port == first.port).then_some(first))
}

/// The name of a file without its folder and its ending: what compiling keeps of it.
fn stem(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.split_once('.').map_or(name, |(stem, _)| stem)
}

fn warn(planner: &mut Planner<'_>, listen: &Listen) {
    let place = format!("{}:{}", listen.file, listen.line);
    if listen.is_local() {
        let text = format!(
            "{place} listens on `{}`, which nothing outside of the container reaches: use `0.0.0.0`",
            listen.host
        );
        note(planner, "start/loopback", text, true);
    }
    if let Some(port) = listen.port {
        let text = format!(
            "{place} listens on port {port}, whatever `PORT` says; platforms such as Cloud Run set `PORT` and ask there: \
             read it, with {port} where it is not set"
        );
        note(planner, "start/port-ignored", text, true);
    }
}

/// Says it once, however many outcomes a build has.
fn note(planner: &mut Planner<'_>, id: &str, text: String, warning: bool) {
    let notice = Notice { id: id.to_owned(), text, warning };
    if !planner.notices.contains(&notice) {
        planner.notices.push(notice);
    }
}
