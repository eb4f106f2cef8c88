//! Images from elsewhere as bases: which are configured, and what may be laid over them.

use super::catalogue::{CatalogueError, ResolvedImage};
use super::platform::{Architecture, Platforms};
use super::{Catalogue, Error, Planner};
use crate::config::{Config, Origin, Resolved};
use crate::ui::Location;

/// The layer that a base image takes the place of.
pub(super) const LAYER: &str = "base";

/// What is configured.
#[derive(Clone, Debug, Default)]
pub(super) struct Bases {
    /// `base.build`
    pub(super) build: Option<ResolvedImage>,
    /// `base.runtime`
    pub(super) runtime: Option<ResolvedImage>,
}

/// Finds the images that are configured: the one that steps see for the build platform, the other for the target.
pub(super) fn resolve(
    config: &Config,
    platforms: &Platforms,
    catalogue: &dyn Catalogue,
) -> Result<Bases, Error> {
    let find = |value: &Option<Resolved<String>>,
                architecture: Architecture|
     -> Result<Option<ResolvedImage>, CatalogueError> {
        let image = |reference: &Resolved<String>| catalogue.image(&reference.value, architecture.platform);
        value.as_ref().map(image).transpose()
    };
    Ok(Bases {
        build: find(&config.base_build, platforms.build)?,
        runtime: find(&config.base_runtime, platforms.target)?,
    })
}

impl Planner<'_> {
    /// Whether packages of the base may be laid over `image`: both are of one release, so there is one libc.
    pub(super) fn is_same_release(&self, image: &ResolvedImage) -> bool {
        image.image.release.as_deref() == Some(self.base.id.as_str())
    }

    /// Packages would have to be laid over an image of another system.
    pub(super) fn other_release(
        &self,
        key: &'static str,
        image: &ResolvedImage,
        packages: Vec<String>,
    ) -> Error {
        let stated = if key == "base.build" { &self.config.base_build } else { &self.config.base_runtime };
        let location = stated.as_ref().and_then(|stated| match &stated.origin {
            Origin::File { path, line, column } => {
                Some(Location { file: path.clone(), line: Some(*line), column: Some(*column) })
            }
            _ => None,
        });
        Error::OtherRelease {
            key,
            image: image.image.reference.clone(),
            found: image.image.release.clone(),
            base: self.base.id.clone(),
            packages,
            location: location.map(Box::new),
        }
    }
}
