//! What an ELF file asks of the dynamic loader, and where what else it says is in it.
//!
//! In: the bytes of a file, hostile. Out: [`Elf`] for 64-bit little-endian files, which is what every target is;
//! anything else is [`Found::Foreign`]. Only the headers, the dynamic section and notes are read, never the whole
//! file; of sections only where they are ([`section`]). Every offset is checked, every size capped, and no input makes it panic.
//!
//! The format: <https://refspecs.linuxfoundation.org/elf/gabi4+/contents.html>; notes about `dlopen`:
//! <https://systemd.io/ELF_DLOPEN_METADATA/>.

use std::fs::File;
use std::io;

use serde::{Deserialize, Serialize};

/// The first bytes of every ELF file.
pub const MAGIC: [u8; 4] = *b"\x7fELF";

/// The value of `e_machine` for an architecture, as Debian and OCI call it; none when it is not a target.
pub fn machine(architecture: &str) -> Option<u16> {
    match architecture {
        "amd64" => Some(62),
        "arm64" => Some(183),
        _ => None,
    }
}

/// Class 64, little-endian.
const PLAIN: [u8; 2] = [2, 1];

/// More of them than any linker makes.
const SEGMENTS: u16 = 512;
const SECTIONS: u16 = 4096;
const SECTION_NAMES: u64 = 1 << 20;
const DYNAMIC: u64 = 256 * 1024;
const NOTES: u64 = 256 * 1024;
const LIBRARIES: usize = 4096;
/// The longest path or name, in bytes.
const TEXT: usize = 4096;

/// A section without bytes in the file.
const SHT_NOBITS: u32 = 8;

const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const PT_INTERP: u32 = 3;
const PT_NOTE: u32 = 4;

const DT_NEEDED: u64 = 1;
const DT_STRTAB: u64 = 5;
const DT_SONAME: u64 = 14;
const DT_RPATH: u64 = 15;
const DT_RUNPATH: u64 = 29;
const DT_FLAGS_1: u64 = 0x6fff_fffb;
const DF_1_NODEFLIB: u64 = 0x800;

const DLOPEN_OWNER: &[u8] = b"FDO\0";
const DLOPEN_TYPE: u32 = 0x407c_0c0a;

/// What a file turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// No ELF file.
    Other,
    /// An ELF file that no loader of a 64-bit little-endian machine takes.
    Foreign,
    /// An ELF file that contradicts itself: no loader takes it.
    Damaged,
    /// An ELF file.
    Elf(Elf),
}

/// What a file asks of the loader.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Elf {
    /// `e_machine`, see [`machine`].
    pub machine: u16,
    /// The loader that a program names.
    pub interpreter: Option<String>,
    /// The name by which others need it.
    pub soname: Option<String>,
    /// Names of libraries, or paths where they hold a slash.
    pub needed: Vec<String>,
    /// Folders of `DT_RPATH`; unexpanded.
    pub rpath: Vec<String>,
    /// Folders of `DT_RUNPATH`; unexpanded. Its presence turns `rpath` off.
    pub runpath: Option<Vec<String>>,
    /// Whether it forbids the loader's own folders.
    pub no_default: bool,
    /// What it opens while it runs, as its notes say.
    pub dlopen: Vec<Dlopen>,
}

/// One entry of a note about `dlopen`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dlopen {
    /// What it is for.
    #[serde(default)]
    pub feature: String,
    /// How much the file needs it.
    #[serde(default)]
    pub priority: Priority,
    /// Any one of them will do, the first is preferred.
    pub soname: Vec<String>,
}

/// How much a file needs what it opens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Priority {
    /// It does not work without.
    Required,
    /// A part that most want.
    #[default]
    Recommended,
    /// A part that some want.
    Suggested,
}

/// Bytes that can be read anywhere.
pub trait Bytes {
    /// Fills `buffer` from `offset`; fewer bytes when the end comes first.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
}

impl Bytes for [u8] {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|offset| self.get(offset..)).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }
}

impl Bytes for File {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            let Some(at) = offset.checked_add(filled as u64).filter(|at| i64::try_from(*at).is_ok()) else {
                break;
            };
            match std::os::unix::fs::FileExt::read_at(self, &mut buffer[filled..], at) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }
}

/// Reads what `bytes` ask of the loader.
///
/// # Errors
/// When the file cannot be read; what it holds is never an error.
pub fn read<B: Bytes + ?Sized>(bytes: &B) -> io::Result<Found> {
    let mut header = [0; 64];
    let count = bytes.read_at(&mut header, 0)?;
    if !header[..count].starts_with(&MAGIC) {
        return Ok(Found::Other);
    }
    if count < header.len() {
        return Ok(Found::Damaged);
    }
    if header[4..6] != PLAIN {
        return Ok(Found::Foreign);
    }
    let mut reader = Reader { bytes, failure: None };
    let found = reader.elf(&header);
    match reader.failure {
        Some(error) => Err(error),
        None => Ok(found.map_or(Found::Damaged, Found::Elf)),
    }
}

