//! Planning: a detection and the configuration in, a [`Plan`] out.
//!
//! Buildpacks are data; this stage evaluates them. It runs nothing and reads no file of the app: what it knows of
//! the app are facts, and what it knows of the world it asks a [`Catalogue`].

mod buildpack;
mod document;
mod error;
mod explain;
mod expression;
mod image;
mod lexer;
pub mod model;
mod roots;
mod start;
mod steps;
mod versions;

pub use error::Error;
pub use explain::explain;
pub use model::{Catalogue, Plan};

use buildpack::Buildpack;
use expression::Evaluator;
use model::{FORMAT, Layer, Notice};

use crate::config::Config;
use crate::definitions::Definitions;
use crate::detect::Detection;
use crate::source::Commit;

/// What planning needs to know besides the app.
#[derive(Clone, Debug)]
pub struct Options {
    /// `linux/amd64` or `linux/arm64`.
    pub platform: String,
    /// `SOURCE_DATE_EPOCH`: seconds since 1970.
    pub source_date_epoch: Option<i64>,
    /// The name of the app's folder; its name when nothing else gives one.
    pub folder_name: String,
}

/// Decides everything that the rest needs.
pub fn plan(
    detection: &Detection,
    config: &Config,
    commit: Option<&Commit>,
    definitions: &Definitions,
    catalogue: &dyn Catalogue,
    options: &Options,
) -> Result<Plan, Error> {
    let buildpack = Buildpack::load(&detection.language, definitions)?;
    let file = format!("buildpacks/{}/buildpack.toml", buildpack.id);
    let mut evaluator = Evaluator::new(file, &detection.facts);
    let architecture = Architecture::of(&options.platform)?;
    evaluator.set("architecture", architecture.names());
    evaluator.set("config", image::settings(config));
    for variable in &buildpack.variable {
        let value = evaluator.evaluate::<serde_json::Value>(&variable.value)?;
        evaluator.set(&variable.name, value);
    }
    refuse(&buildpack, &evaluator)?;
    let start = start::start(&buildpack, config, &detection.facts, &evaluator)?;
    evaluator.set("start", serde_json::json!({ "argv": start.argv, "origin": start.origin }));
    let mut notices = detection.notices.clone();
    let tools = roots::tools(&buildpack, config, &architecture, catalogue, &mut evaluator, &mut notices)?;
    notices.extend(remarks(&buildpack, &evaluator)?);
    check_strict(config, &notices)?;
    let runtime_root = roots::runtime(&buildpack, config, &architecture, catalogue, &evaluator)?;
    let layers = layers(&buildpack, &evaluator, &runtime_root)?;
    let (image, layers) =
        image::image(&buildpack, config, commit, &evaluator, options, &start, detection, layers)?;
    Ok(Plan {
        format: FORMAT,
        name: image::name(config, &detection.facts, &options.folder_name)?,
        platform: options.platform.clone(),
        language: buildpack.id.clone(),
        build_root: roots::build(&buildpack, config, &architecture, catalogue, &evaluator)?,
        runtime_root,
        toolchains: roots::toolchains(&buildpack, &tools),
        versions: tools.into_iter().map(|tool| tool.chosen.version).collect(),
        steps: steps::steps(&buildpack, config, &evaluator)?,
        layers,
        image,
        notices,
    })
}

/// The names that registries have for a processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Architecture {
    debian: &'static str,
    npm: &'static str,
    multiarch: &'static str,
}

impl Architecture {
    fn of(platform: &str) -> Result<Self, Error> {
        match platform {
            "linux/amd64" => Ok(Self { debian: "amd64", npm: "x64", multiarch: "x86_64-linux-gnu" }),
            "linux/arm64" => Ok(Self { debian: "arm64", npm: "arm64", multiarch: "aarch64-linux-gnu" }),
            other => Err(Error::Refused {
                id: "plan/platform".to_owned(),
                message: format!("images for `{other}` cannot be built"),
                detail: None,
                hints: vec!["the platforms are linux/amd64 and linux/arm64".to_owned()],
            }),
        }
    }

    fn names(self) -> serde_json::Value {
        serde_json::json!({ "debian": self.debian, "npm": self.npm, "multiarch": self.multiarch })
    }
}

/// The first rule that says that the app cannot be built.
fn refuse(buildpack: &Buildpack, evaluator: &Evaluator<'_>) -> Result<(), Error> {
    for rule in &buildpack.refuse {
        if evaluator.holds(Some(&rule.when))? {
            return Err(Error::Refused {
                id: rule.id.clone(),
                message: evaluator.render(&rule.message)?,
                detail: rule.detail.as_ref().map(|detail| evaluator.render(detail)).transpose()?,
                hints: evaluator.render_all(&rule.hints)?,
            });
        }
    }
    Ok(())
}

fn remarks(buildpack: &Buildpack, evaluator: &Evaluator<'_>) -> Result<Vec<Notice>, Error> {
    let mut notices = Vec::new();
    for rule in &buildpack.notice {
        if evaluator.holds(Some(&rule.when))? {
            let text = evaluator.render(&rule.text)?;
            notices.push(Notice { id: rule.id.clone(), text, warning: rule.warning });
        }
    }
    Ok(notices)
}

/// Under `strict` a warning is an error.
fn check_strict(config: &Config, notices: &[Notice]) -> Result<(), Error> {
    match notices.iter().find(|notice| notice.warning) {
        Some(notice) if config.strict => Err(Error::Strict { id: notice.id.clone(), text: notice.text.clone() }),
        _ => Ok(()),
    }
}

/// The buildpack's layers; one for the user's own packages stands below the dependencies when there are any.
fn layers(
    buildpack: &Buildpack,
    evaluator: &Evaluator<'_>,
    runtime_root: &model::Root,
) -> Result<Vec<Layer>, Error> {
    let mut layers = Vec::new();
    for rule in &buildpack.layer {
        if evaluator.holds(rule.when.as_ref())? {
            layers.push(Layer {
                id: rule.id.clone(),
                comment: evaluator.render(&rule.comment)?,
                contents: rule.contents.clone(),
            });
        }
    }
    if runtime_root.packages.iter().any(|package| package.layer == roots::LIBRARIES) {
        let above = layers.iter().take_while(|layer| ["base", "runtime"].contains(&layer.id.as_str())).count();
        let contents = vec![model::Contents::RuntimeRoot {}];
        let comment = "runtime.packages with what they need".to_owned();
        layers.insert(above, Layer { id: roots::LIBRARIES.to_owned(), comment, contents });
    }
    Ok(layers)
}
