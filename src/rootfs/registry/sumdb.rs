//! Go's checksum database (<https://go.dev/ref/mod#checksum-database>): the digest of a version of a module, signed
//! as part of a transparent log.
//!
//! In: a module and a version; the database's key from the machine or `bases/registries.toml`. Out: the digest
//! (`h1:…`), kept in the store once it is verified. Verified are the signature of the tree
//! (<https://pkg.go.dev/golang.org/x/mod/sumdb/note>), that the record is about this version, and that the tree
//! holds the record (RFC 6962, section 2.1.1, from the tiles of <https://go.dev/design/25530-sumdb>). Not verified is
//! that a later tree grew out of an earlier one: that needs a memory over years, which a build machine has not.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ED25519, UnparsedPublicKey};
use sha2::{Digest as _, Sha256};

use super::go::{Proxies, escaped};
use super::text;
use crate::http::{Protection, shown};
use crate::rootfs::cache::{self, Header};
use crate::rootfs::{Context, Error};

/// Hashes in a full tile, as a power of two.
const HEIGHT: u32 = 8;

type Hash = [u8; 32];

/// A database that this machine trusts.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::rootfs) struct Database {
    pub(in crate::rootfs) name: String,
    /// Which key signed, in signatures.
    id: [u8; 4],
    key: Vec<u8>,
    /// Where it is when no proxy passes questions on.
    url: String,
}

impl Database {
    /// Reads `NAME+HASH+KEY`, or `NAME` alone for the one whose key is `known`, and an address after a space.
    pub(in crate::rootfs) fn parse(text: &str, known: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        let verifier = words.next()?;
        let verifier = if known.split('+').next() == Some(verifier) { known } else { verifier };
        let mut parts = verifier.splitn(3, '+');
        let (name, id, key) = (parts.next()?, parts.next()?, STANDARD.decode(parts.next()?).ok()?);
        // The first byte names the algorithm: 1 is Ed25519.
        if key.len() != 33 || key[0] != 1 {
            return None;
        }
        let mut hasher = Sha256::new();
        hasher.update(format!("{name}\n"));
        hasher.update(&key);
        let computed: [u8; 4] = hasher.finalize()[..4].try_into().ok()?;
        let url = words
            .next()
            .map_or_else(|| format!("https://{name}"), |url| url.trim_end_matches('/').to_owned());
        (format!("{:08x}", u32::from_be_bytes(computed)) == id).then(|| Self {
            name: name.to_owned(),
            id: computed,
            key: key[1..].to_vec(),
            url,
        })
    }

    /// The text of a note that this database signed.
    fn open<'a>(&self, note: &'a str) -> Result<&'a str, String> {
        let end = note.rfind("\n\n").ok_or("the tree is not signed")? + 1;
        let (text, signatures) = (&note[..end], &note[end + 1..]);
        let is_signed = signatures.lines().any(|line| {
            let signature = line
                .strip_prefix("\u{2014} ")
                .and_then(|rest| rest.strip_prefix(self.name.as_str()))
                .and_then(|rest| STANDARD.decode(rest.trim()).ok());
            signature.is_some_and(|bytes| {
                bytes.strip_prefix(&self.id).is_some_and(|signature| {
                    UnparsedPublicKey::new(&ED25519, &self.key).verify(text.as_bytes(), signature).is_ok()
                })
            })
        });
        is_signed.then_some(text).ok_or_else(|| format!("the tree has no valid signature of {}", self.name))
    }
}

/// A signed tree.
#[derive(Debug, PartialEq, Eq)]
struct Signed {
    size: u64,
    root: Hash,
}

impl Signed {
    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        if lines.next()? != "go.sum database tree" {
            return None;
        }
        let size = lines.next()?.parse().ok()?;
        Some(Self { size, root: STANDARD.decode(lines.next()?).ok()?.try_into().ok()? })
    }
}

