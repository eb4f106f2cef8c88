//! Publishing: an image of the store goes to where people and tools look for it, and comes back from there.
//!
//! In: an image whose blobs are in the store. Out: the same bytes in the store's own layout, in an OCI layout or in
//! an archive. Reading back ([`find`], [`unpack()`]) treats everything outside the store as hostile.

mod archive;
mod destination;
mod error;
pub mod layout;
mod source;
mod unpack;

pub use destination::Destination;
pub use error::Error;
pub use source::{find, find_all, list};
pub use unpack::{Unpacked, layer_of_paths, layers, unpack};

use crate::oci::Reference;
use crate::package::{Image, Product};
use crate::store::Store;
use crate::ui::Reporter;
use destination::Names;
use layout::{Layout, Transfer};

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

/// Puts `product` to `destination` under `reference`, or under the name that the destination states.
///
/// # Errors
/// When the destination cannot be written or holds something else; what was there stays as it was.
pub fn publish(
    product: &Product,
    destination: &Destination,
    reference: &Reference,
    store: &Store,
    reporter: &Reporter,
) -> Result<(), Error> {
    let platforms: Vec<String> = product.images.iter().map(|image| image.platform.to_string()).collect();
    let platforms: Vec<&str> = platforms.iter().map(String::as_str).collect();
    let layers: Vec<&str> = product
        .images
        .iter()
        .flat_map(|image| &image.layers)
        .map(|layer| layer.media_type.as_str())
        .collect();
    destination.holds(&platforms, &layers)?;
    let task = reporter.task(&format!("publish to {destination}"));
    match destination {
        Destination::Store => tag(product, reference, store)?,
        Destination::Layout { directory, tag } => {
            let names = Names::tagged(reference, tag.as_deref());
            Layout::create(directory)?.add(product, &names, Transfer::Copy, store)?;
        }
        Destination::OciArchive { file, tag } => {
            archive::write(product, &Names::tagged(reference, tag.as_deref()), file, store)?;
        }
        Destination::DockerArchive { file, reference: other } => {
            let names = Names::loaded_as(other.as_ref().unwrap_or(reference));
            archive::write(product, &names, file, store)?;
        }
    }
    task.done(&product.root.digest.to_string());
    Ok(())
}

/// Gives `product` its tag among the images of the store, without a word.
///
/// # Errors
/// When the store cannot be written.
pub fn tag(product: &Product, reference: &Reference, store: &Store) -> Result<(), Error> {
    let layout = Layout::create(store.images())?;
    layout.add(product, &Names::in_store(reference), Transfer::Link, store)
}

#[cfg(test)]
mod tests;
