//! The storage that podman, buildah, skopeo and CRI-O share, through `podman`, or `skopeo` where that is all there is.
//!
//! Both skip layers that are there already. A name without a host belongs to this machine (`localhost/app`), as podman
//! names what it builds.

use std::path::Path;

use tempfile::TempPath;

use super::super::archive::{Archived, stream};
use super::super::destination::Names;
use super::super::layout::{Layout, Transfer};
use super::super::{Error as PublishError, Tools};
use super::error::{Error, Way};
use super::program::Call;
use super::{Engine, listed, name};
use crate::oci::image::{Descriptor, Index, MAX_DOCUMENT, Platform};
use crate::oci::layout::read_capped;
use crate::oci::unpack::Limits;
use crate::oci::{Content, Reference};
use crate::store::{self, Store};

/// The tag in the layout that skopeo reads.
const TAG: &str = "image";

/// The name of the file that skopeo writes.
const FILE: &str = "image.tar";

fn podman<'a>(arguments: &'a [&'a str], way: Way) -> Call<'a> {
    Call { engine: Engine::Containers, way, program: "podman", arguments, directory: Path::new("/") }
}

/// Puts `content` into the storage; see [`super::put`].
pub(super) fn put(
    content: &Content,
    references: &[Reference],
    tools: &Tools<'_>,
) -> Result<String, PublishError> {
    let own = own(content, tools.store)?;
    let names: Vec<Names> = references.iter().map(Names::in_containers_storage).collect();
    match load(&own, &names, tools.store) {
        Err(PublishError::Engine(Error::Missing { .. })) => copy_in(&own, &names, tools.store)?,
        loaded => loaded?,
    }
    let names: Vec<String> = names.into_iter().map(|names| names.tag).collect();
    Ok(format!("{}  {}", own.root.digest, names.join(", ")))
}

/// The image for this machine, of an index.
fn own(content: &Content, store: &Store) -> Result<Content, PublishError> {
    if !content.is_index() {
        return Ok(content.clone());
    }
    let read = |document: &Descriptor| -> Result<Vec<u8>, PublishError> {
        let path = store.blob_path(&document.digest);
        Ok(read_capped(&path, MAX_DOCUMENT).map_err(store::Error::io("read", &path))?)
    };
    let refuse = |document: &Descriptor, reason: String| PublishError::Unreadable {
        what: "manifest",
        digest: document.digest,
        reason,
    };
    let index: Index = serde_json::from_slice(&read(&content.root)?)
        .map_err(|error| refuse(&content.root, error.to_string()))?;
    let machine = Platform::machine();
    let fits = |part: &&Descriptor| {
        part.platform.as_ref().is_some_and(|found| {
            Platform::parse(machine)
                .is_some_and(|wanted| (&found.os, &found.architecture) == (&wanted.os, &wanted.architecture))
        })
    };
    let Some(part) = index.manifests.iter().find(fits) else {
        let platforms = index.manifests.iter().filter_map(|part| part.platform.as_ref());
        return Err(PublishError::OtherPlatform {
            name: content.root.digest.to_string(),
            platform: machine.to_owned(),
            available: platforms.map(ToString::to_string).collect(),
        });
    };
    Content::follow(part, &read, &refuse)
}

/// Through podman, under the first name; an archive with several would not be read as the OCI image that it is.
fn load(content: &Content, names: &[Names], store: &Store) -> Result<(), PublishError> {
    let failed = |source| Error::Pipe { source }.into();
    let archived = Archived::whole(content, names.get(..1).unwrap_or_default());
    podman(&["load", "--quiet"], Way::In).feed(&mut |stdin| stream(&archived, stdin, &failed, store))?;
    let names: Vec<&str> = ["tag"].into_iter().chain(names.iter().map(|names| &*names.tag)).collect();
    if names.len() > 2 {
        podman(&names, Way::In).run()?;
    }
    Ok(())
}

/// Through skopeo, from a layout that is made of links to the store's blobs.
fn copy_in(content: &Content, names: &[Names], store: &Store) -> Result<(), PublishError> {
    let folder = store.temporary_folder()?;
    let entry = Names { tag: TAG.to_owned(), full: None, familiar: None };
    Layout::create(folder.path())?.add(content, &entry, Transfer::Link, store)?;
    for names in names {
        let (source, target) = (format!("oci:.:{TAG}"), format!("containers-storage:{}", names.tag));
        skopeo(&source, &target, folder.path(), Way::In)?;
    }
    Ok(())
}

fn skopeo(source: &str, target: &str, directory: &Path, way: Way) -> Result<(), Error> {
    let arguments = ["copy", "--quiet", source, target];
    Call { engine: Engine::Containers, way, program: "skopeo", arguments: &arguments, directory }.run()
}

/// The image that `reference` names as an archive; see [`super::save`].
pub(super) fn save(reference: &Reference, tools: &Tools<'_>) -> Result<TempPath, PublishError> {
    let name = name(reference);
    let exists = match podman(&["image", "exists", &name], Way::Out).ask() {
        Err(Error::Missing { .. }) => return copy_out(reference, tools.store),
        exists => exists?,
    };
    if !exists.is_success {
        let known = podman(&["image", "ls", "--format", "{{.Repository}}:{{.Tag}}"], Way::Out).answer()?;
        let place = Engine::Containers.place().to_owned();
        return Err(PublishError::NotFound { name, place, known: listed(&known) });
    }
    let mut file = tools.store.temporary_file()?;
    let arguments = ["save", "--quiet", "--format", "oci-archive", &name];
    podman(&arguments, Way::Out).save(file.as_file_mut(), Limits::IMAGE.bytes)?;
    Ok(file.into_temp_path())
}

/// Through skopeo, which writes files only.
fn copy_out(reference: &Reference, store: &Store) -> Result<TempPath, PublishError> {
    let folder = store.temporary_folder()?;
    let source = format!("containers-storage:{}", Names::in_containers_storage(reference).tag);
    skopeo(&source, &format!("oci-archive:{FILE}:{TAG}"), folder.path(), Way::Out)?;
    let written = folder.path().join(FILE);
    let file = store.temporary_file()?.into_temp_path();
    std::fs::rename(&written, &file).map_err(store::Error::io("rename", &written))?;
    Ok(file)
}
