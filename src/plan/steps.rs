//! The buildpack's steps with their templates filled in.

use std::collections::BTreeMap;

use super::buildpack::{Buildpack, StepRule};
use super::expression::Evaluator;
use super::model::Step;
use super::Error;
use crate::config::Config;

/// Variables that would make tools look or write elsewhere; a build that sets them breaks in ways hard to see.
const REFUSED: [&str; 16] = [
    "CARGO_HOME", "GOBIN", "GOROOT", "JAVA_HOME", "LD_LIBRARY_PATH", "LD_PRELOAD", "MAVEN_HOME", "NODE_PATH",
    "PIP_PREFIX", "PIP_TARGET", "POETRY_HOME", "PYTHONHOME", "PYTHONUSERBASE", "UV_PROJECT_ENVIRONMENT", "UV_PYTHON",
    "VIRTUAL_ENV",
];

/// The steps that the app needs, in order.
pub(super) fn steps(
    buildpack: &Buildpack,
    config: &Config,
    evaluator: &Evaluator<'_>,
) -> Result<Vec<Step>, Error> {
    let user = user_env(config)?;
    let mut steps = Vec::new();
    for rule in &buildpack.step {
        if evaluator.holds(rule.when.as_ref())? {
            steps.push(step(rule, buildpack, &user, evaluator)?);
        }
    }
    Ok(steps)
}

fn step(
    rule: &StepRule,
    buildpack: &Buildpack,
    user: &BTreeMap<String, String>,
    evaluator: &Evaluator<'_>,
) -> Result<Step, Error> {
    let mut argv = evaluator.render_all(&rule.argv)?;
    if let Some(expression) = &rule.argv_from {
        argv.extend(evaluator.evaluate::<Vec<String>>(expression)?);
    }
    let mut inputs = evaluator.render_all(&rule.inputs)?;
    if let Some(expression) = &rule.inputs_from {
        inputs.extend(evaluator.evaluate::<Vec<String>>(expression)?);
    }
    let mut env = BTreeMap::new();
    for (name, value) in buildpack.build_env.iter().chain(&rule.env) {
        env.insert(name.clone(), evaluator.render(value)?);
    }
    env.extend(user.clone());
    let files = rule.files.iter().map(|(path, text)| Ok((path.clone(), evaluator.render(text)?)));
    Ok(Step {
        id: rule.id.clone(),
        title: evaluator.render(&rule.title)?,
        argv,
        directory: rule.directory.clone(),
        env,
        inputs,
        caches: rule.caches.clone(),
        network: rule.network,
        files: files.collect::<Result<_, Error>>()?,
    })
}

/// `build.env`, without what breaks tools.
fn user_env(config: &Config) -> Result<BTreeMap<String, String>, Error> {
    let mut env = BTreeMap::new();
    for (name, value) in &config.build_env {
        if REFUSED.contains(&name.as_str()) {
            return Err(Error::Setting {
                key: format!("build.env.{name}"),
                value: value.value.clone(),
                reason: "it makes tools look or write outside the build".to_owned(),
                location: super::versions::location(&value.origin),
            });
        }
        env.insert(name.clone(), value.value.clone());
    }
    Ok(env)
}
