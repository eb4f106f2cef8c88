//! Archives that no registry lists: `toolchains/ID.toml` says which versions there are, where they are and what
//! their digests are. The format is described for people in `docs/toolchains.md`.
//!
//! A version that the file does not list can be had exactly when the file names an index of digests: that index is
//! trusted as it is found, over https, and what it says is from then on part of the plan.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Ecosystem, Integrity, text};
use crate::http::{Algorithm, Protection, shown};
use crate::plan::catalogue::Release;
use crate::rootfs::{Context, Error};
use crate::store::tree::is_clean;

/// A file of `toolchains/`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct List {
    /// The file's name.
    id: String,
    /// The address that paths are below.
    root: String,
    /// The path, with `{version}` and `{platform}`.
    path: String,
    /// The path of a list of digests (`DIGITS  FILE`) for versions that are not listed.
    digests: Option<String>,
    /// What `{platform}` stands for, by platform.
    platforms: BTreeMap<String, String>,
    #[serde(default, rename = "release")]
    releases: Vec<Listed>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Listed {
    version: String,
    /// Where this one has another path.
    path: Option<String>,
    #[serde(default)]
    sha256: BTreeMap<String, String>,
    #[serde(default)]
    sha512: BTreeMap<String, String>,
}

impl List {
    fn load(context: &Context, id: &str) -> Result<Self, Error> {
        let path = format!("toolchains/{id}.toml");
        let Some(file) = context.definitions.get(&path) else {
            return Err(Error::RegistryUnknown {
                ecosystem: Ecosystem::Archive,
                name: id.to_owned(),
                registry: "toolchains/".to_owned(),
            });
        };
        let wrong = |reason: String| Error::Definition { file: file.shown.clone(), reason };
        let text = std::str::from_utf8(&file.bytes).map_err(|error| wrong(error.to_string()))?;
        let list: Self = toml::from_str(text).map_err(|error| wrong(error.to_string()))?;
        list.check(id).map_err(wrong)?;
        Ok(list)
    }

    fn check(&self, id: &str) -> Result<(), String> {
        if self.id != id {
            return Err(format!("`id` is `{}`, but the file is `{id}.toml`", self.id));
        }
        for release in &self.releases {
            let digests = [(Algorithm::Sha256, &release.sha256), (Algorithm::Sha512, &release.sha512)];
            for (algorithm, digests) in digests {
                for (platform, digits) in digests {
                    if !self.platforms.contains_key(platform) {
                        return Err(format!(
                            "release {}: `{platform}` is not among `platforms`",
                            release.version
                        ));
                    }
                    if Integrity::from_hex(algorithm, digits).is_none() {
                        let name = algorithm.name();
                        return Err(format!("release {}: `{digits}` is no {name} digest", release.version));
                    }
                }
            }
        }
        Ok(())
    }

    fn filled(&self, template: &str, version: &str, platform: &str) -> String {
        let name = self.platforms.get(platform).map_or("", String::as_str);
        template.replace("{version}", version).replace("{platform}", name)
    }

    /// The release, when the file has a digest of it for the platform.
    fn release(&self, listed: &Listed, platform: &str) -> Option<Release> {
        let of = |algorithm, digests: &BTreeMap<String, String>| {
            Integrity::from_hex(algorithm, digests.get(platform)?)
        };
        let integrity =
            of(Algorithm::Sha512, &listed.sha512).or_else(|| of(Algorithm::Sha256, &listed.sha256))?;
        let path = self.filled(listed.path.as_ref().unwrap_or(&self.path), &listed.version, platform);
        Some(Release {
            version: listed.version.clone(),
            path: format!("{}/{path}", self.id),
            integrity: Some(integrity.text()),
        })
    }

    /// The address of the archives: a mirror has those of all lists, each below its id.
    fn address(&self, context: &Context) -> String {
        let mirror = context.endpoints.find(Ecosystem::Archive.name()).ok();
        let root = mirror.map_or_else(
            || self.root.clone(),
            |mirror| format!("{}/{}", mirror.url.trim_end_matches('/'), self.id),
        );
        root.trim_end_matches('/').to_owned()
    }
}

/// The releases that the file lists for the platform.
pub(super) fn releases(context: &Context, id: &str, platform: &str) -> Result<Vec<Release>, Error> {
    let list = List::load(context, id)?;
    Ok(list.releases.iter().filter_map(|listed| list.release(listed, platform)).collect())
}

/// A listed release, or one that the index of digests has.
pub(super) fn exact(
    context: &Context,
    id: &str,
    platform: &str,
    version: &str,
) -> Result<Option<Release>, Error> {
    let list = List::load(context, id)?;
    if let Some(listed) = list.releases.iter().find(|listed| listed.version == version) {
        return Ok(list.release(listed, platform));
    }
    let (Some(digests), true) = (&list.digests, list.platforms.contains_key(platform)) else {
        return Ok(None);
    };
    if !version.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+' | '_')) {
        return Ok(None);
    }
    let path = list.filled(&list.path, version, platform);
    let url = format!("{}/{}", list.address(context), list.filled(digests, version, platform));
    let Some(index) = text(context, &url, Protection::Transport)? else { return Ok(None) };
    let index = String::from_utf8_lossy(&index);
    let wrong =
        |reason: String| Error::RegistryAnswer { ecosystem: Ecosystem::Archive, url: shown(&url), reason };
    let name = path.rsplit('/').next().unwrap_or_default();
    let line = index.lines().find(|line| {
        line.split_once(char::is_whitespace)
            .is_some_and(|(_, file)| file.trim().trim_start_matches('*') == name)
    });
    let digits = line.ok_or_else(|| wrong(format!("it does not name `{name}`")))?;
    let integrity = [Algorithm::Sha512, Algorithm::Sha256]
        .into_iter()
        .find_map(|algorithm| Integrity::from_hex(algorithm, digits))
        .ok_or_else(|| wrong(format!("`{digits}` holds no sha256 or sha512 digest")))?;
    Ok(Some(Release {
        version: version.to_owned(),
        path: format!("{id}/{path}"),
        integrity: Some(integrity.text()),
    }))
}

/// The address of `ID/PATH`.
pub(super) fn address(context: &Context, path: &str) -> Result<String, Error> {
    let (id, rest) = path.split_once('/').filter(|_| is_clean(path)).unwrap_or((path, ""));
    Ok(format!("{}/{rest}", List::load(context, id)?.address(context)))
}
