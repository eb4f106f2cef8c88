//! Which base both roots are composed from.
//!
//! In: the buildpack's default, `base.name` of the configuration, the bases that release lines of tools name. Out: one
//! id for the whole plan: an image never mixes two libcs. The bases' files are asked for nothing but who they are and
//! when their support ends; what they hold is the catalogue's matter.

use serde::Deserialize;
use serde_json::{Value, json};

use super::buildpack::Tool;
use super::catalogue::Release;
use super::source::{Asked, debian_releases};
use super::version::{self, Line, Offer, Patch, Resolution, Statement, Wanted};
use super::{Error, Planner};
use crate::config::{Config, Origin};
use crate::definitions::Definitions;
use crate::ui::Location;

/// The base of a plan while it is made.
#[derive(Clone, Debug)]
pub(super) struct Base {
    /// Id of the base: the file `bases/ID.toml`.
    pub(super) id: String,
    /// Whether the configuration names it: then no tool moves it.
    pub(super) forced: bool,
    /// The tool that settled it: `Python 3.11.2`.
    settled_by: Option<String>,
}

/// What a base's file says about itself.
#[derive(Debug, Default, Deserialize)]
struct About {
    version: Option<String>,
    codename: Option<String>,
    eol: Option<String>,
    #[serde(default)]
    suites: Vec<toml::Value>,
}

impl Base {
    /// The configured base, else the buildpack's.
    pub(super) fn new(definitions: &Definitions, config: &Config, default: &str) -> Result<Self, Error> {
        let Some(named) = &config.base else {
            return Ok(Self { id: default.to_owned(), forced: false, settled_by: None });
        };
        if about(definitions, &named.value).suites.is_empty() {
            let location = match &named.origin {
                Origin::File { path, line, column } => {
                    Some(Box::new(Location { file: path.clone(), line: Some(*line), column: Some(*column) }))
                }
                _ => None,
            };
            return Err(Error::ConfigValue {
                key: "base.name",
                value: named.value.clone(),
                needed: "there is no such base",
                location,
                hint: format!("the bases are {}", known(definitions).join(", ")),
            });
        }
        Ok(Self { id: named.value.clone(), forced: true, settled_by: None })
    }

    /// Takes note that `tool` (`Python 3.11.2`) comes from `id`.
    pub(super) fn settle(&mut self, id: &str, tool: String) -> Result<(), Error> {
        if let Some(other) = self.settled_by.as_ref().filter(|_| self.id != id) {
            return Err(Error::MixedBases {
                one: other.clone(),
                one_base: self.id.clone(),
                other: tool,
                other_base: id.to_owned(),
            });
        }
        id.clone_into(&mut self.id);
        self.settled_by.get_or_insert(tool);
        Ok(())
    }

    /// What expressions see as `base`.
    pub(super) fn value(&self, definitions: &Definitions) -> Value {
        let about = about(definitions, &self.id);
        json!({ "id": self.id, "version": about.version, "codename": about.codename })
    }
}

impl Planner<'_> {
    /// Says so when the base gets no more security fixes on the day that the buildpack is judged by.
    pub(super) fn note_end_of_base(&mut self, definitions: &Definitions) {
        let eol = about(definitions, &self.base.id).eol.filter(|eol| *eol < self.buildpack.as_of);
        if let Some(eol) = eol {
            let text = format!("base `{}` gets no more security fixes since {eol}", self.base.id);
            self.note("base/end-of-life", text, true);
        }
    }
}

/// A tool from a base, or why there is none with what the bases that were asked offer.
type Found = Result<(Resolution, Asked), (Error, Asked)>;

