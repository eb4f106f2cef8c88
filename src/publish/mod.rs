//! Publishing: an image of the store goes to where people and tools look for it, and comes back from there.
//!
//! In: an image whose blobs are in the store. Out: the same bytes in the store's own layout, in an OCI layout, in
//! an archive or in a registry. Reading back ([`find`], [`unpack()`]) treats everything outside the store as hostile.

mod archive;
mod destination;
pub mod engine;
mod error;
mod export;
pub mod layout;
mod source;
mod unpack;

pub use destination::Destination;
pub use error::Error;
pub use export::{export, export_to};
pub use source::{Found, find, find_all, list, locate};
pub use unpack::{Unpacked, config, layer, layer_of_paths, layers, unpack};

use std::path::PathBuf;

use crate::oci::image::{BASE_NAME, Descriptor, MANIFEST, Manifest};
use crate::oci::registry::{self, Pushed, Registry, Way};
use crate::oci::{Content, Reference, origin};
use crate::package::{Image, Product};
use crate::store::Store;
use crate::ui::Reporter;
use destination::Names;
use layout::{Layout, Transfer};

/// What images are published and found with.
#[derive(Clone, Copy, Debug)]
pub struct Tools<'a> {
    /// Where they are kept here.
    pub store: &'a Store,
    /// The way to registries.
    pub registry: &'a Registry,
    /// Is told about it.
    pub reporter: &'a Reporter,
}

/// An image of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// `app:latest`.
    pub name: String,
    /// The image, or those of an index.
    pub images: Vec<Image>,
    /// The size of all its blobs in bytes.
    pub size: u64,
}

/// Puts `product` to `destination` under `references`, or under the name that the destination states. All references go to
/// registries and engines; elsewhere the first is the name.
///
/// # Errors
/// When the destination cannot be written or holds something else; what was there stays as it was.
pub fn publish(
    product: &Product,
    destination: &Destination,
    references: &[Reference],
    tools: &Tools<'_>,
) -> Result<(), Error> {
    let content = Content::from(product);
    let open = |part: &Descriptor| file(part, tools);
    destination.holds(&platforms(product), &content.media_types())?;
    // Manifests are read for registries alone.
    let is_far = matches!(destination, Destination::Registry(_));
    let from = if is_far { mounts(&content, tools) } else { Vec::new() };
    if !is_far && *destination != Destination::Store {
        complete(product, tools)?;
    }
    let put = put(&content, destination, references, &open, (&from, true), tools);
    put.map_err(|error| error.loading(destination, references))
}

/// Puts `product` to the registries that `references` name, under all of them.
///
/// # Errors
/// As [`publish`].
pub fn push(product: &Product, references: &[Reference], tools: &Tools<'_>) -> Result<(), Error> {
    let content = Content::from(product);
    let open = |part: &Descriptor| file(part, tools);
    let way =
        Way { open: &open, mounts: &mounts(&content, tools), store: tools.store, reporter: tools.reporter };
    let mut left: Vec<&Reference> = references.iter().collect();
    while let Some(first) = left.first().copied() {
        let is_same = |other: &&Reference| (other.domain(), other.path()) == (first.domain(), first.path());
        let (together, others): (Vec<_>, Vec<_>) = left.into_iter().partition(is_same);
        let task = tools.reporter.task(&pushing(&together));
        task.done(&send(&content, &together, references.first().map(Reference::familiar), &way, tools)?);
        left = others;
    }
    Ok(())
}

/// Brings those layers of base images into the store that `product` has and the store lacks. A build leaves them where they
/// are when it need not look into them.
///
/// # Errors
/// When one cannot be had.
pub fn complete(product: &Product, tools: &Tools<'_>) -> Result<(), Error> {
    let content = Content::from(product);
    origin::fetch(&content.blobs, tools.registry, (tools.store, tools.reporter))
        .map_err(|error| Error::Registry(Box::new(error)))
}

/// A blob or document of the store, or of a base image that has to be fetched for it.
fn file(part: &Descriptor, tools: &Tools<'_>) -> Result<PathBuf, registry::Error> {
    origin::fetch([part], tools.registry, (tools.store, tools.reporter))?;
    Ok(tools.store.blob_path(&part.digest))
}

/// Pushes under references of one repository, and says what that did; `stored` is the image's name in the store.
fn send(
    content: &Content,
    references: &[&Reference],
    stored: Option<String>,
    way: &Way<'_>,
    tools: &Tools<'_>,
) -> Result<String, Error> {
    let pushed = tools.registry.push(content, references, way);
    let pushed = pushed.map_err(|error| Error::push(references[0], stored, error))?;
    Ok(outcome(content, &pushed))
}

