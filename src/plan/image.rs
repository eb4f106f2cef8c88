//! The image's config: user, environment, ports, entrypoint, labels, times; and what configuration may not ask for.

use std::collections::BTreeMap;

use super::catalogue::ResolvedImage;
use super::model::{Image, PROCESSES, Process};
use super::start::{Candidate, StartCommand};
use super::step::CONSTANT_TIME;
use super::{Error, Options, Planner, program};
use crate::config::{Config, Origin, Resolved};
use crate::oci::image::{
    BASE_DIGEST, BASE_NAME, CREATED, PREDEFINED, REVISION, SOURCE, TITLE, VERSION, user_ids,
};
use crate::oci::{ImageSource, MediaTypes};
use crate::source::Commit;
use crate::ui::Location;

/// The `nonroot` user of every base.
const USER: &str = "65532:65532";
const INIT: &str = "/usr/bin/rpack-init";
const SYSTEM_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Where programs look for certificates.
const CERTIFICATES: &str = "SSL_CERT_FILE";
/// What every image sets: certificates for programs that look in other places, and writable folders.
const ENV: [(&str, &str); 5] = [
    (CERTIFICATES, "/etc/ssl/certs/ca-certificates.crt"),
    ("HOME", "/tmp"),
    ("TMPDIR", "/tmp"),
    ("XDG_CACHE_HOME", "/tmp/.cache"),
    ("XDG_RUNTIME_DIR", "/tmp"),
];

/// Variables that make tools find the wrong files.
const BREAKING: [&str; 20] = [
    "CARGO_HOME",
    "GOBIN",
    "GOROOT",
    "JAVA_HOME",
    "LD_LIBRARY_PATH",
    "LD_PRELOAD",
    "MAVEN_HOME",
    "NODE_PATH",
    "PIP_PREFIX",
    "PIP_ROOT",
    "PIP_TARGET",
    "PIP_USER",
    "POETRY_HOME",
    "PYTHONHOME",
    "PYTHONUSERBASE",
    "SOURCE_DATE_EPOCH",
    "UV_PROJECT_ENVIRONMENT",
    "UV_PYTHON",
    "VIRTUAL_ENV",
    "npm_config_prefix",
];

/// Refuses what no image can have.
pub(super) fn check_config(config: &Config) -> Result<(), Error> {
    for (name, value) in &config.runtime_env {
        let reason = if name == "PORT" {
            Some(
                "whoever runs the image chooses the port; `image.ports` names the one that is used by default",
            )
        } else if name.starts_with("K_") {
            Some("names that begin with `K_` belong to the platform that runs the image")
        } else {
            breaks(name)
        };
        refuse(name, "runtime.env", reason, value)?;
    }
    for (name, value) in &config.build_env {
        refuse(name, "build.env", breaks(name), value)?;
    }
    for package in &config.build_packages {
        check_package("build.packages", package)?;
    }
    for package in &config.runtime_packages {
        check_package("runtime.packages", package)?;
    }
    if let Some(port) = config.ports.iter().find(|port| port.value == 0) {
        return Err(wrong(
            "image.ports",
            &port.value.to_string(),
            &port.origin,
            "a port from 1 to 65535 is needed",
            "image.ports = [8080]",
        ));
    }
    Ok(())
}

fn breaks(name: &str) -> Option<&'static str> {
    BREAKING
        .contains(&name)
        .then_some("it makes tools look in the wrong place, so builds would differ by machine")
}

fn refuse(
    name: &str,
    table: &'static str,
    reason: Option<&'static str>,
    value: &Resolved<String>,
) -> Result<(), Error> {
    reason.map_or(Ok(()), |reason| {
        Err(Error::ReservedEnv { name: name.to_owned(), table, reason, location: location(&value.origin) })
    })
}

/// Debian's rule for names (<https://www.debian.org/doc/debian-policy/ch-controlfields.html#source>).
fn check_package(key: &'static str, package: &Resolved<String>) -> Result<(), Error> {
    let name = package.value.as_str();
    let valid = name.len() >= 2
        && name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "+-.".contains(c));
    if valid {
        return Ok(());
    }
    let hint = format!("{key} = [\"libvips42t64\"]");
    Err(wrong(key, name, &package.origin, "the name of a Debian package is needed", &hint))
}

pub(super) fn wrong(
    key: &'static str,
    value: &str,
    origin: &Origin,
    needed: &'static str,
    hint: &str,
) -> Error {
    Error::ConfigValue {
        key,
        value: value.to_owned(),
        needed,
        location: location(origin).map(Box::new),
        hint: format!("for example: `{hint}`"),
    }
}

fn location(origin: &Origin) -> Option<Location> {
    match origin {
        Origin::File { path, line, column } => {
            Some(Location { file: path.clone(), line: Some(*line), column: Some(*column) })
        }
        _ => None,
    }
}