/// The digest of `module` at `version`, or nothing when the database knows no such version.
pub(super) fn digest(
    context: &Context,
    proxies: &Proxies,
    module: &str,
    version: &str,
) -> Result<Option<String>, Error> {
    let database = context.endpoints.checksums()?;
    // What is once in the log stays there, so the verified answer needs no other.
    let key = format!("{} {module}@{version}", database.name);
    if let Some((_, bytes)) = cache::read(&context.store, &key)
        && let Ok(digest) = String::from_utf8(bytes)
    {
        return Ok(Some(digest));
    }
    let base = base(context, proxies, &database)?;
    let url = format!("{base}/lookup/{}@{}", escaped(module), escaped(version));
    let Some(answer) = text(context, &url, Protection::Signature)? else { return Ok(None) };
    let wrong = |reason: String| Error::Checksum { url: shown(&url), reason };
    let answer = String::from_utf8(answer).map_err(|error| wrong(error.to_string()))?;
    let record = Record::parse(&answer, &database).map_err(wrong)?;
    let digest = record.digest(module, version).map_err(wrong)?;
    let mut tiles = Tiles { context, base: &base, size: record.tree.size, read: BTreeMap::new() };
    let root = tiles.root_with((0, record.tree.size), record.number, record.hash())?;
    if root != record.tree.root {
        return Err(wrong(format!("the signed tree of {} does not hold this record", database.name)));
    }
    cache::write(&context.store, &Header { url: key, fetched: context.now, etag: None }, digest.as_bytes())?;
    Ok(Some(digest))
}

/// Where the database is asked: through the first proxy that passes questions on, else directly.
fn base(context: &Context, proxies: &Proxies, database: &Database) -> Result<String, Error> {
    let through = proxies.each(|proxy| {
        let base = format!("{proxy}/sumdb/{}", database.name);
        match text(context, &format!("{base}/supported"), Protection::Signature)? {
            Some(_) => Ok(Some(base)),
            None => Err(Error::RegistryUnknown {
                ecosystem: super::Ecosystem::Go,
                name: database.name.clone(),
                registry: shown(proxy),
            }),
        }
    });
    match through {
        Err(error) if !error.is_missing() => Err(error),
        other => Ok(other.ok().flatten().unwrap_or_else(|| database.url.clone())),
    }
}

/// The answer to a lookup.
#[derive(Debug)]
struct Record<'a> {
    number: u64,
    text: &'a str,
    tree: Signed,
}

impl<'a> Record<'a> {
    fn parse(answer: &'a str, database: &Database) -> Result<Self, String> {
        let (number, rest) = answer.split_once('\n').ok_or("it is empty")?;
        let number = number.parse().map_err(|_| format!("`{number}` is not the number of a record"))?;
        let end = rest.find("\n\n").ok_or("there is no signed tree in it")? + 1;
        let tree =
            Signed::parse(database.open(&rest[end + 1..])?).ok_or("it signs something else than a tree")?;
        if number >= tree.size {
            return Err(format!("record {number} is not in a tree of {} records", tree.size));
        }
        Ok(Self { number, text: &rest[..end], tree })
    }

    fn digest(&self, module: &str, version: &str) -> Result<String, String> {
        let prefix = format!("{module} {version} ");
        let digest = self.text.lines().find_map(|line| line.strip_prefix(&prefix));
        let digest = digest.filter(|digest| digest.starts_with("h1:"));
        digest.map(str::to_owned).ok_or_else(|| {
            let first = self.text.lines().next().unwrap_or_default();
            format!("the record is about something else: `{first}`")
        })
    }

    fn hash(&self) -> Hash {
        Sha256::new().chain_update([0]).chain_update(self.text).finalize().into()
    }
}

fn parent(left: &Hash, right: &Hash) -> Hash {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

/// The hashes of a tree, read as they are needed. They need no check of their own: together with the record they
/// must give the signed root.
struct Tiles<'a> {
    context: &'a Context,
    base: &'a str,
    size: u64,
    read: BTreeMap<(u32, u64), Vec<u8>>,
}