/// Asks the bases that could have the tool, one after the other: each costs an index, and an old or a new one may
/// not be there at all. The base with the default line is asked first if that line is admitted, then those with
/// newer lines. The base that has it is that of the plan from then on.
pub(super) fn in_bases(
    planner: &mut Planner<'_>,
    tool: &Tool,
    patch: Patch,
    default: &str,
    statements: &[Statement],
) -> Result<Found, Error> {
    let own = planner.base.clone();
    let home = |line: &Line| line.base.clone().unwrap_or_else(|| own.id.clone());
    let default = own_default(&own, tool, default);
    let (platform, as_of) = (planner.platforms.names(), planner.buildpack.as_of.clone());
    let wanted = Wanted {
        title: &tool.title,
        scheme: tool.scheme,
        patch,
        lines: &tool.lines,
        default: &default,
        asked: &own.id,
        mirror: None,
        platform: &platform,
        as_of: &as_of,
        strict: planner.config.strict,
    };
    let lines = version::admitted_lines(&wanted, statements, &tool.lines)?;
    let mut offers = Vec::new();
    let mut refused = None;
    for base in order(&own, &lines, &default) {
        for line in tool.lines.iter().filter(|line| home(line) == base) {
            let Some(package) = &line.package else { continue };
            offers.extend(debian_releases(planner, &base, package)?.into_iter().filter_map(|release| {
                Offer::new(Release { version: version::upstream(&release.version), ..release })
            }));
        }
        let mut notices = Vec::new();
        match version::resolve(&Wanted { asked: &base, ..wanted }, statements, &offers, &mut notices) {
            Ok(found) => {
                planner.base.settle(&base, format!("{} {}", tool.title, found.offer.release.version))?;
                planner.notices.extend(notices);
                return Ok(Ok((found, Asked::base(base, Vec::new()))));
            }
            Err(error @ Error::VersionNotOffered { .. }) => refused.get_or_insert(error),
            Err(error) => return Err(error),
        };
    }
    let mut refused = refused.expect("at least one base was asked");
    if let Error::VersionNotOffered { bases, .. } = &mut refused {
        let named = tool.lines.iter().filter(|line| line.base.is_some());
        bases.lines = named.map(|line| (line.name.clone(), home(line))).collect();
        let elsewhere = || lines.iter().rev().find(|line| line.base.is_some()).copied().map(home);
        bases.elsewhere = own.forced.then(elsewhere).flatten();
    }
    Ok(Err((refused, Asked::base(own.id.clone(), offers))))
}

/// Where the configuration names a base, the default is the newest line that this base has.
fn own_default(own: &Base, tool: &Tool, default: &str) -> String {
    let is_own = |line: &&Line| line.base.as_ref().is_none_or(|base| *base == own.id);
    let named = tool.lines.iter().filter(|_| own.forced).filter(is_own);
    let newest = named.max_by_key(|line| (line.name == default, line.numbers()));
    newest.map_or_else(|| default.to_owned(), |line| line.name.clone())
}

/// The bases in the order in which they are asked.
fn order(own: &Base, lines: &[&Line], default: &str) -> Vec<String> {
    let mut order: Vec<String> = Vec::new();
    let first = lines.iter().filter(|line| line.name == default);
    for line in first.chain(lines.iter().rev()) {
        let base = line.base.as_ref().unwrap_or(&own.id);
        if !order.contains(base) && (!own.forced || *base == own.id) {
            order.push(base.clone());
        }
    }
    if order.is_empty() {
        order.push(own.id.clone());
    }
    order
}

/// A file that cannot be read is the catalogue's to report.
fn about(definitions: &Definitions, id: &str) -> About {
    let file = definitions.get(&format!("bases/{id}.toml"));
    let text = file.and_then(|file| std::str::from_utf8(&file.bytes).ok());
    text.and_then(|text| toml::from_str(text).ok()).unwrap_or_default()
}

fn known(definitions: &Definitions) -> Vec<String> {
    let ids = definitions
        .below("bases", ".toml")
        .filter_map(|file| file.path.strip_prefix("bases/")?.strip_suffix(".toml"));
    ids.filter(|id| !about(definitions, id).suites.is_empty()).map(|id| format!("`{id}`")).collect()
}
