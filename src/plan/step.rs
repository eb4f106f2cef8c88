//! The steps of a plan, and what their environment may hold.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::buildpack::Step as Rule;
use super::model::{Secret, Step};
use super::{Error, Planner, part};

/// The time that build tools see, in seconds since 1970: 1980-01-01T00:00:01Z, the first that zip files can hold.
/// It is no commit's time, so that a commit does not change what installing gives.
pub(super) const CONSTANT_TIME: i64 = 315_532_801;

/// The steps whose conditions hold, in the order of the file.
pub(super) fn steps(planner: &Planner<'_>) -> Result<Vec<Step>, Error> {
    let mut common = planner.scope.table("build-env", &planner.buildpack.build_env)?;
    common.entry("SOURCE_DATE_EPOCH".to_owned()).or_insert_with(|| CONSTANT_TIME.to_string());
    let mut steps = Vec::new();
    for rule in &planner.buildpack.steps {
        if planner.scope.holds(&format!("step.{}.when", rule.id), &rule.when)? {
            steps.push(step(planner, rule, &common)?);
        }
    }
    Ok(steps)
}

fn step(planner: &Planner<'_>, rule: &Rule, common: &BTreeMap<String, String>) -> Result<Step, Error> {
    let scope = &planner.scope;
    let key = |name: &str| format!("step.{}.{name}", rule.id);
    let mut env = common.clone();
    for (name, text) in &rule.env {
        let value = scope.text(&key("env"), text)?;
        // An empty value takes a variable of all steps out of this one.
        if value.is_empty() {
            env.remove(name)
        } else {
            env.insert(name.clone(), value)
        };
    }
    for (name, value) in &planner.config.build_env {
        env.insert(name.clone(), value.value.clone());
    }
    let mut inputs = scope.texts(&key("inputs"), &rule.inputs)?;
    if let Some(more) = &rule.inputs_from {
        inputs.extend(scope.read::<Vec<String>>(&key("inputs-from"), more)?);
        inputs.sort();
        inputs.dedup();
    }
    let at_root = rule.at_root.as_ref().map(|condition| scope.holds(&key("at-root"), condition));
    let folder = if at_root.transpose()?.unwrap_or(false) { "" } else { planner.folder.as_str() };
    let directory = part::directory(folder);
    inputs = inputs.iter().map(|glob| below(folder, glob)).collect();
    let incremental = scope.texts(&key("incremental"), &rule.incremental)?;
    let incremental = incremental.iter().map(|path| match path.strip_prefix('!') {
        Some(path) => format!("!{directory}/{path}"),
        None => format!("{directory}/{path}"),
    });
    let incremental = incremental.collect();
    let mut files = BTreeMap::new();
    for (path, text) in &rule.files {
        files.insert(path.clone(), scope.text(&key("files"), text)?);
    }
    if let Some(more) = &rule.files_from {
        let more = scope.read::<BTreeMap<String, String>>(&key("files-from"), more)?;
        files.extend(more.into_iter().map(|(path, text)| (format!("{directory}/{path}"), text)));
    }
    let fetches = rule.network_when.as_ref().map(|condition| scope.holds(&key("network-when"), condition));
    // Whoever gives the network to all steps does not give them the credentials of registries.
    let installs = rule.network || fetches.transpose()?.unwrap_or(false);
    let secrets = secrets(planner, rule, installs, &env)?;
    if !installs && let Some(expression) = &planner.buildpack.secrets_from {
        // Yarn stops in every command when its settings name a variable that is not there.
        for named in planner.scope.read::<Vec<Named>>("secrets-from", expression)? {
            if let Named::Stated { value, .. } = named {
                env.entry(value).or_default();
            }
        }
    }
    Ok(Step {
        id: rule.id.clone(),
        title: scope.text(&key("title"), &rule.title)?,
        argv: scope.texts(&key("argv"), &rule.argv)?,
        directory,
        env,
        inputs,
        // Patterns, until it is known which steps come earlier.
        needs: rule.needs.clone(),
        caches: rule.caches.clone(),
        incremental,
        network: installs || planner.config.build_network,
        secrets,
        files,
    })
}

/// A name of a secret, or a statement of a file that names it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Named {
    Id(String),
    Stated { value: String, file: String, line: Option<usize> },
}

/// The secrets that the rule and the facts name, each once. Steps whose rule has the network may see those of the whole buildpack
/// too. A variable that the step has anyway is none.
fn secrets(
    planner: &Planner<'_>,
    rule: &Rule,
    installs: bool,
    env: &BTreeMap<String, String>,
) -> Result<Vec<Secret>, Error> {
    let buildpack = &planner.buildpack;
    let common = installs.then_some((&buildpack.secrets, &buildpack.secrets_from, "secrets-from".to_owned()));
    let own = (&rule.secrets, &rule.secrets_from, format!("step.{}.secrets-from", rule.id));
    let mut secrets: Vec<Secret> = Vec::new();
    for (listed, expression, key) in common.into_iter().chain([own]) {
        let mut found = listed.clone();
        if let Some(expression) = expression {
            for named in planner.scope.read::<Vec<Named>>(&key, expression)? {
                let (id, named_by) = match named {
                    Named::Id(id) => (id, None),
                    Named::Stated { value, file, line } => {
                        (value, Some(line.map_or_else(|| file.clone(), |line| format!("{file}:{line}"))))
                    }
                };
                found.push(Secret {
                    id: id.clone(),
                    variable: Some(id),
                    path_variable: None,
                    settings: None,
                    named_by,
                });
            }
        }
        for secret in found {
            let is_set = secret.variable.as_ref().is_some_and(|name| env.contains_key(name));
            if !is_set && !secrets.iter().any(|known| known.id == secret.id) {
                secrets.push(secret);
            }
        }
    }
    Ok(secrets)
}

/// A pattern of inputs below `folder`, unless it begins with a slash: then it counts from the source.
fn below(folder: &str, glob: &str) -> String {
    let (not, glob) = glob.strip_prefix('!').map_or(("", glob), |glob| ("!", glob));
    match glob.strip_prefix('/') {
        Some(glob) => format!("{not}{glob}"),
        None if folder.is_empty() => format!("{not}{glob}"),
        None => format!("{not}{folder}/{glob}"),
    }
}
