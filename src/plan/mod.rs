//! Planning: detection and configuration in, a [`Plan`] out.
//!
//! The rules of ecosystems are data (`buildpacks/*/buildpack.toml`); this module evaluates them. It reads no file,
//! opens no socket and knows no time: the outside world is a [`Catalogue`]. Equal inputs give an equal plan.

mod base;
mod buildpack;
mod check;
mod document;
mod error;
mod explain;
mod image;
mod layer;
pub mod lock;
pub mod model;
mod names;
mod native;
mod platform;
mod release;
mod root;
mod source;
mod start;
mod step;
mod template;
mod tool;
mod version;

use serde_json::json;

use crate::config::Config;
use crate::definitions::Definitions;
use crate::detect::Detection;
use crate::source::Commit;

use buildpack::Buildpack;
use check::Phase;
use platform::Platforms;
use release::Base;
use template::Scope;

pub use error::Error;
pub use explain::explain;
pub use model::{Catalogue, Notice, Plan};
pub use native::hints as native_hints;

/// Where the sources are while steps run, and the app in the image.
pub const APP: &str = "/app";

/// What planning needs besides facts and configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Where the image runs: `linux/amd64` or `linux/arm64`.
    pub platform: String,
    /// Where steps run: the platform of the machine that will build.
    pub build_platform: String,
    /// All platforms of the index that the image belongs to; empty for an image of its own. One version of each tool
    /// serves all of them.
    pub platforms: Vec<String>,
    /// `SOURCE_DATE_EPOCH`, in seconds since 1970.
    pub source_date_epoch: Option<i64>,
    /// The name of the source's folder: the app's name when none is configured.
    pub folder_name: String,
}

/// Everything that the parts of planning share.
struct Planner<'a> {
    buildpack: Buildpack,
    base: Base,
    scope: Scope,
    platforms: Platforms,
    config: &'a Config,
    catalogue: &'a dyn Catalogue,
    notices: Vec<model::Notice>,
    bases: base::Bases,
}

/// Makes the plan for what was detected.
pub fn plan(
    detection: &Detection,
    config: &Config,
    commit: Option<&Commit>,
    definitions: &Definitions,
    catalogue: &dyn Catalogue,
    options: &Options,
) -> Result<Plan, Error> {
    let platforms = Platforms::new(&options.platform, &options.build_platform, &options.platforms)?;
    let language = config.language.as_ref().map_or(&detection.language, |language| &language.value);
    let (buildpack, file) = Buildpack::load(definitions, language)?;
    let name = image::name(config, &options.folder_name);
    let scope = scope(&file, detection, config, &platforms, &name);
    if detection.facts.get(language).is_none_or(serde_json::Value::is_null) {
        return Err(Error::NoFacts { language: language.clone() });
    }
    image::check_config(config)?;
    let notices = detection.notices.clone();
    let bases = base::resolve(config, &platforms, catalogue)?;
    let base = Base::new(definitions, config, &buildpack.base)?;
    let mut planner = Planner { buildpack, base, scope, platforms, config, catalogue, notices, bases };
    planner.values()?;
    check::run(&mut planner, Phase::Early)?;
    let tools = tool::resolve(&mut planner)?;
    planner.scope.set("base", &planner.base.value(definitions));
    planner.note_end_of_base(definitions);
    let start =
        start::start(&planner.buildpack, &planner.scope, config, &detection.facts, &mut planner.notices)?;
    planner.scope.set(
        "start",
        &json!({
            "program": start.program(), "argv": start.argv, "origin": start.origin,
        }),
    );
    check::run(&mut planner, Phase::Late)?;
    let init = planner.buildpack.init == buildpack::Init::Always || start.expands();
    let steps = step::steps(&planner)?;
    let layers = layer::layers(&planner, init)?;
    let image = image::image(&mut planner, &start, init, &name, commit, options)?;
    let toolchains = tool::toolchains(&mut planner, &tools, &steps, &layers)?;
    let native = native::packages(&mut planner)?;
    let build_root = root::build_root(&mut planner, &native)?;
    let runtime_root = root::runtime_root(&planner, &native)?;
    Ok(Plan {
        format: model::FORMAT,
        name,
        platform: options.platform.clone(),
        build_platform: options.build_platform.clone(),
        language: language.clone(),
        versions: tools.versions,
        build_root,
        runtime_root,
        toolchains,
        steps,
        layers,
        image,
        ignored_libraries: config.ignored_libraries.iter().map(|glob| glob.value.clone()).collect(),
        notices: planner.notices,
    })
}

fn scope(file: &str, detection: &Detection, config: &Config, platforms: &Platforms, name: &str) -> Scope {
    let mut scope = Scope::new(file);
    for ecosystem in ["files", "node", "python", "go", "static", "procfile"] {
        let facts = detection.facts.get(ecosystem).unwrap_or(&serde_json::Value::Null);
        scope.set(ecosystem, facts);
    }
    scope.set("facts", &detection.facts);
    scope.set("arch", &platforms.scope(platforms.target));
    scope.set(
        "config",
        &json!({
            "name": name,
            "strict": config.strict,
            "port": config.ports.first().map(|port| port.value),
            "go_ldflags": config.go_ldflags.as_ref().map(|flags| &flags.value),
            "go_tags": config.go_tags.as_ref().map(|tags| &tags.value),
            "target": config.go_target.as_ref().map(|target| &target.value),
            "static_root": config.static_root.as_ref().map(|root| &root.value),
            "static_fallback": config.static_fallback.as_ref().map(|page| &page.value),
            "build_packages": config.build_packages.iter().map(|package| &package.value).collect::<Vec<_>>(),
            "build_command": config.build_command.as_ref().map(|command| &command.value),
        }),
    );
    scope.set("value", &json!({}));
    scope.set("versions", &json!({}));
    scope
}

impl Planner<'_> {
    /// Computes the buildpack's own values, each visible to the next.
    fn values(&mut self) -> Result<(), Error> {
        let mut values = std::collections::BTreeMap::new();
        for named in &self.buildpack.values {
            let text = self.scope.text(&format!("value.{}", named.name), &named.text)?;
            values.insert(named.name.clone(), text.trim().to_owned());
            self.scope.set("value", &values);
        }
        Ok(())
    }

    fn note(&mut self, id: &str, text: String, warning: bool) {
        self.notices.push(model::Notice { id: id.to_owned(), text, warning });
    }
}

/// `package.json:9 engines.node`.
fn origin(file: &str, line: Option<usize>, key: &str) -> String {
    let mut text = file.to_owned();
    if let Some(line) = line {
        text = format!("{text}:{line}");
    }
    if !key.is_empty() {
        text = format!("{text} {key}");
    }
    text
}

#[cfg(test)]
mod tests;
