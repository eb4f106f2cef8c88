//! The index of a site: every address that has an answer, with headers that were made when the image was packaged.
//!
//! In: the bytes of the index. Out: look-ups. All numbers are little-endian `u32`; strings are named by offset and
//! length. A number that leads out of the file is no entry, so a broken index gives no answers and no harm.
//!
//! ```text
//! magic "RPSITE1\n", routes: count, offset; rules: count, offset; fallback, not found: number of a route or NONE
//! route    path: offset, length; kind; FILE: variants offset, count, 0 | REDIRECT: location offset, length, 0
//! variant  encoding; name: offset, length; size: low, high; head: offset, length; etag: offset, length; 0
//! rule     pattern: offset, length; target: offset, length; status; 1 when it wins over files
//! ```
//! Routes are sorted by path. The first variant of a file is the file itself, the others follow by size.

pub(crate) const MAGIC: &[u8] = b"RPSITE1\n";
pub(crate) const NONE: u32 = u32::MAX;
pub(crate) const FILE: u32 = 0;
pub(crate) const REDIRECT: u32 = 1;

const HEADER: usize = 8;
const ROUTE: usize = 6;
const VARIANT: usize = 10;
const RULE: usize = 6;
const WORD: usize = 4;

/// How a variant is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Identity,
    Gzip,
    Zstd,
    Brotli,
}

impl Encoding {
    /// As in `Accept-Encoding`.
    pub(crate) fn name(self) -> &'static [u8] {
        match self {
            Self::Identity => b"identity",
            Self::Gzip => b"gzip",
            Self::Zstd => b"zstd",
            Self::Brotli => b"br",
        }
    }
}

/// The bytes of an index.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Index<'a> {
    bytes: &'a [u8],
}

/// What stands at an address.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Route<'a> {
    File(Variants<'a>),
    /// The address with a slash, percent-encoded.
    Redirect(&'a [u8]),
}

/// The forms of a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Variants<'a> {
    index: Index<'a>,
    offset: u32,
    pub(crate) count: u32,
}

/// One form of a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Variant<'a> {
    pub(crate) encoding: Encoding,
    /// The path below the root, with the null byte that ends it.
    pub(crate) name: &'a [u8],
    pub(crate) size: u64,
    /// Complete header lines.
    pub(crate) head: &'a [u8],
    /// With its quotes.
    pub(crate) etag: &'a [u8],
}

/// A line of `_redirects`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule<'a> {
    pub(crate) pattern: &'a [u8],
    pub(crate) target: &'a [u8],
    pub(crate) status: u32,
    pub(crate) forced: bool,
}

impl<'a> Index<'a> {
    /// The index in `bytes`, if it is one.
    pub(crate) fn new(bytes: &'a [u8]) -> Option<Self> {
        let index = Self { bytes };
        index.word(HEADER, 5)?;
        bytes.starts_with(MAGIC).then_some(index)
    }

    /// What stands at exactly this path.
    pub(crate) fn find(self, path: &[u8]) -> Option<Route<'a>> {
        let (mut low, mut high) = (0, self.word(HEADER, 0)?);
        while low < high {
            let middle = low + (high - low) / 2;
            let offset = self.route_offset(middle)?;
            match self.string(offset, 0)?.cmp(path) {
                core::cmp::Ordering::Equal => return self.route(middle),
                core::cmp::Ordering::Less => low = middle + 1,
                core::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }

    /// The page for addresses that a program in the browser knows.
    pub(crate) fn fallback(self) -> Option<Variants<'a>> {
        self.page(4)
    }

    /// The page that says that there is nothing.
    pub(crate) fn not_found(self) -> Option<Variants<'a>> {
        self.page(5)
    }

    pub(crate) fn rules(self) -> impl Iterator<Item = Rule<'a>> {
        let count = self.word(HEADER, 2).unwrap_or(0);
        (0..count).map_while(move |number| {
            let offset = place(self.word(HEADER, 3)?, number, RULE)?;
            Some(Rule {
                pattern: self.string(offset, 0)?,
                target: self.string(offset, 2)?,
                status: self.word(offset, 4)?,
                forced: self.word(offset, 5)? == 1,
            })
        })
    }

    fn page(self, field: usize) -> Option<Variants<'a>> {
        let number = self.word(HEADER, field).filter(|number| *number != NONE)?;
        match self.route(number)? {
            Route::File(variants) => Some(variants),
            Route::Redirect(_) => None,
        }
    }

    fn route_offset(self, number: u32) -> Option<usize> {
        place(self.word(HEADER, 1)?, number, ROUTE)
    }

    fn route(self, number: u32) -> Option<Route<'a>> {
        let offset = self.route_offset(number)?;
        match self.word(offset, 2)? {
            FILE => {
                let variants =
                    Variants { index: self, offset: self.word(offset, 3)?, count: self.word(offset, 4)? };
                Some(Route::File(variants))
            }
            REDIRECT => self.string(offset, 3).map(Route::Redirect),
            _ => None,
        }
    }

    /// The number at position `at` of the record at `offset`.
    fn word(self, offset: usize, at: usize) -> Option<u32> {
        let start = offset.checked_add(at * WORD)?;
        let bytes = self.bytes.get(start..start.checked_add(WORD)?)?;
        Some(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    /// The string whose offset and length stand at position `at`.
    fn string(self, offset: usize, at: usize) -> Option<&'a [u8]> {
        let start = usize::try_from(self.word(offset, at)?).ok()?;
        let length = usize::try_from(self.word(offset, at + 1)?).ok()?;
        self.bytes.get(start..start.checked_add(length)?)
    }
}

/// Where the record with this number stands.
fn place(start: u32, number: u32, words: usize) -> Option<usize> {
    let start = usize::try_from(start).ok()?;
    usize::try_from(number).ok()?.checked_mul(words * WORD)?.checked_add(start)
}

impl<'a> Variants<'a> {
    pub(crate) fn get(&self, number: u32) -> Option<Variant<'a>> {
        if number >= self.count {
            return None;
        }
        let index = self.index;
        let offset = place(self.offset, number, VARIANT)?;
        let encoding = match index.word(offset, 0)? {
            0 => Encoding::Identity,
            1 => Encoding::Gzip,
            2 => Encoding::Zstd,
            3 => Encoding::Brotli,
            _ => return None,
        };
        let name = index.string(offset, 1)?;
        Some(Variant {
            encoding,
            name: name.ends_with(b"\0").then_some(name)?,
            size: u64::from(index.word(offset, 3)?) | u64::from(index.word(offset, 4)?) << 32,
            head: index.string(offset, 5)?,
            etag: index.string(offset, 7)?,
        })
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = Variant<'a>> {
        (0..self.count).map_while(move |number| self.get(number))
    }
}
