//! The format of `buildpacks/ID/buildpack.toml`: how an ecosystem is built, as data.
//!
//! In: definition files. Out: a [`Buildpack`]. Every expression in it has been compiled and every name in it is
//! known; the format is described for people in `docs/buildpacks.md`. What only one part of planning reads stands
//! there: versions, advice, [`Native`], [`Commands`].

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Error;
use super::advice::{self, Advice};
use super::model::Secret;
use super::native::Native;
use super::needs;
use super::start::Commands;
use super::template::{Expression, Text};
use super::version::{Line, Patch, Scheme};
use crate::definitions::Definitions;
use crate::ui::Location;

/// One ecosystem.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Buildpack {
    /// The name of the folder; `language` in `rpack.toml`.
    pub(super) id: String,
    /// What people call it.
    pub(super) title: String,
    /// Id of the base that both roots are composed from, unless a release line or the configuration names another.
    pub(super) base: String,
    /// The day (`2026-11-01`) on which lines are judged as ended: a plan must not depend on the clock.
    pub(super) as_of: String,
    /// The port that `PORT` falls back to.
    pub(super) port: u16,
    /// Whether the start helper is PID 1 always or only when the command needs it.
    pub(super) init: Init,
    /// Ids of buildpacks that may make files for an app of this one.
    #[serde(default)]
    pub(super) assets: Vec<String>,
    /// Secrets that steps with network may see.
    #[serde(default)]
    pub(super) secrets: Vec<Secret>,
    /// A list of further ones: names, or statements of files that name them.
    pub(super) secrets_from: Option<Expression>,
    #[serde(default, rename = "tool")]
    pub(super) tools: Vec<Tool>,
    #[serde(default, rename = "value")]
    pub(super) values: Vec<NamedValue>,
    #[serde(default, rename = "check")]
    pub(super) checks: Vec<Check>,
    pub(super) build_root: BuildRoot,
    pub(super) native: Option<Native>,
    #[serde(default)]
    pub(super) advice: Vec<Advice>,
    #[serde(default)]
    pub(super) runtime_root: Vec<RuntimeRoot>,
    #[serde(default, rename = "toolchain")]
    pub(super) toolchains: Vec<Toolchain>,
    /// Environment of every step.
    #[serde(default)]
    pub(super) build_env: BTreeMap<String, Text>,
    #[serde(default, rename = "step")]
    pub(super) steps: Vec<Step>,
    /// What is taken out of folders of packages after the steps.
    pub(super) prune: Option<Prune>,
    #[serde(rename = "layer")]
    pub(super) layers: Vec<Layer>,
    #[serde(default)]
    pub(super) commands: Commands,
    #[serde(default, rename = "outcome")]
    pub(super) outcomes: Vec<Outcome>,
    #[serde(default, rename = "start")]
    pub(super) starts: Vec<Start>,
    #[serde(default, rename = "process")]
    pub(super) processes: Vec<Process>,
    pub(super) image: Image,
}

/// When an image carries the start helper.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Init {
    Always,
    /// Only when the command refers to variables.
    Expansion,
}

/// A tool whose version is resolved; later expressions see `versions.NAME`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Tool {
    pub(super) name: String,
    /// What people call it.
    pub(super) title: String,
    #[serde(default)]
    pub(super) when: Expression,
    pub(super) scheme: Scheme,
    /// The line that is used when nobody asks.
    pub(super) default: Text,
    /// A list of located statements, strongest first.
    pub(super) statements: Option<Expression>,
    source: Option<Source>,
    #[serde(default)]
    sources: Vec<Source>,
    /// What a pin means to a source that is the base.
    #[serde(default)]
    pub(super) patch: Patch,
    #[serde(default, rename = "line")]
    pub(super) lines: Vec<Line>,
}

impl Tool {
    /// Who offers it, in order of preference.
    pub(super) fn sources(&self) -> impl Iterator<Item = &Source> {
        self.source.iter().chain(&self.sources)
    }
}

/// Who offers a tool.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) enum Source {
    /// A package of the npm registry.
    Npm(Text),
    /// The package that each line names, in the base.
    Debian,
    /// Versions of a Go module whose name fits, with `*` for the release's own version.
    Go { module: Text, version: Text },
    /// Wheels of a Python project whose tags fit a glob, and that admit a version of Python.
    Pypi { project: Text, wheel: Text, python: Option<Text> },
    /// An artifact of a Maven repository.
    Maven { group: String, artifact: String, classifier: Option<String>, extension: String },
    /// The list `toolchains/ID.toml`.
    Archive(String),
    /// The default, exactly; the text says where it comes from.
    Pinned(String),
}

/// A text that later expressions see as `value.NAME`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct NamedValue {
    pub(super) name: String,
    pub(super) text: Text,
}

