//! The image's config: user, environment, entrypoint, ports, labels, time.

use std::collections::{BTreeMap, BTreeSet};

use super::buildpack::{Buildpack, Init};
use super::expression::Evaluator;
use super::model::{Contents, Image, Layer};
use super::start::Start;
use super::versions::location;
use super::{Error, Options};
use crate::config::{Config, Resolved};
use crate::detect::Detection;
use crate::source::Commit;

/// The user of every image unless configured: `nonroot` of the base.
const USER: &str = "65532:65532";
/// Where the start helper stands.
const INIT: &str = "/usr/bin/rpack-init";
/// The usual folders of programs.
const PATH: [&str; 4] = ["/usr/local/bin", "/usr/bin", "/usr/local/sbin", "/usr/sbin"];
/// 1980-01-01T00:00:01Z: zip writers refuse earlier times, and it is visibly no real one.
const CREATED: i64 = 315_532_801;

/// The config, and the layers with the start helper added where it is needed.
#[expect(clippy::too_many_arguments, reason = "each is a different document that the config draws from")]
pub(super) fn image(
    buildpack: &Buildpack,
    config: &Config,
    commit: Option<&Commit>,
    evaluator: &Evaluator<'_>,
    options: &Options,
    start: &Start,
    detection: &Detection,
    mut layers: Vec<Layer>,
) -> Result<(Image, Vec<Layer>), Error> {
    let ports = ports(buildpack, config, evaluator)?;
    let expands = start.argv.iter().any(|word| word.contains('$'));
    let mut entrypoint = start.argv.clone();
    if buildpack.image.init == Init::Always || expands {
        let port = ports.first().map(u16::to_string).unwrap_or_default();
        let helper = [INIT, "--port", &port, "--"].map(str::to_owned);
        entrypoint = helper.into_iter().chain(entrypoint).collect();
        // With the runtime, so that apps of one language share it.
        let at = layers.iter().position(|layer| layer.id == "runtime").unwrap_or(0);
        layers[at].contents.push(Contents::Init {});
    }
    let working_directory = match &start.directory {
        Some(directory) => format!("/app/{}", directory.trim_matches('/')),
        None => "/app".to_owned(),
    };
    let image = Image {
        user: user(config)?,
        working_directory,
        env: env(buildpack, config, start, evaluator)?,
        ports,
        entrypoint,
        cmd: Vec::new(),
        labels: labels(config, commit, &detection.facts, options)?,
        writable: writable(config)?,
        created: options.source_date_epoch.or(commit.map(|commit| commit.time)).unwrap_or(CREATED),
        start_origin: start.origin.clone(),
    };
    Ok((image, layers))
}

/// What conditions may know of the configuration.
pub(super) fn settings(config: &Config) -> serde_json::Value {
    let values = |list: &[Resolved<String>]| list.iter().map(|item| item.value.clone()).collect::<Vec<_>>();
    serde_json::json!({
        "build_command": config.build_command.as_ref().map(|command| command.value.clone()),
        "build_packages": values(&config.build_packages),
        "runtime_packages": values(&config.runtime_packages),
        "start": config.start.as_ref().map(|start| start.origin.to_string()),
        "strict": config.strict,
    })
}

fn refused<T>(key: &str, setting: &Resolved<T>, value: String, reason: &str) -> Error {
    Error::Setting { key: key.to_owned(), value, reason: reason.to_owned(), location: location(&setting.origin) }
}

/// Numeric and not root: kubelet's `runAsNonRoot` refuses names.
fn user(config: &Config) -> Result<String, Error> {
    let Some(user) = &config.user else { return Ok(USER.to_owned()) };
    let invalid = |reason| refused("image.user", user, user.value.clone(), reason);
    let (uid, gid) = user.value.split_once(':').unwrap_or((&user.value, &user.value));
    let (uid, gid) = match (uid.parse::<u32>(), gid.parse::<u32>()) {
        (Ok(uid), Ok(gid)) => (uid, gid),
        _ => return Err(invalid("a user is two numbers, such as `65532:65532`")),
    };
    Ok(format!("{uid}:{gid}"))
}

fn ports(buildpack: &Buildpack, config: &Config, evaluator: &Evaluator<'_>) -> Result<Vec<u16>, Error> {
    if config.ports.is_empty() {
        return Ok(vec![evaluator.evaluate(&buildpack.image.port)?]);
    }
    let ports: BTreeSet<u16> = config.ports.iter().map(|port| port.value).collect();
    Ok(ports.into_iter().collect())
}

