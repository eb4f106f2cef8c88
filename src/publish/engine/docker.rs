//! Docker's daemon. With its classic storage `docker load` looks for a layer's chain in the engine before it looks for
//! the layer's file, so the files of layers that some image of the engine has need not be sent
//! (<https://github.com/moby/moby/blob/master/daemon/internal/image/tarexport/load.go>). With containerd's storage all
//! are read.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::Path;

use serde::Deserialize;
use tempfile::TempPath;

use super::super::archive::{Archived, stream};
use super::super::destination::Names;
use super::super::{Error as PublishError, Tools};
use super::error::{Error, Way};
use super::program::Call;
use super::{Engine, listed};
use crate::oci::image::{Descriptor, ImageConfig, LAYER_ZSTD, MAX_DOCUMENT};
use crate::oci::layout::read_capped;
use crate::oci::unpack::Limits;
use crate::oci::{Content, Digest, Reference};
use crate::store::{self, Store};

/// The driver type of engines that keep images in containerd.
const CONTAINERD: &str = "io.containerd.snapshotter.v1";

/// The major version of docker that first reads layers of zstd.
const FIRST_WITH_ZSTD: u32 = 23;

/// How many images are asked about at once: a command line has an end.
const TOGETHER: usize = 200;

/// What `docker info` says, as far as it matters here.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
struct Info {
    driver: String,
    driver_status: Option<Vec<(String, String)>>,
    server_version: String,
    server_errors: Option<Vec<String>>,
}

impl Info {
    /// Whether layers are kept by their chains. A program of another engine by this name states no driver.
    fn is_classic(&self) -> bool {
        let is_containerd = |(key, value): &(String, String)| key == "driver-type" && value == CONTAINERD;
        !self.driver.is_empty() && !self.driver_status.iter().flatten().any(is_containerd)
    }

    /// Whether layers of zstd are read. What states another kind of version may be another engine, and says it itself.
    fn reads_zstd(&self) -> bool {
        let major = self.server_version.split('.').next().and_then(|major| major.parse::<u32>().ok());
        major.is_none_or(|major| major >= FIRST_WITH_ZSTD)
    }
}

