//! Ecosystems that take part in one plan: the one that owns the start command, and those that only make files for it,
//! such as a front end that Node.js builds for an app in Python.

use serde_json::{Value, json};

use super::buildpack::Buildpack;
use super::check::{self, Phase};
use super::model::{Step, Toolchain, Version};
use super::platform::Platforms;
use super::template::Scope;
use super::{APP, Error, Planner, native, needs, root, step, tool};
use crate::config::Config;
use crate::definitions::Definitions;
use crate::detect::Detection;
use crate::detect::facts::{Facts, Programs};

/// The part of a buildpack in a plan; expressions see it as `part`.
#[derive(Clone, Debug)]
pub(super) struct Part {
    /// Whether its files are for the app of another ecosystem.
    pub(super) is_assets: bool,
    /// Its folder below [`APP`]; empty for the whole source.
    pub(super) folder: String,
}

/// What the whole plan goes by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Named<'a> {
    /// The app's name.
    pub(super) name: &'a str,
    /// The set of defaults.
    pub(super) edition: &'a str,
}

/// The values that expressions see from the start.
pub(super) fn scope(
    file: &str,
    facts: &Value,
    part: &Part,
    config: &Config,
    platforms: &Platforms,
    named: Named<'_>,
) -> Scope {
    let mut scope = Scope::new(file);
    for ecosystem in Facts::shape().as_object().expect("facts are a table").keys() {
        scope.set(ecosystem, facts.get(ecosystem).unwrap_or(&Value::Null));
    }
    scope.set("facts", facts);
    scope.set("arch", &platforms.scope(platforms.target));
    scope.set(
        "part",
        &json!({
            "role": if part.is_assets { "assets" } else { "app" },
            "folder": part.folder,
            "directory": directory(&part.folder),
        }),
    );
    scope.set(
        "config",
        &json!({
            "name": named.name,
            "edition": named.edition,
            "strict": config.strict,
            "build_packages": config.build_packages.iter().map(|package| &package.value).collect::<Vec<_>>(),
            // That of the app is not for what makes files for it.
            "build_command": config.build_command.as_ref().filter(|_| !part.is_assets).map(|command| &command.value),
            "start": config.start.is_some() || config.process.is_some(),
            "port": config.ports.first().map(|port| port.value),
            "go_ldflags": config.go_ldflags.as_ref().map(|flags| &flags.value),
            "go_private": config.go_private.as_ref().map(|paths| &paths.value),
            "go_tags": config.go_tags.as_ref().map(|tags| &tags.value),
            "target": config.go_target.as_ref().map(|target| &target.value),
            "static_root": config.static_root.as_ref().map(|root| &root.value),
            "static_fallback": config.static_fallback.as_ref().map(|page| &page.value),
        }),
    );
    scope.set("value", &json!({}));
    scope.set("versions", &json!({}));
    scope.set("outcome", &json!({ "id": "" }));
    scope.set("start", &json!({ "program": "", "argv": [], "origin": "" }));
    scope
}

/// `folder` of the app as an absolute path.
pub(super) fn directory(folder: &str) -> String {
    if folder.is_empty() { APP.to_owned() } else { format!("{APP}/{folder}") }
}

/// ` in FOLDER`, as part of a sentence.
fn place(folder: &str) -> String {
    if folder.is_empty() { String::new() } else { format!(" in `{folder}`") }
}

/// What the ecosystems that make files for the app add to its plan.
#[derive(Debug, Default)]
pub(super) struct Assets {
    versions: Vec<Version>,
    steps: Vec<Step>,
    toolchains: Vec<Toolchain>,
    packages: Vec<String>,
    exclude: Vec<String>,
}

/// Plans what was detected beside the app and what its buildpack takes in.
pub(super) fn assets(
    planner: &mut Planner<'_>,
    detection: &Detection,
    definitions: &Definitions,
    named: Named<'_>,
) -> Result<Assets, Error> {
    let mut assets = Assets::default();
    for found in &detection.assets {
        if planner.buildpack.assets.contains(&found.language) {
            let part = Part { is_assets: true, folder: found.folder.clone() };
            let (buildpack, file) = Buildpack::load(definitions, &found.language)?;
            let scope = scope(&file, &found.facts, &part, planner.config, &planner.platforms, named);
            let mut own = Planner {
                buildpack,
                folder: part.folder,
                base: planner.base.clone(),
                scope,
                platforms: planner.platforms.clone(),
                config: planner.config,
                catalogue: planner.catalogue,
                notices: Vec::new(),
                bases: planner.bases.clone(),
                programs: Programs::default(),
            };
            assets.add(&mut own, definitions)?;
            let (title, place) = (&own.buildpack.title, place(&own.folder));
            let text = format!("{title} builds assets{place}: {}", found.reason);
            planner.note("plan/assets", text, false);
            planner.add_notices(own.notices);
        }
    }
    Ok(assets)
}

impl Assets {
    fn add(&mut self, planner: &mut Planner<'_>, definitions: &Definitions) -> Result<(), Error> {
        planner.values()?;
        check::run(planner, Phase::Early)?;
        let tools = tool::resolve(planner)?;
        planner.scope.set("base", &planner.base.value(definitions));
        let steps = step::steps(planner)?;
        check::run(planner, Phase::Late)?;
        self.toolchains.extend(tool::toolchains(planner, &tools, &steps, &[])?);
        let native = native::packages(planner)?;
        self.packages.extend(root::build_packages(planner, &native)?);
        self.exclude.extend(planner.scope.texts("image.no-assets", &planner.buildpack.image.no_assets)?);
        self.versions.extend(tools.versions);
        self.steps.extend(steps);
        Ok(())
    }

    /// Packages for the build root.
    pub(super) fn packages(&self) -> impl Iterator<Item = String> {
        self.packages.iter().cloned()
    }

    /// Globs of files that are no result: they are left out of the layers of the app.
    pub(super) fn exclude(&self) -> impl Iterator<Item = String> {
        self.exclude.iter().cloned()
    }

    /// All versions, those of the app first.
    pub(super) fn versions(&self, app: Vec<Version>) -> Vec<Version> {
        app.into_iter().chain(self.versions.iter().cloned()).collect()
    }

    /// All toolchains, those of the app first.
    pub(super) fn toolchains(&self, app: Vec<Toolchain>) -> Vec<Toolchain> {
        app.into_iter().chain(self.toolchains.iter().cloned()).collect()
    }

    /// All steps. What the app installs comes first, because every step counts for those behind it and sources of
    /// assets change more often; what the app builds comes last, because it may take the assets in.
    pub(super) fn steps(&self, app: &[Step]) -> Vec<Step> {
        let installs = app.iter().rposition(|step| step.network).map_or(0, |last| last + 1);
        let (first, last) = app.split_at(installs);
        needs::settle([first, &self.steps, last].concat())
    }
}
