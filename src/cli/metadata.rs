//! `--metadata-file`: what was made, as JSON for scripts.
//!
//! docs/publishing.md describes the document for people. Its keys stay as they are; new ones may come.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

use clap::Args;
use rustix::fs::Access;
use serde::Serialize;

use super::{Failure, boxed};
use crate::oci::image::{Descriptor, ImageConfig};
use crate::oci::{Digest, Reference, to_canonical_json};
use crate::package::{Image, LayerDescriptor, Product};
use crate::pipeline::{Error, Session};
use crate::publish::Destination;
use crate::source::Source;
use crate::store::Store;
use crate::ui::{Kind, Record, Reporter, Span};

/// Where to write what was made.
#[derive(Args, Debug)]
pub(super) struct MetadataArguments {
    /// Write digests, sizes, tags, outputs and times to FILE, as JSON
    #[arg(long, value_name = "FILE")]
    metadata_file: Option<PathBuf>,
}

/// Where an image went.
#[derive(Debug, Serialize)]
struct Output {
    destination: String,
    digest: Digest,
    /// The reference with the digest, of what can be pulled.
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<String>,
}

/// The document.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Metadata<'a> {
    digest: Digest,
    media_type: &'a str,
    size: u64,
    tags: Vec<String>,
    /// None for what is copied, which may be no image.
    #[serde(skip_serializing_if = "Option::is_none")]
    images: Option<Vec<Made<'a>>>,
    outputs: Vec<Output>,
    /// None for what is copied.
    #[serde(skip_serializing_if = "Option::is_none")]
    unchanged: Option<bool>,
    timings: Vec<Timing>,
    rpack: &'static str,
    /// As `docker buildx build --metadata-file` calls them.
    #[serde(rename = "containerimage.digest")]
    buildx_digest: Digest,
    #[serde(rename = "containerimage.config.digest", skip_serializing_if = "Option::is_none")]
    buildx_config: Option<Digest>,
    #[serde(rename = "image.name")]
    buildx_name: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Made<'a> {
    platform: String,
    manifest: Blob<'a>,
    config: Blob<'a>,
    layers: Vec<Layer<'a>>,
    /// Of config and layers, as a registry stores them.
    size: u64,
    start_command: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Blob<'a> {
    digest: Digest,
    media_type: &'a str,
    size: u64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Layer<'a> {
    id: &'a str,
    diff_id: Digest,
    #[serde(flatten)]
    blob: Blob<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uncompressed_size: Option<u64>,
}

#[derive(Debug, Serialize)]
struct Timing {
    stage: String,
    milliseconds: f64,
    /// The stage that it is a part of.
    #[serde(skip_serializing_if = "Option::is_none")]
    within: Option<String>,
}

impl MetadataArguments {
    /// Sees whether the file can be written, before any work. Nothing is written yet: the folder may be the source.
    pub(super) fn check(&self) -> Result<(), Error> {
        let Some(file) = &self.metadata_file else { return Ok(()) };
        let failed = |source: io::Error| boxed(Failure::Write { path: file.clone(), source });
        if file.is_dir() {
            return Err(failed(io::ErrorKind::IsADirectory.into()));
        }
        let folder = folder(file);
        fs::metadata(folder)
            .and_then(|found| if found.is_dir() { Ok(()) } else { Err(io::ErrorKind::NotADirectory.into()) })
            .and_then(|()| Ok(rustix::fs::access(folder, Access::WRITE_OK | Access::EXEC_OK)?))
            .map_err(failed)
    }

    /// Warns when the file is a part of the source, and every image another one for it.
    pub(super) fn look_for(&self, source: &Source, reporter: &Reporter) {
        if let Some(file) = &self.metadata_file {
            super::timings::warn_of("metadata/in-source", file, source, reporter);
        }
    }

    /// Writes the file as a whole.
    pub(super) fn write<'a>(&self, metadata: impl FnOnce() -> Metadata<'a>) -> Result<(), Error> {
        let Some(file) = &self.metadata_file else { return Ok(()) };
        let mut bytes = to_canonical_json(&metadata()).expect("the document has texts as keys");
        bytes.push(b'\n');
        let written = || {
            // As any file that a shell makes: readable, as far as the umask allows.
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o666);
            let mut temporary = tempfile::Builder::new().permissions(mode).tempfile_in(folder(file))?;
            temporary.write_all(&bytes)?;
            temporary.persist(file)?;
            Ok(())
        };
        written().map_err(|source: io::Error| boxed(Failure::Write { path: file.clone(), source }))
    }
}

