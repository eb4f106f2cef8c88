//! What pip's configuration says of indexes, as uv, which does not read that file, takes it.
//!
//! The variables are those of uv (<https://docs.astral.sh/uv/reference/environment/>).

use crate::rootfs::endpoints::PipConf;

/// Keys of pip with the variable of uv that means the same.
const KEYS: [(&str, &str); 4] = [
    ("index-url", "UV_DEFAULT_INDEX"),
    ("extra-index-url", "UV_INDEX"),
    ("find-links", "UV_FIND_LINKS"),
    ("trusted-host", "UV_INSECURE_HOST"),
];

/// The variables that `text` gives.
pub(super) fn for_uv(text: &str) -> Vec<(String, String)> {
    let settings = PipConf::read(text);
    KEYS.iter()
        .filter_map(|(key, variable)| {
            let value = settings.of_install(key)?.value();
            (!value.is_empty()).then(|| ((*variable).to_owned(), value))
        })
        .collect()
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
