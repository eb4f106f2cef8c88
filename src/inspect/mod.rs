//! Looking at finished images: what one holds ([`inspect()`]), and how two differ ([`diff()`]).
//!
//! In: images as [`publish::locate`] finds them, anybody's. Out: documents of types, and the same for people; `cli`
//! only prints them. Nothing is shown that an image does not say or hold.
//!
//! ```text
//! contents   layers opened from the bottom up: files, sizes, who brought which package
//! packages   what package managers of languages left in the files
//! programs   what programs say of what was compiled into them
//! report     the document of one image, and text the same for people
//! diff/      two images: settings, packages, files, sizes
//! ```
//!
//! Images are hostile input: layers are opened by [`crate::oci::unpack`] with its limits, documents are capped, and
//! control characters do not reach a terminal.

mod contents;
pub mod diff;
mod packages;
mod programs;
pub mod report;
mod text;

pub use diff::{Difference, diff};
pub use report::Report;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::oci::Digest;
use crate::oci::image::{BASE_DIGEST, BASE_NAME, Descriptor, History, ImageConfig, MAX_DOCUMENT, Manifest};
use crate::oci::layout::read_capped;
use crate::package::{Image, LayerDescriptor, MADE_BY};
use crate::plan::model::{PROCESSES, Process};
use crate::plan::provenance::{self, VERSIONS};
use crate::publish::{self, Error, Found, Tools};
use crate::rebase;
use crate::rootfs;
use crate::store;
use report::{Base, Details, Layer, Member, Referrer, Size, Start};

/// Settings of a config that are shown by name; others are shown as they are.
const SETTINGS: [&str; 8] =
    ["User", "ExposedPorts", "Env", "Entrypoint", "Cmd", "WorkingDir", "Labels", "StopSignal"];

/// Which image of an index is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Choice<'a> {
    /// The platform that was asked for: `linux/arm64`.
    pub platform: Option<&'a str>,
    /// That of this machine, which is taken otherwise; the first of an index that has none for it.
    pub machine: &'a str,
}

/// Looks at the image that `name` names in the words of [`publish::find`].
///
/// # Errors
/// When there is none, when it is for other platforms than was asked for, or when it cannot be read.
pub fn inspect(name: &str, choice: Choice<'_>, tools: &Tools<'_>) -> Result<Report, Error> {
    let found = publish::locate(name, tools)?;
    let entries = found.entries()?;
    let image = choose(&found, &entries, name, choice)?;
    found.fetch_some(image.layers.iter())?;
    let details = details(&image, tools)?;
    let member = |entry: &Descriptor| {
        let stated = entry.platform.as_ref().map(ToString::to_string);
        let shown = entry.digest == image.manifest.digest;
        let platform = stated.or_else(|| shown.then(|| details.platform.clone())).unwrap_or_default();
        Member { platform, digest: entry.digest, shown }
    };
    Ok(Report {
        image: name.to_owned(),
        name: found.reference().map(|reference| reference.familiar()),
        digest: found.root().digest,
        media_type: found.root().media_type.clone(),
        platforms: entries.iter().map(member).collect(),
        referrers: referrers(&found, &image, tools),
        details,
    })
}

/// The image that `name` names in the words of [`publish::find`], with its layers in the store.
///
/// # Errors
/// As [`inspect()`].
pub fn find(name: &str, choice: Choice<'_>, tools: &Tools<'_>) -> Result<Image, Error> {
    let found = publish::locate(name, tools)?;
    let image = choose(&found, &found.entries()?, name, choice)?;
    found.fetch_some(image.layers.iter())?;
    Ok(image)
}

/// The image to look at. Its layers need not be in the store.
fn choose(found: &Found<'_>, entries: &[Descriptor], name: &str, choice: Choice<'_>) -> Result<Image, Error> {
    match (found.choose(entries, name, choice.platform.unwrap_or(choice.machine)), entries.first()) {
        (Err(Error::OtherPlatform { .. }), Some(first)) if choice.platform.is_none() => found.read(first),
        (chosen, _) => chosen,
    }
}