/// Where the bytes of a section are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Section {
    /// From the start of the file.
    pub offset: u64,
    /// In bytes.
    pub size: u64,
}

/// The section `name` of a 64-bit little-endian ELF file, if it says that it has one.
///
/// # Errors
/// As [`read`].
pub fn section<B: Bytes + ?Sized>(bytes: &B, name: &str) -> io::Result<Option<Section>> {
    with_header(bytes, |reader, header| reader.section(header, name))
}

/// Where the byte that a 64-bit little-endian ELF file has at `address` when it is loaded lies in the file.
///
/// # Errors
/// As [`read`].
pub fn offset_of<B: Bytes + ?Sized>(bytes: &B, address: u64) -> io::Result<Option<u64>> {
    with_header(bytes, |reader, header| {
        let segments = reader.segments(u64_at(header, 32)?, u16_at(header, 54)?, u16_at(header, 56)?)?;
        file_offset(&segments, address)
    })
}

fn with_header<B: Bytes + ?Sized, T>(
    bytes: &B,
    find: impl FnOnce(&mut Reader<'_, B>, &[u8]) -> Option<T>,
) -> io::Result<Option<T>> {
    let mut header = [0; 64];
    let count = bytes.read_at(&mut header, 0)?;
    if count < header.len() || !header.starts_with(&MAGIC) || header[4..6] != PLAIN {
        return Ok(None);
    }
    let mut reader = Reader { bytes, failure: None };
    let found = find(&mut reader, &header);
    reader.failure.map_or(Ok(found), Err)
}

#[derive(Clone, Copy)]
struct Segment {
    kind: u32,
    offset: u64,
    address: u64,
    size: u64,
    align: u64,
}

/// Reads pieces; nothing stands for what is not there, and a failure of the system is kept.
struct Reader<'a, B: ?Sized> {
    bytes: &'a B,
    failure: Option<io::Error>,
}

