//! The format of `buildpacks/ID/buildpack.toml`.
//!
//! `when` values are minijinja expressions over the facts (`node`, `python`, `go`, `procfile`, `files`), the
//! resolved `versions`, `config` and the buildpack's own `variables`; other texts are minijinja templates over the
//! same names. Unknown keys are errors, so that a typo does not change a build silently.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::Error;
use crate::definitions::Definitions;

/// A buildpack as its file states it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Buildpack {
    /// Equal to the folder's name.
    pub(super) id: String,
    /// Names for values, each of which may use those before it.
    #[serde(default)]
    pub(super) variable: Vec<Variable>,
    /// What cannot be built, with the way out.
    #[serde(default)]
    pub(super) refuse: Vec<Refusal>,
    /// What the user should know.
    #[serde(default)]
    pub(super) notice: Vec<NoticeRule>,
    /// Tools whose versions are resolved, in this order.
    #[serde(default)]
    pub(super) tool: Vec<Tool>,
    /// Archives unpacked into the build root.
    #[serde(default)]
    pub(super) toolchain: Vec<ToolchainRule>,
    /// What steps stand on.
    pub(super) build_root: RootRule,
    /// What the image stands on.
    pub(super) runtime_root: RootRule,
    /// Environment of every step.
    #[serde(default)]
    pub(super) build_env: BTreeMap<String, String>,
    /// In order.
    #[serde(default)]
    pub(super) step: Vec<StepRule>,
    /// From the bottom up.
    pub(super) layer: Vec<LayerRule>,
    /// Start commands in order of preference, after configuration and Procfile.
    #[serde(default)]
    pub(super) start: Vec<StartRule>,
    /// The image's config.
    pub(super) image: ImageRule,
}

/// A name for the value of an expression.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Variable {
    pub(super) name: String,
    pub(super) value: String,
}

/// Something that cannot be built.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Refusal {
    pub(super) id: String,
    pub(super) when: String,
    pub(super) message: String,
    #[serde(default)]
    pub(super) detail: Option<String>,
    #[serde(default)]
    pub(super) hints: Vec<String>,
}

/// Something to tell.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct NoticeRule {
    pub(super) id: String,
    pub(super) when: String,
    pub(super) text: String,
    /// Whether it is a warning; an error under `strict`.
    #[serde(default)]
    pub(super) warning: bool,
}

/// How version texts of a tool are read.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Scheme {
    /// Ranges of npm, `lts/…` names.
    Npm,
    /// PEP 440 specifiers; a bare version means its prefix.
    Pep440,
    /// Go: `go 1.N` is a minimum, anything else a line.
    Go,
}

/// A tool whose version is resolved.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Tool {
    pub(super) name: String,
    pub(super) scheme: Scheme,
    #[serde(default)]
    pub(super) when: Option<String>,
    /// What is taken when nobody asks: a line (`24`) or a range.
    pub(super) default: String,
    /// Expression that gives the located statements.
    #[serde(default)]
    pub(super) statements: Option<String>,
    /// The npm package whose versions are the tool's.
    #[serde(default)]
    pub(super) npm: Option<String>,
    /// Debian packages that hold the tool, any of which may be there.
    #[serde(default)]
    pub(super) debian: Vec<String>,
    /// An exact version that the buildpack pins, with a note where its digest is.
    #[serde(default)]
    pub(super) pinned: Option<String>,
    /// Release lines with long support, newest first.
    #[serde(default)]
    pub(super) line: Vec<Line>,
}

/// A release line.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Line {
    /// Leading part of the version: `24`, `1.27`.
    pub(super) version: String,
    /// Code name.
    #[serde(default)]
    pub(super) name: Option<String>,
    /// The day its support ends.
    #[serde(default)]
    pub(super) end_of_life: Option<String>,
}