fn call<'a>(arguments: &'a [&'a str], way: Way) -> Call<'a> {
    Call { engine: Engine::Docker, way, program: "docker", arguments, directory: Path::new("/") }
}

/// Puts `content` into the engine; see [`super::put`].
pub(super) fn put(
    content: &Content,
    references: &[Reference],
    tools: &Tools<'_>,
) -> Result<String, PublishError> {
    let names: Vec<Names> = references.iter().map(Names::loaded_as).collect();
    let diff_ids = diff_ids(content, tools.store)?;
    let info = info(Way::In)?;
    if content.media_types().contains(&LAYER_ZSTD) && !info.reads_zstd() {
        return Err(Error::Compression { version: info.server_version }.into());
    }
    let present = if info.is_classic() { present(&diff_ids)? } else { 0 };
    let left_out = left_out(content.blobs.get(1..).unwrap_or_default(), present);
    let archived = Archived { content, names: &names, left_out: &left_out };
    match load(&archived, tools.store) {
        Err(PublishError::Engine(Error::Refused { reason, .. })) if !left_out.is_empty() => {
            tools.reporter.info(&format!("all layers are sent, because docker wants them: {reason}"));
            let sent = load(&Archived::whole(content, &names), tools.store)?;
            Ok(outcome(content, 0, sent))
        }
        sent => Ok(outcome(content, present, sent?)),
    }
}

/// What was sent, for people.
fn outcome(content: &Content, present: usize, sent: u64) -> String {
    let layers = content.blobs.len().saturating_sub(1);
    let counts = [(layers - present.min(layers), "sent"), (present, "there")];
    let counts = counts.into_iter().filter(|(count, _)| *count > 0);
    let counts: Vec<String> = counts.map(|(count, what)| format!("{count} {what}")).collect();
    format!("{}  layers: {}, {}", content.root.digest, counts.join(", "), crate::ui::size(sent))
}

/// Sends an archive, and counts its bytes.
fn load(archived: &Archived<'_>, store: &Store) -> Result<u64, PublishError> {
    let mut sent = 0;
    let failed = |source: io::Error| Error::Pipe { source }.into();
    call(&["load", "--quiet"], Way::In).feed(&mut |stdin| {
        let mut counted = Counted { inner: stdin, count: 0 };
        let written = stream(archived, &mut counted, &failed, store);
        sent = counted.count;
        written
    })?;
    Ok(sent)
}

/// The blobs of the lowest `present` layers. One that is a layer above them as well is needed for that.
fn left_out(layers: &[Descriptor], present: usize) -> BTreeSet<Digest> {
    let (below, above) = layers.split_at(present.min(layers.len()));
    let above: BTreeSet<_> = above.iter().map(|layer| layer.digest).collect();
    below.iter().map(|layer| layer.digest).filter(|digest| !above.contains(digest)).collect()
}

fn diff_ids(content: &Content, store: &Store) -> Result<Vec<Digest>, PublishError> {
    let refused =
        |digest: Digest, reason: String| PublishError::Unreadable { what: "config", digest, reason };
    let [config, layers @ ..] = &content.blobs[..] else {
        return Err(refused(content.root.digest, "there is none".to_owned()));
    };
    let path = store.blob_path(&config.digest);
    let bytes = read_capped(&path, MAX_DOCUMENT).map_err(store::Error::io("read", &path))?;
    let document: ImageConfig =
        serde_json::from_slice(&bytes).map_err(|error| refused(config.digest, error.to_string()))?;
    let diff_ids = document.rootfs.diff_ids;
    if diff_ids.len() != layers.len() {
        let (stated, layers) = (diff_ids.len(), layers.len());
        let reason = format!("it states {stated} layers, its manifest {layers}");
        return Err(refused(config.digest, reason));
    }
    Ok(diff_ids)
}

fn info(way: Way) -> Result<Info, Error> {
    let call = call(&["info", "--format", "{{json .}}"], way);
    let answer = call.answer()?;
    let info: Info = serde_json::from_slice(&answer)
        .map_err(|error| call.silent(format!("its answer is not JSON: {error}")))?;
    match info.server_errors.iter().flatten().next() {
        Some(reason) => Err(call.silent(reason.clone())),
        None => Ok(info),
    }
}

/// How many of the lowest layers some image of the engine has. When the engine does not say, none are taken for known.
fn present(diff_ids: &[Digest]) -> Result<usize, Error> {
    let ids = call(&["image", "ls", "--all", "--quiet", "--no-trunc"], Way::In).ask()?;
    let ids: BTreeSet<Digest> =
        String::from_utf8_lossy(&ids.stdout).lines().filter_map(|line| line.trim().parse().ok()).collect();
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    let mut longest = 0;
    for some in ids.chunks(TOGETHER) {
        let mut arguments = vec!["image", "inspect", "--format", "{{json .RootFS.Layers}}"];
        arguments.extend(some.iter().map(String::as_str));
        // An image may be removed between the two questions: those that are left are printed all the same.
        let found = call(&arguments, Way::In).ask()?;
        let lines = String::from_utf8_lossy(&found.stdout).into_owned();
        let images = lines.lines().filter_map(|line| serde_json::from_str::<Vec<Digest>>(line).ok());
        let common = |image: Vec<Digest>| {
            image.iter().zip(diff_ids).take_while(|(theirs, ours)| theirs == ours).count()
        };
        longest = images.map(common).max().unwrap_or_default().max(longest);
    }
    Ok(longest)
}

/// The image `name` as an archive; see [`super::save`].
pub(super) fn save(name: &str, tools: &Tools<'_>) -> Result<TempPath, PublishError> {
    info(Way::Out)?;
    if !call(&["image", "inspect", "--format", "{{.Id}}", name], Way::Out).ask()?.is_success {
        let known = call(&["image", "ls", "--format", "{{.Repository}}:{{.Tag}}"], Way::Out).ask()?;
        let place = Engine::Docker.place().to_owned();
        return Err(PublishError::NotFound { name: name.to_owned(), place, known: listed(&known.stdout) });
    }
    let mut file = tools.store.temporary_file()?;
    call(&["save", name], Way::Out).save(file.as_file_mut(), Limits::IMAGE.bytes)?;
    Ok(file.into_temp_path())
}

struct Counted<W> {
    inner: W,
    count: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.count += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