impl<B: Bytes + ?Sized> Reader<'_, B> {
    fn elf(&mut self, header: &[u8]) -> Option<Elf> {
        let mut elf = Elf { machine: u16_at(header, 18)?, ..Elf::default() };
        let segments = self.segments(u64_at(header, 32)?, u16_at(header, 54)?, u16_at(header, 56)?)?;
        for segment in &segments {
            match segment.kind {
                PT_INTERP => {
                    elf.interpreter = Some(self.text(segment.offset)?).filter(|path| !path.is_empty());
                }
                PT_NOTE => {
                    let notes = self.piece(segment.offset, segment.size.min(NOTES))?;
                    elf.dlopen.extend(dlopen_notes(&notes, segment.align));
                }
                _ => {}
            }
        }
        if let Some(dynamic) = segments.iter().find(|segment| segment.kind == PT_DYNAMIC) {
            self.dynamic(&mut elf, dynamic, &segments)?;
        }
        Some(elf)
    }

    fn section(&mut self, header: &[u8], name: &str) -> Option<Section> {
        let (size, count) = (u16_at(header, 58)?, u16_at(header, 60)?);
        if size < 64 || count > SECTIONS {
            return None;
        }
        let table = self.piece(u64_at(header, 40)?, u64::from(size) * u64::from(count))?;
        let rows: Vec<&[u8]> = table.chunks_exact(usize::from(size)).collect();
        let place = |row: &[u8]| Some(Section { offset: u64_at(row, 24)?, size: u64_at(row, 32)? });
        let names = place(rows.get(usize::from(u16_at(header, 62)?))?)?;
        let names = self.piece(names.offset, Some(names.size).filter(|size| *size <= SECTION_NAMES)?)?;
        let is_it = |row: &&&[u8]| {
            let at = u32_at(row, 0).and_then(|at| usize::try_from(at).ok());
            let found = at.and_then(|at| names.get(at..)).and_then(|rest| rest.strip_prefix(name.as_bytes()));
            found.is_some_and(|rest| rest.first() == Some(&0)) && u32_at(row, 4) != Some(SHT_NOBITS)
        };
        place(rows.iter().find(is_it)?)
    }

    fn segments(&mut self, offset: u64, size: u16, count: u16) -> Option<Vec<Segment>> {
        if count == 0 {
            return Some(Vec::new());
        }
        if size < 56 || count > SEGMENTS {
            return None;
        }
        let table = self.piece(offset, u64::from(size) * u64::from(count))?;
        table
            .chunks_exact(usize::from(size))
            .map(|row| {
                Some(Segment {
                    kind: u32_at(row, 0)?,
                    offset: u64_at(row, 8)?,
                    address: u64_at(row, 16)?,
                    size: u64_at(row, 32)?,
                    align: u64_at(row, 48)?,
                })
            })
            .collect()
    }

    fn dynamic(&mut self, elf: &mut Elf, segment: &Segment, segments: &[Segment]) -> Option<()> {
        let table = self.piece(segment.offset, segment.size.min(DYNAMIC))?;
        let rows: Vec<(u64, u64)> = table
            .chunks_exact(16)
            .filter_map(|row| Some((u64_at(row, 0)?, u64_at(row, 8)?)))
            .take_while(|(tag, _)| *tag != 0)
            .collect();
        let Some((_, strings)) = rows.iter().find(|(tag, _)| *tag == DT_STRTAB) else { return Some(()) };
        let strings = file_offset(segments, *strings)?;
        for (tag, value) in rows {
            match tag {
                DT_NEEDED if elf.needed.len() < LIBRARIES => {
                    let name = self.text(strings.checked_add(value)?)?;
                    if !name.is_empty() && !elf.needed.contains(&name) {
                        elf.needed.push(name);
                    }
                }
                DT_SONAME => elf.soname = Some(self.text(strings.checked_add(value)?)?),
                DT_RPATH => elf.rpath = folders(&self.text(strings.checked_add(value)?)?),
                DT_RUNPATH => elf.runpath = Some(folders(&self.text(strings.checked_add(value)?)?)),
                DT_FLAGS_1 => elf.no_default = value & DF_1_NODEFLIB != 0,
                _ => {}
            }
        }
        Some(())
    }

    /// Exactly `size` bytes.
    fn piece(&mut self, offset: u64, size: u64) -> Option<Vec<u8>> {
        let mut piece = vec![0; usize::try_from(size).ok()?];
        let count = self.fill(&mut piece, offset)?;
        (count == piece.len()).then_some(piece)
    }

    /// The text up to the next zero byte.
    fn text(&mut self, offset: u64) -> Option<String> {
        let mut piece = [0; 256];
        let mut text = Vec::new();
        while text.len() < TEXT {
            let count = self.fill(&mut piece, offset.checked_add(text.len() as u64)?)?;
            if let Some(end) = piece[..count].iter().position(|byte| *byte == 0) {
                text.extend_from_slice(&piece[..end]);
                return String::from_utf8(text).ok();
            }
            if count < piece.len() {
                return None;
            }
            text.extend_from_slice(&piece);
        }
        None
    }

    fn fill(&mut self, buffer: &mut [u8], offset: u64) -> Option<usize> {
        match self.bytes.read_at(buffer, offset) {
            Ok(count) => Some(count),
            Err(error) => {
                self.failure = Some(error);
                None
            }
        }
    }
}

/// Where an address of the loaded program lies in the file.
fn file_offset(segments: &[Segment], address: u64) -> Option<u64> {
    let segment = segments.iter().find(|segment| {
        segment.kind == PT_LOAD && address >= segment.address && address - segment.address < segment.size
    })?;
    segment.offset.checked_add(address - segment.address)
}

fn folders(text: &str) -> Vec<String> {
    text.split(':').filter(|folder| !folder.is_empty()).map(str::to_owned).collect()
}

fn dlopen_notes(mut notes: &[u8], align: u64) -> Vec<Dlopen> {
    let align = if align == 8 { 8 } else { 4 };
    let mut found = Vec::new();
    while let (Some(name_size), Some(size), Some(kind)) =
        (u32_at(notes, 0), u32_at(notes, 4), u32_at(notes, 8))
    {
        let (name_size, size) = (name_size as usize, size as usize);
        let Some(start) = name_size.checked_add(12).map(|end| end.next_multiple_of(align)) else { break };
        let Some(end) = start.checked_add(size) else { break };
        let (Some(name), Some(content)) = (notes.get(12..12 + name_size), notes.get(start..end)) else {
            break;
        };
        if name == DLOPEN_OWNER && kind == DLOPEN_TYPE {
            let json = content.split(|byte| *byte == 0).next().unwrap_or_default();
            // A note of another form is no reason to refuse a file that runs.
            found.extend(serde_json::from_slice::<Vec<Dlopen>>(json).unwrap_or_default());
        }
        notes = notes.get(end.next_multiple_of(align)..).unwrap_or_default();
    }
    found
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}
