//! Maven repositories: the list of versions in `maven-metadata.xml`
//! (<https://maven.apache.org/repositories/metadata.html>), digests in files beside each artifact.

use roxmltree::Document;

use super::listing::{self, Question};
use super::{Ecosystem, Integrity, text};
use crate::http::{Algorithm, Protection, shown};
use crate::plan::catalogue::Release;
use crate::rootfs::{Context, Error};

/// Strongest first.
const SIDECARS: [Algorithm; 3] = [Algorithm::Sha512, Algorithm::Sha256, Algorithm::Sha1];

/// What is looked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Artifact<'a> {
    pub(super) group: &'a str,
    pub(super) name: &'a str,
    pub(super) classifier: Option<&'a str>,
    pub(super) extension: &'a str,
}

impl Artifact<'_> {
    /// One release per version that the metadata lists.
    pub(super) fn releases(&self, context: &Context) -> Result<Vec<Release>, Error> {
        let registry = context.endpoints.find("maven")?.url;
        let registry = registry.trim_end_matches('/');
        let url = format!("{registry}/{}/maven-metadata.xml", self.folder());
        let name = format!("{}:{}", self.group, self.name);
        let question =
            Question { ecosystem: Ecosystem::Maven, name: &name, registry, url: &url, accept: None };
        let versions = listing::ask(context, &question, read)?;
        let release = |version: String| Release { path: self.path(&version), integrity: None, version };
        Ok(versions.into_iter().map(release).collect())
    }

    /// The release with the strongest digest that the repository states.
    pub(super) fn exact(&self, context: &Context, version: &str) -> Result<Option<Release>, Error> {
        let registry = context.endpoints.find("maven")?.url;
        let path = self.path(version);
        for algorithm in SIDECARS {
            let url = format!("{}/{path}.{}", registry.trim_end_matches('/'), algorithm.name());
            let Some(bytes) = text(context, &url, Protection::Transport)? else { continue };
            let found = String::from_utf8_lossy(&bytes);
            let integrity = Integrity::from_hex(algorithm, &found).ok_or_else(|| Error::RegistryAnswer {
                ecosystem: Ecosystem::Maven,
                url: shown(&url),
                reason: format!("it is not a {} digest", algorithm.name()),
            })?;
            return Ok(Some(Release {
                version: version.to_owned(),
                path,
                integrity: Some(integrity.text()),
            }));
        }
        Ok(None)
    }

    fn folder(&self) -> String {
        format!("{}/{}", self.group.replace('.', "/"), self.name)
    }

    fn path(&self, version: &str) -> String {
        let classifier = self.classifier.map(|name| format!("-{name}")).unwrap_or_default();
        format!("{}/{version}/{}-{version}{classifier}.{}", self.folder(), self.name, self.extension)
    }
}

fn read(bytes: &[u8]) -> Result<Vec<String>, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    let document = Document::parse(text).map_err(|error| error.to_string())?;
    let versions = document.descendants().find(|node| node.has_tag_name("versions"));
    let versions = versions.ok_or("it has no list of versions")?;
    let is_version =
        |text: &&str| text.starts_with(|c: char| c.is_ascii_alphanumeric()) && !text.contains(['/', '\\']);
    let found =
        versions.children().filter(|node| node.has_tag_name("version")).filter_map(|node| node.text());
    Ok(found.map(str::trim).filter(is_version).map(str::to_owned).collect())
}