/// `PATH` first, then sorted; the app's own values win over the language's.
fn env(
    buildpack: &Buildpack,
    config: &Config,
    start: &Start,
    evaluator: &Evaluator<'_>,
) -> Result<Vec<String>, Error> {
    let mut env: BTreeMap<String, String> = [
        ("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt"),
        ("HOME", "/tmp"),
        ("TMPDIR", "/tmp"),
        ("XDG_CACHE_HOME", "/tmp/.cache"),
        ("XDG_RUNTIME_DIR", "/tmp"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    for (name, value) in &buildpack.image.env {
        env.insert(name.clone(), evaluator.render(value)?);
    }
    env.extend(start.env.iter().cloned());
    for (name, value) in &config.runtime_env {
        if name == "PORT" || name.starts_with("K_") || name.starts_with("CLOUD_RUN_") {
            let key = format!("runtime.env.{name}");
            let reason = "the platform that runs the image owns this variable";
            return Err(refused(&key, value, value.value.clone(), reason));
        }
        env.insert(name.clone(), value.value.clone());
    }
    env.remove("PORT");
    let folders = buildpack.image.path.iter().map(String::as_str).chain(PATH);
    let path = env.remove("PATH").unwrap_or_else(|| folders.collect::<Vec<_>>().join(":"));
    let rest = env.into_iter().map(|(name, value)| format!("{name}={value}"));
    Ok(std::iter::once(format!("PATH={path}")).chain(rest).collect())
}

/// Labels from git and the manifest; configured ones win.
/// Keys: <https://github.com/opencontainers/image-spec/blob/main/annotations.md>
fn labels(
    config: &Config,
    commit: Option<&Commit>,
    facts: &serde_json::Value,
    options: &Options,
) -> Result<BTreeMap<String, String>, Error> {
    let mut labels = BTreeMap::new();
    let mut set = |key: &str, value: Option<String>| {
        if let Some(value) = value {
            labels.insert(format!("org.opencontainers.image.{key}"), value);
        }
    };
    set("title", Some(name(config, facts, &options.folder_name)?));
    set("version", facts["node"]["package"]["version"].as_str().map(str::to_owned));
    set("revision", commit.map(|commit| commit.revision.clone()));
    set("source", commit.and_then(|commit| commit.url.clone()));
    labels.extend(config.labels.iter().map(|(key, value)| (key.clone(), value.value.clone())));
    Ok(labels)
}

fn writable(config: &Config) -> Result<Vec<String>, Error> {
    let mut paths = BTreeSet::new();
    for path in &config.writable {
        let relative = path.value.strip_prefix('/').unwrap_or_default().trim_end_matches('/');
        if !crate::store::tree::is_clean(relative) {
            let reason = "a writable directory is an absolute path without `.` and `..`";
            return Err(refused("image.writable", path, path.value.clone(), reason));
        }
        paths.insert(format!("/{relative}"));
    }
    Ok(paths.into_iter().collect())
}

/// The app's name as a repository component: configured, from the manifest, or the folder's.
/// Grammar: <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests>
pub(super) fn name(config: &Config, facts: &serde_json::Value, folder: &str) -> Result<String, Error> {
    if let Some(name) = &config.name {
        let plain = sanitised(&name.value);
        if plain != name.value {
            let reason = "a name has lower-case letters, digits and single `.`, `_`, `-` between them";
            return Err(refused("name", name, name.value.clone(), reason));
        }
        return Ok(plain);
    }
    let manifest = facts["node"]["package"]["name"].as_str().or_else(|| facts["go"]["module"].as_str());
    let last = manifest.and_then(|name| name.rsplit('/').next()).map(sanitised);
    let name = last.filter(|name| !name.is_empty()).unwrap_or_else(|| sanitised(folder));
    Ok(if name.is_empty() { "app".to_owned() } else { name })
}

/// Lower case, with one `-` for every run of other characters.
fn sanitised(name: &str) -> String {
    let mut plain = String::new();
    for character in name.to_lowercase().chars() {
        let valid = character.is_ascii_lowercase() || character.is_ascii_digit();
        let separator = matches!(character, '.' | '_' | '-');
        match (valid, plain.ends_with(['.', '_', '-'])) {
            (true, _) => plain.push(character),
            (false, false) if !plain.is_empty() => plain.push(if separator { character } else { '-' }),
            _ => {}
        }
    }
    plain.trim_end_matches(['.', '_', '-']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::sanitised;

    #[test]
    fn names_become_repository_components() {
        for (name, expected) in
            [("Shop", "shop"), ("my app!", "my-app"), ("a__b", "a_b"), ("-x-", "x"), ("Ünï", "n"), ("!!", "")]
        {
            assert_eq!(sanitised(name), expected, "{name}");
        }
    }
}