/// What stops a plan or deserves a word.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Check {
    pub(super) id: String,
    pub(super) when: Expression,
    pub(super) level: Level,
    /// Whether the condition needs the resolved versions and the start command.
    #[serde(default)]
    pub(super) late: bool,
    /// Whether `--strict` makes it an error.
    #[serde(default)]
    pub(super) strict: bool,
    pub(super) text: Text,
    pub(super) detail: Option<Text>,
    #[serde(default)]
    pub(super) hints: Vec<Text>,
    pub(super) file: Option<Text>,
}

/// How much a check weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Level {
    Error,
    Warning,
    Note,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct BuildRoot {
    pub(super) packages: Vec<Text>,
    #[serde(default)]
    pub(super) extra: Vec<ExtraPackages>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct ExtraPackages {
    pub(super) when: Expression,
    pub(super) packages: Vec<Text>,
}

/// Packages of the runtime root that go to one layer.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RuntimeRoot {
    pub(super) layer: String,
    #[serde(default)]
    pub(super) when: Expression,
    pub(super) packages: Vec<Text>,
}

/// Where the archive of a resolved tool is unpacked.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Toolchain {
    pub(super) tool: String,
    /// The kind of source whose archives it is about; none for all.
    pub(super) source: Option<String>,
    pub(super) target: String,
    pub(super) strip: usize,
    #[serde(default)]
    pub(super) include: Vec<String>,
    /// Globs of files that are made executable.
    #[serde(default)]
    pub(super) executable: Vec<String>,
    /// File names to change: `_go.mod` → `go.mod`.
    #[serde(default)]
    pub(super) rename: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) links: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Step {
    pub(super) id: String,
    pub(super) title: Text,
    #[serde(default)]
    pub(super) when: Expression,
    /// Elements that render empty are left out.
    pub(super) argv: Vec<Text>,
    /// Whether it runs at the root of the source, above the members of a workspace; else in the app's folder. Inputs
    /// and files are relative to where it runs.
    pub(super) at_root: Option<Expression>,
    #[serde(default)]
    pub(super) env: BTreeMap<String, Text>,
    pub(super) inputs: Vec<Text>,
    /// A list of further inputs.
    pub(super) inputs_from: Option<Expression>,
    /// Globs over ids of the earlier steps whose results it sees; none for all.
    pub(super) needs: Option<Vec<String>>,
    #[serde(default)]
    pub(super) caches: BTreeMap<String, String>,
    /// Folders that its tool works on from build to build; those that render empty are left out.
    #[serde(default)]
    pub(super) incremental: Vec<Text>,
    #[serde(default)]
    pub(super) network: bool,
    /// When it has the network although `network` does not say so.
    pub(super) network_when: Option<Expression>,
    /// Secrets that it may see.
    #[serde(default)]
    pub(super) secrets: Vec<Secret>,
    /// A list of further ones, as in [`Buildpack::secrets_from`], which it sees as variables of the same names.
    pub(super) secrets_from: Option<Expression>,
    #[serde(default)]
    pub(super) files: BTreeMap<String, Text>,
    /// A map of further files, by their path relative to the source: what the step sees instead of the source's.
    pub(super) files_from: Option<Expression>,
}

/// Folders of manifests whose `node_modules` keep only what these manifests need at run time.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Prune {
    #[serde(default)]
    pub(super) when: Expression,
    /// A list of folders, relative to the source; empty for the root.
    pub(super) folders: Expression,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Layer {
    pub(super) id: String,
    pub(super) comment: Text,
    #[serde(default)]
    pub(super) when: Expression,
    pub(super) contents: Vec<Contents>,
    /// Globs over ids of the steps that make what it has of the work; none when that is not known.
    #[serde(default)]
    pub(super) after: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", rename_all_fields = "kebab-case", tag = "from")]
pub(super) enum Contents {
    RuntimeRoot {},
    Toolchain {
        name: String,
        #[serde(default)]
        include: Vec<String>,
    },
    Work {
        include: Vec<Text>,
        #[serde(default)]
        exclude: Vec<Text>,
        /// A list of files and folders below the app's folder, which are included whole.
        paths_from: Option<Expression>,
    },
    Init {},
    Files {
        #[serde(default)]
        files: BTreeMap<String, Text>,
        #[serde(default)]
        links: BTreeMap<String, String>,
    },
    Site {
        roots: Vec<Text>,
        #[serde(default)]
        exclude: Vec<Text>,
        fallback: Option<Text>,
        not_found: Option<Text>,
        /// Without it, folders are not listed.
        listing: Option<Expression>,
        /// Without it, names that begin with a dot are left out.
        dot_files: Option<Expression>,
    },
    SiteServer {},
}

/// Something that a build may turn out to have made. Layers, runtime packages, start commands and variables are
/// planned for each whose condition holds; the first whose files exist after the build counts.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Outcome {
    /// What expressions see as `outcome.id`.
    pub(super) id: String,
    /// What people read: `a static site in dist`.
    pub(super) title: Text,
    #[serde(default)]
    pub(super) when: Expression,
    /// Globs below the app's folder, for each of which there must be a file after the build.
    #[serde(default)]
    pub(super) files: Vec<Text>,
    /// Texts that expressions see as `outcome.NAME`.
    #[serde(default)]
    pub(super) values: BTreeMap<String, Text>,
}

