//! From files to addresses: what each answers with, and its headers.

use std::collections::BTreeMap;

use super::forms::{self, Forms};
use super::headers::Headers;
use super::index::{Form, Target};
use super::server::index::Encoding;
use super::server::write::Buffer;
use super::{COMPRESSED, Error, File, PAGE, media};
use crate::store::{Entry, Tree};

/// Encodings with the ends of their files' names.
const ENCODINGS: [(Encoding, &str); 3] =
    [(Encoding::Brotli, "br"), (Encoding::Zstd, "zst"), (Encoding::Gzip, "gz")];

/// The routes of all files. The files and their compressed forms are added to `tree`.
pub(super) fn routes(
    files: &[File<'_>],
    headers: &Headers,
    tree: &mut Tree,
) -> Result<BTreeMap<String, Target>, Error> {
    let places: BTreeMap<&str, &Entry> =
        files.iter().map(|(_, place, entry)| (place.as_str(), *entry)).collect();
    let places: Vec<(&str, &Entry)> = places.into_iter().collect();
    let read = forms::read(&places)?;
    let read: BTreeMap<&str, &Forms> =
        places.iter().zip(&read).map(|((place, _), forms)| (*place, forms)).collect();
    for (place, entry) in &places {
        tree.insert(*place, Entry { mode: 0o644, uid: 0, gid: 0, ..(*entry).clone() });
    }
    let by_path: BTreeMap<&str, &File<'_>> = files.iter().map(|file| (file.0.as_str(), file)).collect();
    let mut routes = BTreeMap::new();
    for (path, place, _) in files {
        let source = Source { path, place, forms: read[place.as_str()], siblings: &by_path, read: &read };
        for address in addresses(path, &by_path) {
            let forms = source.served_at(&address, headers, tree)?;
            routes.insert(address, Target::File(forms));
        }
    }
    for folder in files.iter().filter_map(|(path, ..)| path.strip_suffix("/index.html")) {
        // A file, or a page of the folder's name, wins.
        let location = encoded(&format!("/{folder}/"));
        routes.entry(format!("/{folder}")).or_insert(Target::Slash(location));
    }
    Ok(routes)
}

/// Where a file is found: under its path, a page without its ending too, and the page of a folder for the folder.
fn addresses(path: &str, by_path: &BTreeMap<&str, &File<'_>>) -> Vec<String> {
    let mut addresses = vec![format!("/{path}")];
    if path == PAGE {
        addresses.push("/".to_owned());
    } else if let Some(folder) = path.strip_suffix("/index.html") {
        addresses.push(format!("/{folder}/"));
    } else if let Some(stem) = path.strip_suffix(".html")
        && !by_path.contains_key(stem)
        && !stem.is_empty()
    {
        addresses.push(format!("/{stem}"));
    }
    addresses
}

/// A file with what is needed to describe its forms.
struct Source<'a> {
    path: &'a str,
    place: &'a str,
    forms: &'a Forms,
    siblings: &'a BTreeMap<&'a str, &'a File<'a>>,
    read: &'a BTreeMap<&'a str, &'a Forms>,
}

impl Source<'_> {
    /// The forms of the file at one of its addresses: rules may give each address other headers.
    fn served_at(&self, address: &str, headers: &Headers, tree: &mut Tree) -> Result<Vec<Form>, Error> {
        let mut lines = vec![
            ("Content-Type".to_owned(), media::of(self.path).name.to_owned()),
            ("Cache-Control".to_owned(), media::cache_control(self.path).to_owned()),
            ("X-Content-Type-Options".to_owned(), "nosniff".to_owned()),
        ];
        headers.apply(address, &mut lines).ok_or_else(|| Error::Headers {
            file: super::HEADERS.to_owned(),
            line: 1,
            problem: format!("the rules give `{address}` more headers than the server has room for"),
        })?;
        let mut forms = vec![(Encoding::Identity, self.place.to_owned(), self.forms.size)];
        forms.extend(self.encoded(tree)?);
        let varies = forms.len() > 1;
        let lines: String =
            lines.iter().flat_map(|(name, value)| [name.as_str(), ": ", value, "\r\n"]).collect();
        Ok(forms
            .into_iter()
            .map(|(encoding, name, size)| self.form(encoding, name, size, &lines, varies))
            .collect())
    }

    fn form(&self, encoding: Encoding, name: String, size: u64, lines: &str, varies: bool) -> Form {
        let digest = &self.forms.digest.hex()[..32];
        let label = String::from_utf8_lossy(encoding.name()).into_owned();
        let is_plain = encoding == Encoding::Identity;
        let etag = if is_plain { format!("\"{digest}\"") } else { format!("\"{digest}-{label}\"") };
        let mut head = format!("{lines}ETag: {etag}\r\n");
        if is_plain {
            head.push_str("Accept-Ranges: bytes\r\n");
        } else {
            head.extend(["Content-Encoding: ", &label, "\r\n"]);
        }
        if varies {
            head.push_str("Vary: Accept-Encoding\r\n");
        }
        Form { encoding, name, size, head, etag }
    }

    /// Compressed forms, smallest first: those that stand beside the file, and what rpack made.
    fn encoded(&self, tree: &mut Tree) -> Result<Vec<(Encoding, String, u64)>, Error> {
        let mut found = Vec::new();
        for (encoding, ending) in ENCODINGS {
            if let Some((_, place, entry)) = self.siblings.get(format!("{}.{ending}", self.path).as_str()) {
                let is_same = match encoding {
                    Encoding::Gzip => {
                        forms::unpacks_to(&forms::bytes(place, entry)?, self.forms.size, &self.forms.digest)
                    }
                    _ => true,
                };
                let size = self.read[place.as_str()].size;
                if is_same && size < self.forms.size {
                    found.push((encoding, place.clone(), size));
                    continue;
                }
            }
            if let Some((_, bytes)) = self.forms.compressed.iter().find(|(made, _)| *made == encoding) {
                let name = format!("{COMPRESSED}/{}.{ending}", self.place);
                found.push((encoding, name.clone(), bytes.len() as u64));
                if tree.get(&name).is_none() {
                    tree.insert(name, Entry::bytes(bytes.clone()));
                }
            }
        }
        found.sort_by_key(|(_, _, size)| *size);
        Ok(found)
    }
}

/// Percent-encodes an address.
pub(super) fn encoded(text: &str) -> String {
    let mut bytes = vec![0; text.len() * 3];
    let mut out = Buffer::new(&mut bytes);
    out.encoded(text.as_bytes());
    String::from_utf8_lossy(out.written().unwrap_or_default()).into_owned()
}