fn folder(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

impl<'a> Metadata<'a> {
    /// Of a build. `pushed` are the references that it was pushed under.
    pub(super) fn of_build(
        product: &'a Product,
        (tags, pushed): (&[Reference], &[Reference]),
        outputs: &[Destination],
        unchanged: bool,
        session: &Session,
    ) -> Self {
        let pushed = pushed.iter().cloned().map(Destination::Registry);
        let everywhere: Vec<Destination> = outputs.iter().cloned().chain(pushed).collect();
        let config = match &product.images[..] {
            [image] if !product.is_index() => Some(image.config.digest),
            _ => None,
        };
        Self {
            images: Some(product.images.iter().map(|image| Made::of(image, &session.store)).collect()),
            unchanged: Some(unchanged),
            buildx_config: config,
            ..Self::of(&product.root, tags, &everywhere, &session.reporter)
        }
    }

    /// Of whatever `root` is.
    pub(super) fn of(
        root: &'a Descriptor,
        tags: &[Reference],
        outputs: &[Destination],
        reporter: &Reporter,
    ) -> Self {
        let digest = root.digest;
        let output = |destination: &Destination| Output {
            destination: destination.to_string(),
            digest,
            reference: match destination {
                Destination::Registry(reference) => Some(format!("{}@{digest}", reference.familiar())),
                _ => None,
            },
        };
        Self {
            digest,
            media_type: &root.media_type,
            size: root.size,
            tags: tags.iter().map(Reference::familiar).collect(),
            images: None,
            outputs: outputs.iter().filter(|output| **output != Destination::Store).map(output).collect(),
            unchanged: None,
            timings: timings(&reporter.timeline().record()),
            rpack: env!("CARGO_PKG_VERSION"),
            buildx_digest: digest,
            buildx_config: None,
            buildx_name: tags.iter().map(Reference::full).collect::<Vec<_>>().join(","),
        }
    }
}

impl<'a> Made<'a> {
    fn of(image: &'a Image, store: &Store) -> Self {
        let layers = image.layers.iter().map(Layer::of).collect();
        let size = image.layers.iter().map(|layer| layer.size).sum::<u64>() + image.config.size;
        Self {
            platform: image.platform.to_string(),
            manifest: Blob::of(&image.manifest),
            config: Blob::of(&image.config),
            layers,
            size,
            start_command: start_command(&image.config.digest, store).unwrap_or_default(),
        }
    }
}

impl<'a> Blob<'a> {
    fn of(found: &'a Descriptor) -> Self {
        Self { digest: found.digest, media_type: &found.media_type, size: found.size }
    }
}

impl<'a> Layer<'a> {
    fn of(layer: &'a LayerDescriptor) -> Self {
        Self {
            id: &layer.id,
            diff_id: layer.diff_id,
            blob: Blob { digest: layer.digest, media_type: &layer.media_type, size: layer.size },
            uncompressed_size: layer.uncompressed_size,
        }
    }
}

/// What a container of it runs: the entrypoint, and the arguments after it.
fn start_command(config: &Digest, store: &Store) -> Option<Vec<String>> {
    let config: ImageConfig = serde_json::from_slice(&fs::read(store.blob(config)?).ok()?).ok()?;
    let parts = [config.config.entrypoint, config.config.cmd];
    Some(parts.into_iter().flatten().flatten().collect())
}

/// The stages that have ended, in the order in which they began.
fn timings(record: &Record) -> Vec<Timing> {
    let timing = |span: &Span| Timing {
        stage: span.label.clone(),
        milliseconds: milliseconds(span.end.saturating_sub(span.start)),
        within: span.parent.map(|parent| record.spans[parent].label.clone()),
    };
    let ended = record.spans.iter().filter(|span| span.kind == Kind::Stage && span.finished);
    ended.map(timing).collect()
}

/// To the thousandth.
fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}