/// The app's name in the form of an OCI repository
/// (<https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests>).
pub(super) fn name(config: &Config, folder: &str) -> String {
    let (wanted, folders) = match &config.name {
        Some(name) => (name.value.as_str(), true),
        None => (folder, false),
    };
    let parts: Vec<String> =
        if folders { wanted.split('/').map(component).collect() } else { vec![component(wanted)] };
    let parts: Vec<&str> = parts.iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
    if parts.is_empty() { "app".to_owned() } else { parts.join("/") }
}

/// Lower-case letters and digits, with single separators between them.
fn component(text: &str) -> String {
    let mut clean = String::new();
    for character in text.chars().flat_map(char::to_lowercase) {
        match character {
            'a'..='z' | '0'..='9' => clean.push(character),
            _ if clean.is_empty() || clean.ends_with(['.', '_', '-']) => {}
            '.' | '_' => clean.push(character),
            _ => clean.push('-'),
        }
    }
    clean.trim_end_matches(['.', '_', '-']).to_owned()
}

/// The image's config.
pub(super) fn image(
    planner: &mut Planner<'_>,
    candidate: &Candidate,
    init: bool,
    name: &str,
    commit: Option<&Commit>,
    options: &Options,
) -> Result<Image, Error> {
    let mut ports = program::ports(planner, candidate);
    let port = ports[0];
    ports.sort_unstable();
    ports.dedup();
    let start = &candidate.start;
    let processes = processes(candidate, init, port);
    Ok(Image {
        user: user(planner)?,
        working_directory: start.directory.clone(),
        env: env(planner, start)?,
        ports,
        entrypoint: argv(start, init, port),
        cmd: Vec::new(),
        labels: labels(planner, name, &processes, commit, options)?,
        annotations: texts(&planner.config.annotations),
        writable: program::writable(planner, candidate)?,
        created: time(commit, options).unwrap_or(CONSTANT_TIME),
        compression: planner.config.compression.as_ref().map(|found| found.value).unwrap_or_default(),
        media_types: media_types(planner)?,
        start_origin: start.origin.clone(),
        processes,
    })
}

/// Those that are asked for, if they foresee all layers.
fn media_types(planner: &Planner<'_>) -> Result<MediaTypes, Error> {
    let Some(asked) = &planner.config.media_types else { return Ok(MediaTypes::default()) };
    let own = planner.config.compression.as_ref().map(|found| found.value).unwrap_or_default();
    let below = planner.bases.runtime.iter().flat_map(|base| &base.image.layers);
    let lacks = |media_type: &str| asked.value.layer(media_type).is_none();
    let needed = if lacks(own.media_type()) {
        "Docker's manifests have no layers with zstd; use gzip, or OCI's media types"
    } else if below.map(|layer| layer.media_type.as_str()).any(lacks) {
        "the image of `base.runtime` has layers with zstd, which Docker's manifests do not have; use OCI's media types"
    } else {
        return Ok(asked.value);
    };
    Err(wrong("image.media-types", "docker", &asked.origin, needed, "image.media-types = \"oci\""))
}

/// The command with the start helper in front of it.
fn argv(start: &StartCommand, init: bool, port: u16) -> Vec<String> {
    let mut argv = Vec::new();
    if init {
        argv.extend([INIT.to_owned(), "--port".to_owned(), port.to_string(), "--".to_owned()]);
    }
    argv.extend(start.argv.iter().cloned());
    argv
}

/// All processes where there are several.
fn processes(candidate: &Candidate, init: bool, port: u16) -> BTreeMap<String, Process> {
    if candidate.others.is_empty() {
        return BTreeMap::new();
    }
    let all = candidate.others.iter().chain([(&candidate.process, &candidate.start)]);
    let process = |start: &StartCommand| Process {
        argv: argv(start, init, port),
        directory: start.directory.clone(),
        env: start.env.clone(),
        origin: start.origin.clone(),
    };
    all.map(|(name, start)| (name.clone(), process(start))).collect()
}

fn time(commit: Option<&Commit>, options: &Options) -> Option<i64> {
    options.source_date_epoch.or(commit.map(|commit| commit.time))
}

fn user(planner: &mut Planner<'_>) -> Result<String, Error> {
    let Some(user) = &planner.config.user else { return Ok(inherited_user(planner)) };
    match user_ids(&user.value) {
        (Some(uid), Some(gid)) if is_user(uid, gid) => Ok(format!("{uid}:{gid}")),
        (Some(0), _) => Err(wrong(
            "image.user",
            &user.value,
            &user.origin,
            "images do not run as root",
            "image.user = \"65532:65532\"",
        )),
        _ => Err(wrong(
            "image.user",
            &user.value,
            &user.origin,
            "a numeric user and group is needed, because names mean nothing outside the image",
            "image.user = \"65532:65532\"",
        )),
    }
}

