//! What an image says of how its lower layers were composed, so that they can be composed again without the source.
//!
//! The label [`LABEL`] holds a [`Recipe`] as JSON. Which packages a layer has is not in it: their records are in the
//! layer (`/var/lib/dpkg/status.d`), where scanners look for them. What is in it changes with the plan alone, never
//! with a version or a digest, so that equal sources give equal labels whatever the archive has.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::oci::{Compression, to_canonical_json};
use crate::package::INIT;
use crate::plan::Plan;
use crate::plan::model::{Contents, Layer, Writable};
use crate::site;

/// The label, and the annotation of the manifest.
pub const LABEL: &str = "rpack.base";

/// How the layers with packages of the base were composed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Recipe {
    /// Id of the base: `debian-13`.
    pub(super) base: String,
    /// The layers that have packages of the base. What else is in them: globs relative to `/`.
    pub(super) layers: BTreeMap<String, Vec<String>>,
    /// Where the app may write besides `/tmp`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) writable: Vec<Place>,
    /// How layers are compressed; not there for gzip.
    #[serde(default, skip_serializing_if = "Compression::is_default")]
    pub(super) compression: Compression,
}

/// A place that the app may write to, as in [`Writable`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Place {
    pub(super) path: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) whole: bool,
}

/// The plan with the label. An image on one from elsewhere has none, nor inherits it.
#[must_use]
pub fn labelled(mut plan: Plan) -> Plan {
    match Recipe::of(&plan) {
        Some(recipe) => {
            let text = to_canonical_json(&recipe).expect("a recipe has texts as keys");
            let text = String::from_utf8(text).expect("JSON is UTF-8");
            plan.image.labels.insert(LABEL.to_owned(), text);
        }
        None => {
            plan.image.labels.remove(LABEL);
        }
    }
    plan
}

/// The id of the base that an image with these labels was composed of, if it says so.
#[must_use]
pub fn base(labels: &BTreeMap<String, String>) -> Option<String> {
    serde_json::from_str::<Recipe>(labels.get(LABEL)?).ok().map(|recipe| recipe.base)
}

impl Recipe {
    /// None for an image on one from elsewhere.
    fn of(plan: &Plan) -> Option<Self> {
        if plan.runtime_root.image.is_some() {
            return None;
        }
        let is_composed = |layer: &&Layer| layer.contents.contains(&Contents::RuntimeRoot {});
        let layers = plan.layers.iter().filter(is_composed);
        let place = |writable: &Writable| Place { path: writable.path.clone(), whole: writable.whole };
        Some(Self {
            base: plan.runtime_root.base.clone(),
            layers: layers.map(|layer| (layer.id.clone(), others(layer, plan))).collect(),
            writable: plan.image.writable.iter().map(place).collect(),
            compression: plan.image.compression,
        })
    }
}

/// Globs of what a layer has besides packages.
fn others(layer: &Layer, plan: &Plan) -> Vec<String> {
    let mut globs = Vec::new();
    for contents in &layer.contents {
        match contents {
            Contents::RuntimeRoot {} => {}
            Contents::Toolchain { name, include } => {
                let tool =
                    plan.toolchains.iter().find(|tool| tool.name == *name && tool.platform == plan.platform);
                let target = globset::escape(tool.map_or("", |tool| &tool.target).trim_matches('/'));
                if include.is_empty() {
                    globs.push(format!("{target}/**"));
                }
                globs.extend(include.iter().map(|glob| format!("{target}/{glob}")));
            }
            Contents::Work { include, .. } => globs.extend(include.iter().cloned()),
            Contents::Init {} => globs.push(INIT.to_owned()),
            Contents::SiteServer {} => globs.push(site::PATH.trim_start_matches('/').to_owned()),
            Contents::Files { files, links } => {
                let paths = files.keys().chain(links.keys());
                globs.extend(paths.map(|path| globset::escape(path.trim_start_matches('/'))));
            }
            Contents::Site(site) => {
                let roots = site.roots.iter().filter(|root| !root.is_empty());
                globs.extend(roots.map(|root| format!("{}/**", globset::escape(root))));
                globs.push("usr/share/rpack/**".to_owned());
            }
        }
    }
    globs.sort();
    globs.dedup();
    globs
}