impl Tiles<'_> {
    /// The hash over the records from `start` up to `end`, where record `number` has `hash`.
    fn root_with(&mut self, (start, end): (u64, u64), number: u64, hash: Hash) -> Result<Hash, Error> {
        if end - start == 1 {
            return Ok(hash);
        }
        let middle = middle(start, end);
        if number < middle {
            let left = self.root_with((start, middle), number, hash)?;
            Ok(parent(&left, &self.hash(middle, end)?))
        } else {
            let left = self.hash(start, middle)?;
            Ok(parent(&left, &self.root_with((middle, end), number, hash)?))
        }
    }

    fn hash(&mut self, start: u64, end: u64) -> Result<Hash, Error> {
        let count = end - start;
        if count.is_power_of_two() {
            return self.node(count.trailing_zeros(), start / count);
        }
        let middle = middle(start, end);
        let left = self.hash(start, middle)?;
        Ok(parent(&left, &self.hash(middle, end)?))
    }

    /// The node number `index` of a level; records are level 0.
    fn node(&mut self, level: u32, index: u64) -> Result<Hash, Error> {
        let (row, above) = (level / HEIGHT, level % HEIGHT);
        let first = index << above;
        let tile = first >> HEIGHT;
        let position = usize::try_from(first % (1 << HEIGHT)).unwrap_or_default();
        let bytes = self.tile(row, tile)?;
        let end = (position + (1 << above)) * 32;
        let Some(bytes) = bytes.get(position * 32..end) else {
            let reason = "a tile of the tree is too short".to_owned();
            return Err(Error::Checksum { url: shown(self.base), reason });
        };
        let mut row: Vec<Hash> =
            bytes.chunks_exact(32).map(|hash| hash.try_into().expect("32 bytes")).collect();
        while row.len() > 1 {
            row = row.chunks_exact(2).map(|pair| parent(&pair[0], &pair[1])).collect();
        }
        Ok(row[0])
    }

    fn tile(&mut self, row: u32, number: u64) -> Result<&[u8], Error> {
        if !self.read.contains_key(&(row, number)) {
            let width = ((self.size >> (HEIGHT * row)) - (number << HEIGHT)).min(1 << HEIGHT);
            let full = format!("{}/tile/{HEIGHT}/{row}/{}", self.base, path(number));
            let partial = (width < 1 << HEIGHT).then(|| format!("{full}.p/{width}"));
            let mut bytes = None;
            // A full tile takes the place of the parts it grew from.
            for url in partial.iter().chain([&full]) {
                bytes = text(self.context, url, Protection::Signature)?;
                if bytes.is_some() {
                    break;
                }
            }
            let missing =
                || Error::Checksum { url: shown(&full), reason: "there is no such tile".to_owned() };
            self.read.insert((row, number), bytes.ok_or_else(missing)?);
        }
        Ok(&self.read[&(row, number)])
    }
}

/// Where a tree is divided: at the largest power of two below its size.
fn middle(start: u64, end: u64) -> u64 {
    start + ((end - start).next_power_of_two() >> 1)
}

/// A tile's number in groups of three digits: `x259/112`.
fn path(number: u64) -> String {
    let mut text = format!("{:03}", number % 1000);
    let mut rest = number / 1000;
    while rest > 0 {
        text = format!("x{:03}/{text}", rest % 1000);
        rest /= 1000;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Database, path};

    #[test]
    fn tiles_have_paths_of_three_digits() {
        assert_eq!([path(5), path(259_112), path(1_234_067)], ["005", "x259/112", "x001/x234/067"]);
    }

    #[test]
    fn a_key_must_fit_its_hash() {
        let known = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";
        let database = Database::parse("sum.golang.org", known).unwrap();
        assert_eq!(
            (database.name.as_str(), database.url.as_str()),
            ("sum.golang.org", "https://sum.golang.org")
        );
        assert_eq!(Database::parse(known, ""), Some(database));
        assert_eq!(Database::parse(&known.replace("033d", "033e"), ""), None);
        assert_eq!(Database::parse("other.example", known), None);
        let elsewhere = Database::parse("sum.golang.org https://sums.example/", known).unwrap();
        assert_eq!(elsewhere.url, "https://sums.example");
    }
}
