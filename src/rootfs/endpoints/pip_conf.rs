//! pip's configuration files. The format is that of Python's `configparser`
//! (<https://docs.python.org/3/library/configparser.html#supported-ini-file-structure>), the keys are those of
//! `pip install` (<https://pip.pypa.io/en/stable/topics/configuration/>).

/// What a file says, in its order.
pub(crate) struct PipConf<'a>(Vec<Entry<'a>>);

/// A key of a section with its value.
pub(crate) struct Entry<'a> {
    section: &'a str,
    /// With `-` for `_`.
    key: String,
    /// From 1.
    pub(super) line: usize,
    /// The words of the value.
    values: Vec<&'a str>,
}

impl Entry<'_> {
    /// The value in one line.
    pub(crate) fn value(&self) -> String {
        self.values.join(" ")
    }
}

impl<'a> PipConf<'a> {
    /// Reads the text of a file.
    pub(crate) fn read(text: &'a str) -> Self {
        let mut section = "";
        let mut entries: Vec<Entry<'_>> = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let trimmed = line.trim();
            if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
                continue;
            }
            // An indented line goes on with the value before it.
            if let Some(last) = entries.last_mut().filter(|_| line.starts_with([' ', '\t'])) {
                last.values.extend(trimmed.split_whitespace());
            } else if let Some(name) = trimmed.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                section = name;
            } else if let Some((key, value)) = trimmed.split_once(['=', ':']) {
                let key = key.trim().to_ascii_lowercase().replace('_', "-");
                let values = value.split_whitespace().collect();
                entries.push(Entry { section, key, line: number + 1, values });
            }
        }
        Self(entries)
    }

    /// What counts for `pip install`: `[install]` is stronger than `[global]`.
    pub(crate) fn of_install(&self, key: &str) -> Option<&Entry<'a>> {
        let of =
            |section: &str| self.0.iter().rev().find(|entry| entry.section == section && entry.key == key);
        of("install").or_else(|| of("global"))
    }
}