/// An archive unpacked into the build root.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct ToolchainRule {
    pub(super) tool: String,
    pub(super) target: String,
    pub(super) strip: usize,
    #[serde(default)]
    pub(super) include: Vec<String>,
    #[serde(default)]
    pub(super) links: BTreeMap<String, String>,
}

/// A root filesystem.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RootRule {
    /// Id of the base.
    pub(super) base: String,
    /// Packages by condition.
    pub(super) packages: Vec<PackagesRule>,
}

/// Some packages of a root.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct PackagesRule {
    #[serde(default)]
    pub(super) when: Option<String>,
    /// The layer they go to; `build` in a build root.
    pub(super) layer: String,
    /// Groups of the base.
    #[serde(default)]
    pub(super) groups: Vec<String>,
    /// Single packages, templates.
    #[serde(default)]
    pub(super) names: Vec<String>,
}

/// A step.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct StepRule {
    pub(super) id: String,
    pub(super) title: String,
    #[serde(default)]
    pub(super) when: Option<String>,
    pub(super) argv: Vec<String>,
    /// An expression that gives further arguments.
    #[serde(default)]
    pub(super) argv_from: Option<String>,
    #[serde(default = "app_directory")]
    pub(super) directory: String,
    #[serde(default)]
    pub(super) env: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) inputs: Vec<String>,
    /// An expression that gives further inputs.
    #[serde(default)]
    pub(super) inputs_from: Option<String>,
    #[serde(default)]
    pub(super) caches: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) network: bool,
    /// Absolute path → template of the text.
    #[serde(default)]
    pub(super) files: BTreeMap<String, String>,
}

/// A layer.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct LayerRule {
    pub(super) id: String,
    pub(super) comment: String,
    #[serde(default)]
    pub(super) when: Option<String>,
    pub(super) contents: Vec<super::model::Contents>,
}

/// A start command.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct StartRule {
    #[serde(default)]
    pub(super) when: Option<String>,
    /// Exact words, templates.
    #[serde(default)]
    pub(super) argv: Vec<String>,
    /// Or the name of a package.json script to resolve to its argv.
    #[serde(default)]
    pub(super) script: Option<String>,
    /// Where it comes from, a template.
    pub(super) origin: String,
}

/// The image's config.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct ImageRule {
    /// Port when nobody says otherwise: an expression.
    pub(super) port: String,
    /// Whether the start helper is PID 1: `always`, or `when-needed` (the command expands variables).
    pub(super) init: Init,
    /// Folders before the usual ones on PATH.
    #[serde(default)]
    pub(super) path: Vec<String>,
    #[serde(default)]
    pub(super) env: BTreeMap<String, String>,
}

/// When the start helper is PID 1.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Init {
    /// The runtime ignores SIGTERM as PID 1.
    Always,
    /// Only to expand variables in the command.
    WhenNeeded,
}

fn app_directory() -> String {
    "/app".to_owned()
}

impl Buildpack {
    /// The buildpack with this id.
    pub(super) fn load(id: &str, definitions: &Definitions) -> Result<Self, Error> {
        let path = format!("buildpacks/{id}/buildpack.toml");
        let file = definitions.get(&path).ok_or_else(|| Error::UnknownLanguage {
            language: id.to_owned(),
            known: known(definitions),
        })?;
        let invalid = |reason: String| Error::Definition { file: file.shown.clone(), reason };
        let text = std::str::from_utf8(&file.bytes).map_err(|error| invalid(error.to_string()))?;
        let buildpack: Self = toml::from_str(text).map_err(|error| invalid(error.to_string()))?;
        if buildpack.id != id {
            return Err(invalid(format!("its id is `{}`, its folder is `{id}`", buildpack.id)));
        }
        Ok(buildpack)
    }
}

/// The ids of all buildpacks, sorted.
fn known(definitions: &Definitions) -> Vec<String> {
    definitions
        .below("buildpacks", "/buildpack.toml")
        .filter_map(|file| file.path.split('/').nth(1).map(str::to_owned))
        .collect()
}
