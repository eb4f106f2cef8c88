//! Archives of language registries as trees: Node, npm.
//!
//! In: a [`Toolchain`] of the plan. Out: a [`Tree`] below its target (`opt/node/bin/node`), with the links it
//! asks for. The archive must have the integrity that the plan states (<https://www.w3.org/TR/SRI/>).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::MultiGzDecoder;
use globset::{GlobBuilder, GlobSetBuilder};

use super::unpack::{Failure, Unpacked, unpack};
use super::{Context, Error};
use crate::http::{Expected, Protection};
use crate::oci::{Digest, to_canonical_json};
use crate::plan::model::Toolchain;
use crate::store::{Entry, Kind, Tree, tree::is_clean};

/// Changes when equal toolchains give another tree.
const RULES: u32 = 1;
/// Archives larger than this are refused.
const LARGEST: u64 = 1 << 30;

/// The tree of `toolchain`, fetched and unpacked only if the store does not have it.
///
/// # Errors
/// When it cannot be fetched, has another integrity, or cannot be unpacked.
pub fn toolchain(toolchain: &Toolchain, context: &Context) -> Result<Tree, Error> {
    let wrong = |reason: String| Error::Toolchain {
        name: toolchain.name.clone(),
        version: toolchain.version.clone(),
        reason,
    };
    let target = relative(&toolchain.target)
        .ok_or_else(|| wrong(format!("its target `{}` is not an absolute path", toolchain.target)))?;
    let json = to_canonical_json(&(RULES, toolchain)).expect("a toolchain serialises to plain JSON");
    let key = format!("toolchain-{}", Digest::of(&json).hex());
    let mut tree = match Unpacked::load(&context.store, &key)? {
        Some(unpacked) => unpacked.tree,
        None => fetch(toolchain, target, &key, context)?,
    };
    for (_, entry) in tree.iter_mut() {
        normalise(entry);
    }
    for (link, text) in &toolchain.links {
        let path =
            relative(link).ok_or_else(|| wrong(format!("the link `{link}` is not an absolute path")))?;
        tree.insert(path, Entry::symlink(text.clone()));
    }
    tree.add_parents();
    Ok(tree)
}

fn fetch(toolchain: &Toolchain, target: &str, key: &str, context: &Context) -> Result<Tree, Error> {
    let wrong = |reason: String| Error::Toolchain {
        name: toolchain.name.clone(),
        version: toolchain.version.clone(),
        reason,
    };
    if !is_clean(&toolchain.path) {
        return Err(wrong(format!("its path `{}` leads out of the registry", toolchain.path)));
    }
    let mut globs = GlobSetBuilder::new();
    for pattern in &toolchain.include {
        let glob = GlobBuilder::new(pattern).literal_separator(true).build();
        globs.add(glob.map_err(|error| wrong(format!("`{pattern}` is not a glob: {error}")))?);
    }
    let globs = globs.build().map_err(|error| wrong(error.to_string()))?;
    let registry = context.endpoints.find(&toolchain.ecosystem)?.url;
    let url = format!("{}/{}", registry.trim_end_matches('/'), toolchain.path);
    let expected = Expected::Sha512 { digest: sha512(&toolchain.integrity).map_err(wrong)?, limit: LARGEST };
    let progress = context.reporter.transfer(&format!("{} {}", toolchain.name, toolchain.version), 0);
    let fetched = context.client.fetch(&url, Protection::Transport, &expected, &context.store, &progress)?;
    progress.finish();
    let folder = context.store.temporary_folder()?;
    let reader = MultiGzDecoder::new(std::io::BufReader::new(fetched.file.as_file()));
    let place = |name: &str| {
        let name = name.splitn(toolchain.strip + 1, '/').nth(toolchain.strip)?;
        (toolchain.include.is_empty() || globs.is_match(name)).then(|| format!("{target}/{name}"))
    };
    let tree = unpack(reader, folder.path(), place).map_err(|failure| match failure {
        Failure::Archive(reason) => wrong(reason),
        Failure::Store(error) => error.into(),
    })?;
    if tree.is_empty() {
        return Err(wrong(format!("nothing in it matches {:?}", toolchain.include)));
    }
    let unpacked = Unpacked { tree, texts: std::collections::BTreeMap::new() };
    Ok(unpacked.keep(&context.store, key, folder)?.tree)
}

/// Registries pack files as whoever built them; only the right to execute means something.
fn normalise(entry: &mut Entry) {
    (entry.uid, entry.gid, entry.mtime) = (0, 0, 0);
    entry.mode = match entry.kind {
        Kind::File { .. } if entry.mode & 0o111 == 0 => 0o644,
        Kind::Symlink { .. } => 0o777,
        _ => 0o755,
    };
}

fn relative(path: &str) -> Option<&str> {
    path.strip_prefix('/').filter(|path| is_clean(path))
}

/// The SHA-512 digest of an integrity text; other algorithms in it are passed over.
fn sha512(integrity: &str) -> Result<Vec<u8>, String> {
    integrity
        .split_whitespace()
        .filter_map(|part| part.strip_prefix("sha512-"))
        .filter_map(|text| STANDARD.decode(text.split('?').next().unwrap_or_default()).ok())
        .find(|digest| digest.len() == 64)
        .ok_or_else(|| format!("its integrity `{integrity}` holds no sha512 digest"))
}
