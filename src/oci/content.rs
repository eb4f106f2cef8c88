//! An image, or an index of several, with everything it consists of.

use serde::{Deserialize, Serialize};

use super::image::{DOCKER_INDEX, DOCKER_MANIFEST, Descriptor, INDEX, Index, MANIFEST};

/// How deep indexes may lie in each other.
const DEPTH: usize = 3;

/// What has to be at a place for an image to be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// What tags name: the manifest of an image, or an index.
    pub root: Descriptor,
    /// The manifests that an index names, each before what names it.
    pub manifests: Vec<Descriptor>,
    /// Configs and layers: the config of an image before its layers.
    pub blobs: Vec<Descriptor>,
}

/// The parts of a manifest that matter here; an artifact's has the same.
#[derive(Serialize, Deserialize)]
struct Parts {
    config: Descriptor,
    #[serde(default)]
    layers: Vec<Descriptor>,
}

impl Content {
    /// Follows `root`, whose documents `read` returns.
    ///
    /// # Errors
    /// Those of `read`, and what `refuse` makes of a document that is none.
    pub fn follow<E>(
        root: &Descriptor,
        read: &dyn Fn(&Descriptor) -> Result<Vec<u8>, E>,
        refuse: &dyn Fn(&Descriptor, String) -> E,
    ) -> Result<Self, E> {
        let mut content = Self { root: root.clone(), manifests: Vec::new(), blobs: Vec::new() };
        content.add(root, DEPTH, read, refuse)?;
        content.manifests.pop();
        Ok(content)
    }

    fn add<E>(
        &mut self,
        document: &Descriptor,
        depth: usize,
        read: &dyn Fn(&Descriptor) -> Result<Vec<u8>, E>,
        refuse: &dyn Fn(&Descriptor, String) -> E,
    ) -> Result<(), E> {
        let bytes = read(document)?;
        let wrong = |error: serde_json::Error| refuse(document, error.to_string());
        match &*document.media_type {
            INDEX | DOCKER_INDEX if depth > 0 => {
                let index: Index = serde_json::from_slice(&bytes).map_err(wrong)?;
                for part in &index.manifests {
                    self.add(part, depth - 1, read, refuse)?;
                }
            }
            MANIFEST | DOCKER_MANIFEST => {
                let parts: Parts = serde_json::from_slice(&bytes).map_err(wrong)?;
                self.blobs.push(parts.config);
                self.blobs.extend(parts.layers);
            }
            other => return Err(refuse(document, format!("its media type is `{other}`"))),
        }
        self.manifests.push(document.clone());
        Ok(())
    }

    /// Whether it is an index.
    pub fn is_index(&self) -> bool {
        is_index(&self.root.media_type)
    }

    /// All blobs and documents, the root last.
    pub fn all(&self) -> impl Iterator<Item = &Descriptor> {
        self.blobs.iter().chain(&self.manifests).chain([&self.root])
    }

    /// The media types of its configs and layers.
    pub fn media_types(&self) -> Vec<&str> {
        self.blobs.iter().map(|blob| blob.media_type.as_str()).collect()
    }
}

/// Whether it is the media type of an index.
pub fn is_index(media_type: &str) -> bool {
    matches!(media_type, INDEX | DOCKER_INDEX)
}

/// Whether it is the media type of a manifest or an index: a registry serves those apart from blobs.
pub fn is_document(media_type: &str) -> bool {
    is_index(media_type) || matches!(media_type, MANIFEST | DOCKER_MANIFEST)
}