fn details(image: &Image, tools: &Tools<'_>) -> Result<Details, Error> {
    let store = tools.store;
    let config: ImageConfig = publish::config(image, store)?;
    let document: Value = publish::config(image, store)?;
    let manifest = manifest(image, tools)?;
    let task = tools.reporter.task("read layers");
    let mut opened = contents::open(&image.layers, |layer| publish::layer(layer, store).map(Some))?;
    task.done(&crate::ui::columns::count(image.layers.len(), "layer", "layers"));
    let labels = config.config.labels.clone();
    let layers = std::mem::take(&mut opened.layers).into_iter().zip(named(image, &config));
    let layers: Vec<Layer> =
        layers.map(|(contents, named)| Layer { contents, ..layer(named.layer, named.history) }).collect();
    let compressed = image.layers.iter().map(|layer| layer.size).sum();
    let size = Size { compressed, files: contents::bytes(&opened.tree) };
    let processes = labels.get(PROCESSES);
    let processes: Option<BTreeMap<String, Process>> =
        processes.and_then(|text| serde_json::from_str(text).ok());
    let mut annotations = manifest.annotations;
    annotations.retain(|key, value| labels.get(key) != Some(value));
    Ok(Details {
        platform: image.platform.to_string(),
        manifest: image.manifest.digest,
        config: image.config.digest,
        created: config.created.clone(),
        size,
        start: start(&config),
        processes: processes.unwrap_or_default(),
        versions: labels.get(VERSIONS).map(|text| provenance::read(text)).unwrap_or_default(),
        base: Base {
            release: rootfs::image::release(&opened.tree)?,
            composed: rebase::base(&labels),
            name: labels.get(BASE_NAME).cloned(),
            digest: labels.get(BASE_DIGEST).cloned(),
        },
        layers,
        packages: packages::all(&opened)?,
        labels,
        annotations,
        other: other(&document),
    })
}

/// The manifest, which was checked when it came to the store.
fn manifest(image: &Image, tools: &Tools<'_>) -> Result<Manifest, Error> {
    let path = tools.store.blob_path(&image.manifest.digest);
    let bytes = read_capped(&path, MAX_DOCUMENT).map_err(store::Error::io("read", &path))?;
    serde_json::from_slice(&bytes).map_err(|error| Error::Unreadable {
        what: "manifest",
        digest: image.manifest.digest,
        reason: error.to_string(),
    })
}

fn start(config: &ImageConfig) -> Start {
    let config = &config.config;
    Start {
        entrypoint: config.entrypoint.clone().unwrap_or_default(),
        arguments: config.cmd.clone().unwrap_or_default(),
        user: config.user.clone(),
        working_directory: config.working_dir.clone(),
        environment: config.env.clone(),
        ports: config.exposed_ports.keys().cloned().collect(),
        stop_signal: config.stop_signal.clone(),
    }
}

/// What a config sets besides what is shown by name. What is empty says nothing.
fn other(document: &Value) -> BTreeMap<String, Value> {
    let settings = document.get("config").and_then(Value::as_object).into_iter().flatten();
    let others = settings.filter(|(name, value)| !SETTINGS.contains(&name.as_str()) && is_said(value));
    let author = document.get("author").filter(|value| is_said(value));
    let author = author.map(|value| ("author".to_owned(), value.clone()));
    others.map(|(name, value)| (name.clone(), value.clone())).chain(author).collect()
}

/// Whether a setting says anything: tools write what is not set in many ways.
fn is_said(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(said) => *said,
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Object(table) => !table.is_empty(),
        Value::Number(_) => true,
    }
}

/// A layer with what the history says of it.
struct Named<'a> {
    layer: &'a LayerDescriptor,
    history: Option<&'a History>,
}

impl Named<'_> {
    /// The id that rpack gave it.
    fn id(&self) -> Option<&str> {
        self.history?.created_by.strip_prefix(MADE_BY)
    }
}

/// The layers of an image. A history that does not fit them is not believed.
fn named<'a>(image: &'a Image, config: &'a ImageConfig) -> Vec<Named<'a>> {
    let history: Vec<&History> = config.history.iter().filter(|entry| !entry.empty_layer).collect();
    let fits = history.len() == image.layers.len();
    let layers = image.layers.iter().enumerate();
    layers.map(|(at, layer)| Named { layer, history: history.get(at).copied().filter(|_| fits) }).collect()
}

fn layer(layer: &LayerDescriptor, history: Option<&History>) -> Layer {
    Layer {
        id: Named { layer, history }.id().map(str::to_owned),
        created_by: history.map(|entry| entry.created_by.clone()).unwrap_or_default(),
        comment: history.map(|entry| entry.comment.clone()).unwrap_or_default(),
        media_type: layer.media_type.clone(),
        digest: layer.digest,
        diff_id: layer.diff_id,
        size: layer.size,
        contents: report::Contents::default(),
    }
}

/// What refers to the image and to its index, as its registry says. One that refuses that has given the image all the same.
fn referrers(found: &Found<'_>, image: &Image, tools: &Tools<'_>) -> Option<Vec<Referrer>> {
    let repository = found.repository()?;
    let mut subjects: Vec<Digest> = vec![found.root().digest];
    subjects.extend((image.manifest.digest != found.root().digest).then_some(image.manifest.digest));
    let mut all = Vec::new();
    for subject in subjects {
        match tools.registry.referrers(repository, subject, None) {
            Ok(list) => all.extend(list.into_iter().map(|entry| Referrer {
                subject,
                digest: entry.digest,
                artifact_type: entry.artifact_type,
                size: entry.size,
                annotations: entry.annotations,
            })),
            Err(error) => {
                let text = format!("what refers to the image is not shown: {error}");
                tools.reporter.warn("inspect/referrers", &text, None);
                return None;
            }
        }
    }
    Some(all)
}
