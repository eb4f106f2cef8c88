//! Writes the index that the server reads; `init/src/site/index.rs` states its form.

use std::collections::BTreeMap;

use super::Error;
use super::redirects::Redirect;
use super::server::index::{Encoding, FILE, MAGIC, NONE, REDIRECT};

/// Words of the header, and of each record.
const HEADER: usize = 6;
const ROUTE: usize = 6;
const VARIANT: usize = 10;
const RULE: usize = 6;

/// One form of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Form {
    pub(super) encoding: Encoding,
    /// Relative to `/`.
    pub(super) name: String,
    pub(super) size: u64,
    /// Complete header lines.
    pub(super) head: String,
    pub(super) etag: String,
}

/// What stands at an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// The file itself first.
    File(Vec<Form>),
    /// The address with a slash, percent-encoded.
    Slash(String),
}

/// Everything that the server is told.
#[derive(Debug, Default)]
pub(super) struct Contents {
    /// By decoded address.
    pub(super) routes: BTreeMap<String, Target>,
    pub(super) rules: Vec<Redirect>,
    /// Addresses of pages among the routes.
    pub(super) fallback: Option<String>,
    pub(super) not_found: Option<String>,
}

/// The bytes of the index.
pub(super) fn write(contents: &Contents) -> Result<Vec<u8>, Error> {
    let variants: usize = contents
        .routes
        .values()
        .map(|target| if let Target::File(forms) = target { forms.len() } else { 0 })
        .sum();
    let routes_at = MAGIC.len() + HEADER * 4;
    let variants_at = routes_at + contents.routes.len() * ROUTE * 4;
    let rules_at = variants_at + variants * VARIANT * 4;
    let mut strings = Strings { start: rules_at + contents.rules.len() * RULE * 4, bytes: Vec::new() };
    let number = |address: &Option<String>| match address {
        Some(address) => contents.routes.keys().position(|known| known == address).map_or(Ok(NONE), word),
        None => Ok(NONE),
    };
    let mut header =
        vec![word(contents.routes.len())?, word(routes_at)?, word(contents.rules.len())?, word(rules_at)?];
    header.extend([number(&contents.fallback)?, number(&contents.not_found)?]);
    let mut forms_before = 0;
    let (mut routes, mut variants) = (Vec::new(), Vec::new());
    for (path, target) in &contents.routes {
        routes.extend(strings.add(path)?);
        match target {
            Target::File(forms) => {
                routes.extend([FILE, word(variants_at + forms_before * VARIANT * 4)?, word(forms.len())?, 0]);
                forms_before += forms.len();
                for form in forms {
                    variants.extend(record(form, &mut strings)?);
                }
            }
            Target::Slash(location) => {
                routes.push(REDIRECT);
                routes.extend(strings.add(location)?);
                routes.push(0);
            }
        }
    }
    let mut rules = Vec::new();
    for rule in &contents.rules {
        rules.extend(strings.add(&rule.pattern)?);
        rules.extend(strings.add(&rule.target)?);
        rules.extend([rule.status, u32::from(rule.forced)]);
    }
    let words = [header, routes, variants, rules].concat();
    let mut bytes = MAGIC.to_vec();
    bytes.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    bytes.extend(strings.bytes);
    word(bytes.len())?;
    Ok(bytes)
}

fn record(form: &Form, strings: &mut Strings) -> Result<Vec<u32>, Error> {
    let encoding = match form.encoding {
        Encoding::Identity => 0,
        Encoding::Gzip => 1,
        Encoding::Zstd => 2,
        Encoding::Brotli => 3,
    };
    let mut words = vec![encoding];
    words.extend(strings.add(&format!("{}\0", form.name))?);
    let [low, high] = [form.size & 0xffff_ffff, form.size >> 32].map(u32::try_from);
    words.extend([low.map_err(|_| Error::TooLarge)?, high.map_err(|_| Error::TooLarge)?]);
    words.extend(strings.add(&form.head)?);
    words.extend(strings.add(&form.etag)?);
    words.push(0);
    Ok(words)
}

fn word(number: usize) -> Result<u32, Error> {
    u32::try_from(number).map_err(|_| Error::TooLarge)
}

/// The strings behind the records.
struct Strings {
    start: usize,
    bytes: Vec<u8>,
}

impl Strings {
    /// Adds a string: its offset and its length.
    fn add(&mut self, text: &str) -> Result<[u32; 2], Error> {
        let place = [word(self.start + self.bytes.len())?, word(text.len())?];
        self.bytes.extend_from_slice(text.as_bytes());
        Ok(place)
    }
}
