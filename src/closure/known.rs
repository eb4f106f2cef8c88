//! Remembers what was found in a tree, because a runtime has hundreds of files to open and is seldom another one.
//!
//! `metadata/scans/KEY` in the store. The key covers path, size and content of every file, as far as names tell: files of
//! unpacked trees and of results of steps are never written to, so where they are says what they hold, together with
//! the run of the step. A tree with files from elsewhere is read.

use std::io::{self, Write as _};

use serde::{Deserialize, Serialize};

use super::Error;
use super::scan::{Scan, is_script};
use crate::observe;
use crate::oci::{Digest, DigestWriter};
use crate::plan::model::BaseImage;
use crate::rootfs::{self, Context};
use crate::store::instance::Runs;
use crate::store::{Content, Kind, Store, Tree};

/// What [`Scan::add`] finds in `tree`.
///
/// # Errors
/// When a file cannot be read, or the store not be written.
pub(super) fn scan(tree: &Tree, may_start: impl Fn(&str) -> bool, store: &Store) -> Result<Scan, Error> {
    let Some(key) = key(tree, &may_start, store) else { return read(tree, may_start) };
    let name = format!("scans/{}", key.hex());
    let known = store.record(&name).and_then(|bytes| serde_json::from_slice(&bytes).ok());
    if let Some(known) = known {
        return Ok(known);
    }
    let scan = read(tree, may_start)?;
    let bytes = serde_json::to_vec(&scan).expect("a scan has texts as keys");
    store.put_record(&name, &bytes)?;
    Ok(scan)
}

/// What was found in a base image, and by which version of rpack.
#[derive(Serialize, Deserialize)]
struct OfBase {
    version: String,
    scan: Scan,
}

/// What [`Scan::add`] finds in the base image `image`, whose files are needed only the first time. It is known by the digest
/// of its manifest, also on another machine, to which it came in a cache.
///
/// # Errors
/// As [`scan`], and when the image cannot be had.
pub(super) fn scan_base(image: &BaseImage, context: &Context) -> Result<Scan, Error> {
    let name = format!("bases/{}-programs", image.digest.hex());
    let known = context.store.record(&name).and_then(|bytes| serde_json::from_slice::<OfBase>(&bytes).ok());
    let version = env!("CARGO_PKG_VERSION").to_owned();
    if let Some(known) = known.filter(|known| known.version == version) {
        return Ok(known.scan);
    }
    let (_, files) = rootfs::image::files(image, context).map_err(rootfs::Error::from)?;
    let of_base = OfBase { version, scan: read(&files, |_| false)? };
    let bytes = serde_json::to_vec(&of_base).expect("a scan has texts as keys");
    context.store.put_record(&name, &bytes)?;
    Ok(of_base.scan)
}

fn read(tree: &Tree, may_start: impl Fn(&str) -> bool) -> Result<Scan, Error> {
    let mut scan = Scan::default();
    scan.add(tree, may_start)?;
    Ok(scan)
}

/// None when a name does not tell what a file holds.
fn key(tree: &Tree, may_start: &impl Fn(&str) -> bool, store: &Store) -> Option<Digest> {
    let mut hash = DigestWriter::new(io::sink());
    let mut runs = Runs::default();
    let mut add = |part: &[u8]| {
        // Writing to a sink cannot fail. No part holds NUL.
        let _ = hash.write_all(part).and_then(|()| hash.write_all(b"\0"));
    };
    add(format!("{:?}", observe::program()).as_bytes());
    for (path, entry) in tree.iter() {
        let Kind::File { size, content } = &entry.kind else { continue };
        add(path.as_bytes());
        add(format!("{size} {}", is_script(path, entry, may_start)).as_bytes());
        match content {
            Content::Bytes(bytes) => add(Digest::of(bytes).to_string().as_bytes()),
            Content::Path(file) => {
                let relative = store.inside(file)?;
                add(relative.as_os_str().as_encoded_bytes());
                if relative.starts_with("steps") {
                    add(runs.of(relative, store)?.as_bytes());
                }
            }
        }
    }
    Some(hash.finish().1)
}