/// Puts what was found to `destination` under `references`. What a registry has already is not fetched.
///
/// # Errors
/// When it cannot be read, and as [`publish`].
pub fn copy(
    found: &Found<'_>,
    destination: &Destination,
    references: &[Reference],
    tools: &Tools<'_>,
) -> Result<Content, Error> {
    let content = found.content()?;
    // What an index holds beside images is copied as well, and no form objects to it.
    let platforms = found.product().map(|product| platforms(&product)).unwrap_or_default();
    destination.holds(&platforms, &content.media_types())?;
    if !matches!(destination, Destination::Registry(_)) {
        found.fetch_all(&content)?;
    }
    // A registry checks what it gets.
    let open = |part: &Descriptor| found.file(part).map_err(Error::for_registry);
    let mut from: Vec<Reference> = found.repository().into_iter().cloned().collect();
    from.extend(mounts(&content, tools));
    put(&content, destination, references, &open, (&from, false), tools)?;
    Ok(content)
}

fn platforms(product: &Product) -> Vec<String> {
    product.images.iter().map(|image| image.platform.to_string()).collect()
}

fn put(
    content: &Content,
    destination: &Destination,
    references: &[Reference],
    open: &(dyn Fn(&Descriptor) -> Result<PathBuf, registry::Error> + Sync),
    (from, is_stored): (&[Reference], bool),
    tools: &Tools<'_>,
) -> Result<(), Error> {
    let Some(first) = references.first() else { return Ok(()) };
    let store = tools.store;
    let task = tools.reporter.task(&label(destination, references));
    let digest = content.root.digest.to_string();
    let outcome = match destination {
        Destination::Store => {
            let layout = Layout::create(store.images())?;
            for reference in references {
                layout.add(content, &Names::in_store(reference), Transfer::LinkKnown, store)?;
            }
            digest
        }
        Destination::Layout { directory, tag } => {
            let names = Names::tagged(first, tag.as_deref());
            Layout::create(directory)?.add(content, &names, Transfer::Copy, store)?;
            digest
        }
        Destination::OciArchive { file, tag } => {
            archive::write(content, &Names::tagged(first, tag.as_deref()), file, store)?;
            digest
        }
        Destination::DockerArchive { file, reference } => {
            let names = Names::loaded_as(reference.as_ref().unwrap_or(first));
            archive::write(content, &names, file, store)?;
            digest
        }
        Destination::Engine { engine, reference } => {
            let names = reference.as_ref().map_or(references, std::slice::from_ref);
            engine::put(*engine, content, names, tools)?
        }
        Destination::Registry(reference) => {
            let way = Way { open, mounts: from, store, reporter: tools.reporter };
            let stored = is_stored.then(|| first.familiar());
            send(content, &[reference], stored, &way, tools)?
        }
    };
    task.done(&outcome);
    Ok(())
}

/// What is done, with the names that an image gets, for people.
fn label(destination: &Destination, references: &[Reference]) -> String {
    match destination {
        Destination::Registry(reference) => pushing(&[reference]),
        Destination::Engine { reference: None, .. } => {
            let names: Vec<String> = references.iter().map(Reference::familiar).collect();
            format!("publish to {destination}{}", names.join(", "))
        }
        _ => format!("publish to {destination}"),
    }
}

fn pushing(references: &[&Reference]) -> String {
    let names: Vec<String> = references.iter().map(|reference| reference.familiar()).collect();
    format!("push {}", names.join(", "))
}

/// What a push did, for people.
fn outcome(content: &Content, pushed: &Pushed) -> String {
    let digest = content.root.digest;
    if pushed.is_unchanged {
        return format!("{digest}  it was there");
    }
    let counts = [(pushed.uploaded, "sent"), (pushed.mounted, "mounted"), (pushed.present, "there")];
    let counts = counts.into_iter().filter(|(count, _)| *count > 0);
    let counts: Vec<String> = counts.map(|(count, what)| format!("{count} {what}")).collect();
    format!("{digest}  blobs: {}, {}", counts.join(", "), crate::ui::size(pushed.bytes))
}

/// Repositories that may have some of the blobs: that of the base.
fn mounts(content: &Content, tools: &Tools<'_>) -> Vec<Reference> {
    let manifests = content.manifests.iter().chain([&content.root]);
    let bases = manifests.filter(|manifest| manifest.media_type == MANIFEST).filter_map(|manifest| {
        let bytes = std::fs::read(tools.store.blob_path(&manifest.digest)).ok()?;
        let manifest: Manifest = serde_json::from_slice(&bytes).ok()?;
        manifest.annotations.get(BASE_NAME)?.parse().ok()
    });
    bases.collect()
}

/// Gives `product` its tag among the images of the store, without a word.
///
/// # Errors
/// When the store cannot be written.
pub fn tag(product: &Product, reference: &Reference, store: &Store) -> Result<(), Error> {
    let layout = Layout::create(store.images())?;
    layout.add(&product.into(), &Names::in_store(reference), Transfer::LinkKnown, store)
}

#[cfg(test)]
mod tests;
