//! What a file is, by the end of its name, and how long browsers may keep it.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

/// What is said of files that nothing is known of.
const UNKNOWN: Media = Media { name: "application/octet-stream", compress: false };

/// For files whose name changes with their content.
const FOREVER: &str = "public, max-age=31536000, immutable";
/// For all others: they are kept, and asked for each time whether they have changed.
const REVALIDATED: &str = "no-cache";

/// Folders in which a builder puts only files whose names change with their content: `Next.js`, Astro, `SvelteKit`, Nuxt.
const HASHED_FOLDERS: [&str; 4] = ["_next/static/", "_astro/", "_app/immutable/", "_nuxt/"];

const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";

/// A media type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Media {
    pub(super) name: &'static str,
    pub(super) compress: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[serde(rename = "type")]
    types: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    name: String,
    extensions: Vec<String>,
    #[serde(default)]
    compress: bool,
}

static TYPES: LazyLock<BTreeMap<String, Media>> = LazyLock::new(|| {
    let table: Table = toml::from_str(include_str!("media-types.toml")).expect("the table of types is valid");
    let rows = table.types.into_iter().flat_map(|row| {
        let media = Media { name: row.name.leak(), compress: row.compress };
        row.extensions.into_iter().map(move |extension| (extension, media))
    });
    rows.collect()
});

/// The type of the file at `path`.
pub(super) fn of(path: &str) -> Media {
    let name = path.rsplit('/').next().unwrap_or(path);
    let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
    extension.and_then(|extension| TYPES.get(&extension).copied()).unwrap_or(UNKNOWN)
}

/// The `Cache-Control` of the file at `path`, relative to the site's root.
pub(super) fn cache_control(path: &str) -> &'static str {
    let html = of(path).name.starts_with("text/html");
    let in_folder = HASHED_FOLDERS.iter().any(|folder| path.starts_with(folder));
    if !html && (in_folder || has_hash(path)) { FOREVER } else { REVALIDATED }
}

/// Whether the name holds a digest before its extension: `index-BxT3k9Qz.js`, `main.3f2a9c1b.css`. What may be a word
/// is none: a file that is kept for a year under a name that stays is a broken site.
fn has_hash(path: &str) -> bool {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let parts: Vec<&str> = name.split('.').collect();
    // The map of a file has both endings: `main.3f2a9c1b.js.map`.
    let ([stems @ .., "js" | "css", "map"] | [stems @ .., _]) = parts.as_slice() else { return false };
    let Some(stem) = stems.last() else { return false };
    if stems.len() > 1 && is_digest(stem) {
        return true;
    }
    if stem.rsplit_once('-').is_some_and(|(before, hash)| !before.is_empty() && is_digest(hash)) {
        return true;
    }
    // Vite's digests have eight characters, of which one may be the hyphen, and not always a digit among them. In its
    // folder all programs and styles have one.
    let tail = stem.char_indices().rev().nth(7).map_or("", |(at, _)| &stem[at..]);
    let in_assets =
        folder.split('/').next_back() == Some("assets") && matches!(of(path).name, JAVASCRIPT | CSS);
    stem[..stem.len() - tail.len()].ends_with('-') && (is_mixed(tail) || (in_assets && has_both_cases(tail)))
}

fn is_digest(text: &str) -> bool {
    let has = |test: fn(char) -> bool| text.contains(test);
    let digit = has(|c| c.is_ascii_digit());
    let hex =
        text.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f')) && digit && has(|c| c.is_ascii_lowercase());
    let base32 = text.len() == 8 && text.chars().all(|c| matches!(c, 'A'..='Z' | '2'..='7')) && digit;
    (8..=64).contains(&text.len()) && (hex || base32 || is_mixed(text))
}

/// Letters of both cases and a digit, as in base 64.
fn is_mixed(text: &str) -> bool {
    text.contains(|c: char| c.is_ascii_digit()) && has_both_cases(text)
}

/// A capital letter besides one at the beginning counts.
fn has_both_cases(text: &str) -> bool {
    text.len() >= 8
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
        && text.contains(|c: char| c.is_ascii_lowercase())
        && text.chars().skip(1).any(|c| c.is_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::{FOREVER, REVALIDATED, cache_control, of};

    #[test]
    fn types_follow_the_end_of_the_name() {
        assert_eq!(of("a/app.wasm").name, "application/wasm");
        assert_eq!(of("a.b/app.MJS").name, "text/javascript; charset=utf-8");
        assert_eq!(of("site.webmanifest").name, "application/manifest+json");
        assert_eq!(of("a.html/LICENSE").name, "application/octet-stream");
        assert!(of("logo.svg").compress && !of("photo.jpg").compress);
    }

    #[test]
    fn only_names_that_change_with_their_content_are_kept_forever() {
        for path in [
            "assets/index-BxT3k9Qz.js",
            "assets/index-D_x-9kQz.css",
            "assets/index-DxYzKwQz.css",
            "static/js/main.3f2a9c1b.js",
            "static/js/main.3f2a9c1b.js.map",
            "chunk-5QZB3TXC.js",
            "_next/static/chunks/framework.js",
            "_astro/hoisted.css",
        ] {
            assert_eq!(cache_control(path), FOREVER, "{path}");
        }
        for path in [
            "index.html",
            "_astro/page.html",
            "app.js",
            "assets/logo.png",
            "jquery-3.7.1.min.js",
            "my-stylesheet.css",
            "service-worker.js",
            "photo-20240131.jpg",
            "bootstrap-datepicker.js",
            "report.20240131.pdf",
            "main.decorate.js",
            "holiday-IMG_1234.jpg",
            "holiday-MyPhotos.jpg",
            "assets/holiday-MyPhotos.jpg",
            "components-MyButton.js",
        ] {
            assert_eq!(cache_control(path), REVALIDATED, "{path}");
        }
    }
}
