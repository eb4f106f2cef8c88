//! Planning: detection and configuration in, a [`Plan`] out.
//!
//! The rules of ecosystems are data (`buildpacks/*/buildpack.toml`); this module evaluates them. It reads no file,
//! opens no socket and knows no time: the outside world is a [`Catalogue`]. Equal inputs give an equal plan.

mod advice;
mod base;
mod buildpack;
pub mod catalogue;
mod check;
mod document;
mod edition;
mod error;
mod explain;
mod foreign;
mod image;
mod layer;
pub mod lock;
pub mod model;
mod names;
mod native;
pub mod needs;
mod outcome;
mod part;
mod platform;
mod program;
pub mod provenance;
pub mod prune;
mod release;
mod root;
mod source;
mod start;
mod step;
mod template;
mod tool;
mod version;

use serde::Deserialize as _;

use crate::config::Config;
use crate::definitions::Definitions;
use crate::detect::Detection;
use crate::detect::facts::{Facts, Programs};
use crate::source::Commit;

use buildpack::Buildpack;
use check::Phase;
use model::{Image, Layer};
use outcome::Possible;
use part::{Assets, Named, Part};
use platform::Platforms;
use release::Base;
use start::{Candidate, StartCommand};
use template::Scope;

pub use advice::{Advised, Failed, advise};
pub use catalogue::Catalogue;
pub use edition::newest as newest_edition;
pub use error::Error;
pub use explain::explain;
pub use model::{Notice, Plan};

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
    /// The app's folder below [`APP`]; empty for the whole source.
    folder: String,
    base: Base,
    scope: Scope,
    platforms: Platforms,
    config: &'a Config,
    catalogue: &'a dyn Catalogue,
    notices: Vec<model::Notice>,
    bases: base::Bases,
    /// What the app's programs do to their surroundings.
    programs: Programs,
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
    check_facts(detection, language)?;
    image::check_config(config)?;
    let edition = edition::of(config, definitions)?;
    let whole = Part { is_assets: false, folder: detection.folder.clone() };
    let named = Named { name: &name, edition: &edition };
    let scope = part::scope(&file, &detection.facts, &whole, config, &platforms, named);
    let bases = base::resolve(config, &platforms, catalogue)?;
    let base = Base::new(definitions, config, &buildpack.base)?;
    let mut notices = detection.notices.clone();
    notices.extend(foreign::notices(&detection.facts, definitions)?);
    let mut planner = Planner {
        buildpack,
        folder: whole.folder,
        base,
        scope,
        platforms,
        config,
        catalogue,
        notices,
        bases,
        programs: programs(detection),
    };
    planner.values()?;
    check::run(&mut planner, Phase::Early)?;
    let tools = tool::resolve(&mut planner)?;
    planner.scope.set("base", &planner.base.value(definitions));
    planner.note_end_of_base(definitions);
    let possible = outcome::possible(&mut planner, &detection.facts)?;
    outcome::show(&mut planner, &possible[0]);
    check::run(&mut planner, Phase::Late)?;
    let assets = part::assets(&mut planner, detection, definitions, named)?;
    let packed = packed(&mut planner, &possible, &assets, |planner, candidate, init| {
        image::image(planner, candidate, init, &name, commit, options)
    })?;
    let layers: Vec<Layer> = packed.iter().flat_map(|(layers, _)| layers.clone()).collect();
    outcome::show(&mut planner, &possible[0]);
    let own_steps = step::steps(&planner)?;
    let prune = prune::prune(&planner)?;
    let toolchains = tool::toolchains(&mut planner, &tools, &own_steps, &layers)?;
    let native = native::packages(&mut planner)?;
    let packages = root::build_packages(&planner, &native)?;
    let build_root = root::build_root(&mut planner, packages.into_iter().chain(assets.packages()).collect())?;
    let steps = assets.steps(&own_steps);
    let mut all = Vec::new();
    for (one, (layers, image)) in possible.iter().zip(packed) {
        outcome::show(&mut planner, one);
        let layers = needs::settle_layers(layers, &steps);
        let runtime_root = root::runtime_root(&planner, &native)?;
        all.push(outcome::Decided { outcome: one.outcome.clone(), runtime_root, layers, image });
    }
    let (own, alternatives) = outcome::split(all);
    let depends = !alternatives.is_empty() || !own.outcome.files.is_empty();
    let ignored = config.ignored_libraries.iter().map(|glob| glob.value.clone()).collect();
    Ok(Plan {
        format: model::FORMAT,
        name,
        platform: options.platform.clone(),
        build_platform: options.build_platform.clone(),
        language: language.clone(),
        versions: assets.versions(tools.versions),
        build_root,
        runtime_root: own.runtime_root,
        toolchains: assets.toolchains(toolchains),
        steps,
        prune,
        layers: own.layers,
        image: own.image,
        outcome: depends.then_some(own.outcome),
        alternatives,
        ignored_libraries: ignored,
        notices: planner.notices,
    })
}

/// A language whose facts rpack reads needs them.
fn check_facts(detection: &Detection, language: &str) -> Result<(), Error> {
    let is_described = Facts::shape().get(language).is_some();
    if is_described && detection.facts.get(language).is_none_or(serde_json::Value::is_null) {
        return Err(Error::NoFacts { language: language.to_owned() });
    }
    Ok(())
}

/// The facts of all languages; none in a detection that was made by hand.
fn programs(detection: &Detection) -> Programs {
    let found = detection.facts.get("programs");
    found.and_then(|value| Programs::deserialize(value).ok()).unwrap_or_default()
}

/// The layers and the image of each possibility.
fn packed(
    planner: &mut Planner<'_>,
    possible: &[Possible],
    assets: &Assets,
    image: impl Fn(&mut Planner<'_>, &Candidate, bool) -> Result<Image, Error>,
) -> Result<Vec<(Vec<Layer>, Image)>, Error> {
    let one = |one: &Possible| {
        outcome::show(planner, one);
        let expands = one.candidate.commands().any(StartCommand::expands);
        let init = planner.buildpack.init == buildpack::Init::Always || expands;
        let layers = layer::layers(planner, init, assets)?;
        Ok((layers, image(planner, &one.candidate, init)?))
    };
    possible.iter().map(one).collect()
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