/// A process besides the one that the image starts, which `start.process` can choose instead.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Process {
    pub(super) name: String,
    #[serde(default)]
    pub(super) when: Expression,
    /// Exact words; the first goes through [`Commands`].
    pub(super) argv: Vec<Text>,
    /// Where it comes from.
    pub(super) origin: Text,
}

/// A candidate for the start command; the first whose condition holds, and whose files exist after the build, wins.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Start {
    pub(super) when: Expression,
    /// Globs below the app's folder, for each of which there must be a file after the build. They are for what the
    /// build makes; what the source holds is for `when`.
    #[serde(default)]
    pub(super) files: Vec<Text>,
    /// A script of [`Commands::scripts`].
    pub(super) script: Option<String>,
    /// Exact words; the first goes through [`Commands`].
    #[serde(default)]
    pub(super) argv: Vec<Text>,
    /// Where it comes from: `package.json:6 scripts.start`.
    pub(super) origin: Text,
    /// What is looked for, for the message when nothing is found.
    pub(super) looks_for: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Image {
    /// In front of the system's folders.
    #[serde(default)]
    pub(super) path: Vec<String>,
    #[serde(default)]
    pub(super) env: BTreeMap<String, Text>,
    #[serde(default)]
    pub(super) labels: BTreeMap<String, Text>,
    /// Globs of what is no result when it makes files for another ecosystem, relative to the image's root.
    #[serde(default)]
    pub(super) no_assets: Vec<Text>,
    /// A line of a start command that would fit this ecosystem, for hints.
    pub(super) example: String,
}

impl Buildpack {
    /// Reads the buildpack of `language`.
    pub(super) fn load(definitions: &Definitions, language: &str) -> Result<(Self, String), Error> {
        let path = format!("buildpacks/{language}/buildpack.toml");
        let file = definitions.get(&path).ok_or_else(|| Error::UnknownLanguage {
            language: language.to_owned(),
            known: known(definitions),
        })?;
        let invalid = |location: Location, reason: String| Error::Definition { location, reason };
        let whole = || Location { file: file.shown.clone(), line: None, column: None };
        let text = std::str::from_utf8(&file.bytes).map_err(|error| invalid(whole(), error.to_string()))?;
        let mut buildpack: Self = parse(text, &file.shown)?;
        buildpack.advice.extend(advice::shared(definitions)?);
        buildpack.check(language).map_err(|reason| invalid(whole(), reason))?;
        Ok((buildpack, file.shown.clone()))
    }

    /// What the types cannot say.
    fn check(&self, language: &str) -> Result<(), String> {
        if self.id != language {
            return Err(format!("`id` is `{}`, but the folder is `{language}`", self.id));
        }
        for check in &self.checks {
            if super::error::check_id(&check.id).is_none() {
                return Err(format!("`{}` is no id of a check; an own one is `buildpack/check`", check.id));
            }
        }
        if let Some(id) = self.advice.iter().find_map(Advice::unknown_id) {
            return Err(format!("`{id}` is no id of an advice; without one it is `build/step`"));
        }
        for tool in &self.tools {
            if tool.source.is_some() != tool.sources.is_empty() {
                return Err(format!("the tool `{}` needs either `source` or `sources`", tool.name));
            }
        }
        for toolchain in &self.toolchains {
            if !self.tools.iter().any(|tool| tool.name == toolchain.tool) {
                return Err(format!("a toolchain names the tool `{}`, which is not there", toolchain.tool));
            }
        }
        needs::check_rules(&self.id, &self.steps)?;
        needs::check_layer_rules(&self.layers)?;
        for start in &self.starts {
            if start.script.is_some() != start.argv.is_empty() {
                return Err("each `start` needs either `script` or `argv`".to_owned());
            }
        }
        Ok(())
    }
}

/// Reads a definition that people find at `shown`; an error names the place.
pub(super) fn parse<T: DeserializeOwned>(text: &str, shown: &str) -> Result<T, Error> {
    toml::from_str(text).map_err(|error| {
        let (line, column) = error.span().map_or((None, None), |span| {
            let before = &text[..span.start.min(text.len())];
            let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
            let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
            (Some(line), Some(column))
        });
        let location = Location { file: shown.to_owned(), line, column };
        Error::Definition { location, reason: error.message().trim().replace('\n', ", ") }
    })
}

/// The ids of all buildpacks.
fn known(definitions: &Definitions) -> Vec<String> {
    definitions
        .below("buildpacks", "/buildpack.toml")
        .filter_map(|file| file.path.split('/').nth(1).map(str::to_owned))
        .collect()
}
