//! ELF files for tests: what a loader reads of them, and no code.

/// What a file asks of the loader.
#[derive(Clone, Debug, Default)]
pub(crate) struct Elf {
    pub(crate) machine: u16,
    pub(crate) interpreter: Option<&'static str>,
    pub(crate) soname: Option<&'static str>,
    pub(crate) needed: Vec<&'static str>,
    pub(crate) rpath: Option<&'static str>,
    pub(crate) runpath: Option<&'static str>,
    /// The JSON text of a note about `dlopen`.
    pub(crate) dlopen: Option<&'static str>,
    /// Sections by name, with their bytes. They are no part of what is loaded.
    pub(crate) sections: Vec<(&'static str, Vec<u8>)>,
}

/// The address at which the file is loaded.
const BASE: u64 = 0x40_0000;

impl Elf {
    /// For x86-64.
    pub(crate) fn new() -> Self {
        Self { machine: 62, ..Self::default() }
    }

    pub(crate) fn needs(mut self, names: &[&'static str]) -> Self {
        self.needed = names.to_vec();
        self
    }

    pub(crate) fn named(mut self, soname: &'static str) -> Self {
        self.soname = Some(soname);
        self
    }

    pub(crate) fn section(mut self, name: &'static str, bytes: Vec<u8>) -> Self {
        self.sections.push((name, bytes));
        self
    }

    /// The bytes of the file.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut strings = vec![0];
        let mut text = |value: &str| {
            let at = strings.len() as u64;
            strings.extend_from_slice(value.as_bytes());
            strings.push(0);
            at
        };
        let mut rows: Vec<(u64, u64)> = self.needed.iter().map(|name| (1, text(name))).collect();
        for (tag, value) in [(14, self.soname), (15, self.rpath), (29, self.runpath)] {
            rows.extend(value.map(|value| (tag, text(value))));
        }
        let interpreter = self.interpreter.map(|path| [path.as_bytes(), b"\0"].concat()).unwrap_or_default();
        let note = self.dlopen.map(note).unwrap_or_default();
        let kinds: Vec<u32> = [(3, interpreter.is_empty()), (4, note.is_empty())]
            .into_iter()
            .filter_map(|(kind, absent)| (!absent).then_some(kind))
            .collect();
        let headers = 64 + 56 * (2 + kinds.len() as u64);
        let strings_at = headers;
        let interpreter_at = strings_at + strings.len() as u64;
        let note_at = (interpreter_at + interpreter.len() as u64).next_multiple_of(4);
        let dynamic_at = (note_at + note.len() as u64).next_multiple_of(16);
        rows.extend([(5, BASE + strings_at), (10, strings.len() as u64), (0, 0)]);
        let end = dynamic_at + 16 * rows.len() as u64;

        let mut file = Vec::new();
        file.extend_from_slice(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
        file.extend_from_slice(&3_u16.to_le_bytes());
        file.extend_from_slice(&self.machine.to_le_bytes());
        file.extend_from_slice(&1_u32.to_le_bytes());
        for value in [0_u64, 64, 0] {
            file.extend_from_slice(&value.to_le_bytes());
        }
        file.extend_from_slice(&0_u32.to_le_bytes());
        for value in [64_u16, 56, 2 + u16::try_from(kinds.len()).unwrap(), 0, 0, 0] {
            file.extend_from_slice(&value.to_le_bytes());
        }
        segment(&mut file, 1, 0, end, 0x1000);
        segment(&mut file, 2, dynamic_at, 16 * rows.len() as u64, 8);
        for kind in kinds {
            match kind {
                3 => segment(&mut file, 3, interpreter_at, interpreter.len() as u64, 1),
                _ => segment(&mut file, 4, note_at, note.len() as u64, 4),
            }
        }
        file.extend_from_slice(&strings);
        file.extend_from_slice(&interpreter);
        file.resize(usize::try_from(note_at).unwrap(), 0);
        file.extend_from_slice(&note);
        file.resize(usize::try_from(dynamic_at).unwrap(), 0);
        for (tag, value) in rows {
            file.extend_from_slice(&tag.to_le_bytes());
            file.extend_from_slice(&value.to_le_bytes());
        }
        if !self.sections.is_empty() {
            self.add_sections(&mut file);
        }
        file
    }

    /// Appends the sections, that with their names, and the table.
    fn add_sections(&self, file: &mut Vec<u8>) {
        let mut names = vec![0];
        let mut table = vec![0; 64];
        let text: Vec<u8> =
            self.sections.iter().flat_map(|(name, _)| [name.as_bytes(), b"\0"].concat()).collect();
        let all = self.sections.iter().map(|(name, bytes)| (*name, bytes.clone()));
        let last = (".shstrtab", [&b"\0"[..], &text, b".shstrtab\0"].concat());
        for (name, bytes) in all.chain([last]) {
            file.resize(file.len().next_multiple_of(16), 0);
            let mut row = [0; 64];
            row[..4].copy_from_slice(&u32::try_from(names.len()).unwrap().to_le_bytes());
            row[4] = 1;
            row[24..32].copy_from_slice(&(file.len() as u64).to_le_bytes());
            row[32..40].copy_from_slice(&(bytes.len() as u64).to_le_bytes());
            table.extend_from_slice(&row);
            names.extend_from_slice(&[name.as_bytes(), b"\0"].concat());
            file.extend_from_slice(&bytes);
        }
        file.resize(file.len().next_multiple_of(16), 0);
        let at = file.len() as u64;
        file[40..48].copy_from_slice(&at.to_le_bytes());
        let count = u16::try_from(self.sections.len() + 2).unwrap();
        for (at, value) in [(58, 64), (60, count), (62, count - 1)] {
            file[at..at + 2].copy_from_slice(&value.to_le_bytes());
        }
        file.extend_from_slice(&table);
    }
}

/// What Go's linker writes into the section `.go.buildinfo`: its version, and lines about modules.
pub(crate) fn build_info(go: &str, modules: &str) -> Vec<u8> {
    let mut record = b"\xff Go buildinf:\x08\x02".to_vec();
    record.resize(32, 0);
    for text in [go.as_bytes(), &framed(modules)] {
        let mut length = text.len();
        while length >= 128 {
            record.push(u8::try_from(length % 128).unwrap() | 0x80);
            length /= 128;
        }
        record.push(u8::try_from(length).unwrap());
        record.extend_from_slice(text);
    }
    record
}

/// Lines about modules between the marks that Go puts around them.
pub(crate) fn framed(modules: &str) -> Vec<u8> {
    let marks: [&[u8]; 2] = [
        b"\x30\x77\xaf\x0c\x92\x74\x08\x02\x41\xe1\xc1\x07\xe6\xd6\x18\xe6",
        b"\xf9\x32\x43\x31\x86\x18\x20\x72\x00\x82\x42\x10\x41\x16\xd8\xf2",
    ];
    [marks[0], modules.as_bytes(), marks[1]].concat()
}

fn segment(file: &mut Vec<u8>, kind: u32, offset: u64, size: u64, align: u64) {
    file.extend_from_slice(&kind.to_le_bytes());
    file.extend_from_slice(&4_u32.to_le_bytes());
    for value in [offset, BASE + offset, BASE + offset, size, size, align] {
        file.extend_from_slice(&value.to_le_bytes());
    }
}

/// A note as <https://systemd.io/ELF_DLOPEN_METADATA/> describes it.
fn note(json: &str) -> Vec<u8> {
    let mut note = Vec::new();
    let size = u32::try_from(json.len() + 1).unwrap();
    for value in [4_u32, size, 0x407c_0c0a] {
        note.extend_from_slice(&value.to_le_bytes());
    }
    note.extend_from_slice(b"FDO\0");
    note.extend_from_slice(json.as_bytes());
    note.push(0);
    note.resize(note.len().next_multiple_of(4), 0);
    note
}