/// Whether an app may run as these: not as root, and not as the numbers that stand for nobody at all.
fn is_user(uid: u32, gid: u32) -> bool {
    uid != 0 && uid != u32::MAX && gid != u32::MAX
}

/// The base image's user, if it is a number other than root's; names mean nothing outside the image.
fn inherited_user(planner: &mut Planner<'_>) -> String {
    let Some(image) = &planner.bases.runtime else { return USER.to_owned() };
    let stated = image.settings.user.as_str();
    match user_ids(stated) {
        (Some(uid), Some(gid)) if is_user(uid, gid) => format!("{uid}:{gid}"),
        _ => {
            if !matches!(stated, "" | "0" | "0:0" | "root" | "root:root") {
                let text = format!(
                    "`{}` runs as `{stated}`, the app as {USER}: only numbers other than 0 are inherited",
                    image.image.reference
                );
                planner.note("base/user", text, false);
            }
            USER.to_owned()
        }
    }
}

/// The variables of the base image; the last of equal names counts, as for a process.
fn inherited_env(image: Option<&ResolvedImage>) -> BTreeMap<String, String> {
    let stated = image.into_iter().flat_map(|image| &image.settings.env);
    stated
        .filter_map(|variable| variable.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// Our folders first, then those of the base image that are not among them.
fn joined_path(ours: &str, theirs: Option<&str>) -> String {
    let mut folders: Vec<&str> = ours.split(':').collect();
    for folder in theirs.unwrap_or_default().split(':').filter(|folder| !folder.is_empty()) {
        if !folders.contains(&folder) {
            folders.push(folder);
        }
    }
    folders.join(":")
}

/// `PATH` first, then sorted.
fn env(planner: &Planner<'_>, start: &StartCommand) -> Result<Vec<String>, Error> {
    let rule = &planner.buildpack.image;
    let path = rule.path.iter().map(String::as_str).chain([SYSTEM_PATH]).collect::<Vec<_>>().join(":");
    let mut env = inherited_env(planner.bases.runtime.as_ref());
    let path = joined_path(&path, env.remove("PATH").as_deref());
    // An image without the bundle has its certificates elsewhere, and knows where.
    let has_bundle = planner.bases.runtime.as_ref().is_none_or(|image| image.has_certificates);
    for (name, value) in ENV {
        let is_kept = name == CERTIFICATES && (!has_bundle || env.contains_key(name));
        if !is_kept {
            env.insert(name.to_owned(), value.to_owned());
        }
    }
    env.insert("PATH".to_owned(), path);
    env.extend(planner.scope.table("image.env", &rule.env)?);
    env.extend(start.env.clone());
    env.extend(planner.config.runtime_env.iter().map(|(name, value)| (name.clone(), value.value.clone())));
    let path = env.remove("PATH").map(|path| format!("PATH={path}"));
    Ok(path.into_iter().chain(env.into_iter().map(|(name, value)| format!("{name}={value}"))).collect())
}

/// What the image specification defines
/// (<https://github.com/opencontainers/image-spec/blob/main/annotations.md>), then what is configured. What a base says of
/// itself with those keys is not true of the app. The version is that of a tag of the commit, else that of the manifest.
fn labels(
    planner: &Planner<'_>,
    name: &str,
    processes: &BTreeMap<String, Process>,
    commit: Option<&Commit>,
    options: &Options,
) -> Result<BTreeMap<String, String>, Error> {
    let base = planner.bases.runtime.as_ref();
    let mut labels = base.map(|base| base.settings.labels.clone()).unwrap_or_default();
    labels.retain(|key, _| !key.starts_with(PREDEFINED));
    labels.extend(planner.scope.table("image.labels", &planner.buildpack.image.labels)?);
    let mut set = |key: &str, value: String| {
        labels.insert(key.to_owned(), value);
    };
    set(TITLE, name.to_owned());
    if let Some(base) = base {
        set(BASE_DIGEST, base.image.digest.to_string());
        if let Ok(ImageSource::Registry(reference)) = ImageSource::parse(&base.image.reference) {
            set(BASE_NAME, reference.full());
        }
    }
    if let Some(commit) = commit {
        set(REVISION, commit.revision.clone());
        if let Some(url) = &commit.url {
            set(SOURCE, url.clone());
        }
        if let Some(version) = &commit.version {
            set(VERSION, version.clone());
        }
    }
    let created = time(commit, options).and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    if let Some(created) = created {
        set(CREATED, created.to_string());
    }
    if !processes.is_empty() {
        let text = serde_json::to_string(processes).expect("processes are tables of texts");
        labels.insert(PROCESSES.to_owned(), text);
    }
    labels.extend(texts(&planner.config.labels));
    labels.retain(|_, text| !text.is_empty());
    Ok(labels)
}

fn texts(stated: &BTreeMap<String, Resolved<String>>) -> BTreeMap<String, String> {
    stated.iter().map(|(key, value)| (key.clone(), value.value.clone())).collect()
}
