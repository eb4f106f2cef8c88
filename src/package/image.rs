//! An image, or several as one, as the rest of the program handles it: digests of blobs that lie in the store.

use serde::{Deserialize, Serialize};

use crate::oci::image::{Descriptor, Platform};
use crate::oci::{Digest, is_index};

/// An image whose blobs are in the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// What it runs on.
    pub platform: Platform,
    /// The manifest; its digest is the image's digest.
    pub manifest: Descriptor,
    /// The config.
    pub config: Descriptor,
    /// From the bottom up.
    pub layers: Vec<LayerDescriptor>,
}

/// What a tag stands for: one image, or an index of images for several platforms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Product {
    /// The manifest of the only image, or the index.
    pub root: Descriptor,
    /// In the order of the platforms that were asked for; not empty.
    pub images: Vec<Image>,
}

impl Product {
    /// The image for `platform`, in the words of [`Platform::parse`]; a variant is not compared.
    pub fn image(&self, platform: &str) -> Option<&Image> {
        let wanted = Platform::parse(platform)?;
        self.images.iter().find(|image| {
            (&image.platform.os, &image.platform.architecture) == (&wanted.os, &wanted.architecture)
        })
    }

    /// Whether it is an index.
    pub fn is_index(&self) -> bool {
        is_index(&self.root.media_type)
    }
}

impl From<Image> for Product {
    fn from(image: Image) -> Self {
        Self { root: image.manifest.clone(), images: vec![image] }
    }
}

/// A layer of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerDescriptor {
    /// `base`, `runtime`, `dependencies`, `app`; of a foreign image, what its history says made it.
    pub id: String,
    /// How the blob is packed.
    pub media_type: String,
    /// Digest of the blob.
    pub digest: Digest,
    /// Size of the blob in bytes.
    pub size: u64,
    /// Digest before compression.
    pub diff_id: Digest,
    /// Size before compression in bytes; unknown of an image that was read back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uncompressed_size: Option<u64>,
}
