//! What pip's configuration says of indexes, as uv, which does not read that file, takes it.
//!
//! The format is that of Python's `configparser`
//! (<https://docs.python.org/3/library/configparser.html#supported-ini-file-structure>), the keys are those of
//! `pip install` (<https://pip.pypa.io/en/stable/topics/configuration/>), the variables those of uv
//! (<https://docs.astral.sh/uv/reference/environment/>).

/// Keys of pip with the variable of uv that means the same.
const KEYS: [(&str, &str); 4] = [
    ("index-url", "UV_DEFAULT_INDEX"),
    ("extra-index-url", "UV_INDEX"),
    ("find-links", "UV_FIND_LINKS"),
    ("trusted-host", "UV_INSECURE_HOST"),
];

/// The variables that `text` gives; `[install]` is stronger than `[global]`.
pub(super) fn for_uv(text: &str) -> Vec<(String, String)> {
    let entries = entries(text);
    let value = |section: &str, key: &str| {
        let found = entries.iter().rev().find(|entry| entry.section == section && entry.key == key)?;
        Some(found.values.join(" "))
    };
    KEYS.iter()
        .filter_map(|(key, variable)| {
            let value = value("install", key).or_else(|| value("global", key))?;
            (!value.is_empty()).then(|| ((*variable).to_owned(), value))
        })
        .collect()
}

struct Entry<'a> {
    section: &'a str,
    /// With `-` for `_`.
    key: String,
    values: Vec<&'a str>,
}

fn entries(text: &str) -> Vec<Entry<'_>> {
    let mut section = "";
    let mut entries: Vec<Entry<'_>> = Vec::new();
    for line in text.lines() {
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
            entries.push(Entry { section, key, values: value.split_whitespace().collect() });
        }
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::for_uv;

    #[test]
    fn indexes_of_pip_are_those_of_uv() {
        let text = "[global]\nindex_url = https://old.example/simple\nextra-index-url =\n    https://ci:word@one.example/simple\n\
                    \n    # a comment\n    https://two.example/simple\ntimeout = 60\n[install]\nindex-url: \
                    https://new.example/simple\n[freeze]\ntrusted-host = no.example\n";
        let expected = [
            ("UV_DEFAULT_INDEX", "https://new.example/simple"),
            ("UV_INDEX", "https://ci:word@one.example/simple https://two.example/simple"),
        ];
        let found = for_uv(text);
        let found: Vec<(&str, &str)> = found.iter().map(|(name, value)| (&**name, &**value)).collect();
        assert_eq!(found, expected);
    }
}
