//! Folders that a front end may be built in, and whether programs of the app name them.

use super::Files;

/// The manifest of what builds front ends.
const MANIFEST: &str = "/package.json";
/// How deep, and how many, folders are looked at.
const DEPTH: usize = 3;
const FOLDERS: usize = 20;
/// Folders whose manifests make nothing for the app.
const NOT_THE_APP: [&str; 8] =
    ["docs", "e2e", "example", "examples", "node_modules", "test", "tests", "vendor"];

/// Folders below the app that hold a manifest, sorted; not those inside one of them.
pub(in crate::detect) fn folders<'a>(files: &Files<'a>) -> Vec<&'a str> {
    let mut found: Vec<&str> = Vec::new();
    for folder in files.paths().filter_map(|path| path.strip_suffix(MANIFEST)) {
        let parts = || folder.split('/');
        if found.len() < FOLDERS
            && parts().count() <= DEPTH
            && !parts().any(|part| part.starts_with('.') || NOT_THE_APP.contains(&part))
            && !found.iter().any(|other| is_below(folder, other))
        {
            found.push(folder);
        }
    }
    found
}

/// Whether `text` of a program names the folder, something in it, or its last part, as texts do that are joined to a
/// path. A folder `static_src` goes by the name of the one around it, as django-tailwind wants it.
pub(super) fn is_named(folder: &str, text: &str) -> bool {
    let text = text.trim_matches('/').trim_start_matches("./").trim_start_matches("../");
    let (around, last) = folder.rsplit_once('/').unwrap_or(("", folder));
    is_below(text, folder)
        || text.split('/').any(|part| part == last)
        || (last == "static_src" && !around.is_empty() && text == around)
}

/// Whether `path` is `folder` or in there.
pub(super) fn is_below(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::tests::source;

    #[test]
    fn manifests_below_the_app_are_found_but_not_those_of_others() {
        let source = source(&[
            ("package.json", ""),
            ("web/package.json", ""),
            ("web/packages/a/package.json", ""),
            ("web2/package.json", ""),
            ("theme/static_src/package.json", ""),
            ("a/b/c/d/package.json", ""),
            ("docs/package.json", ""),
            (".github/action/package.json", ""),
        ]);
        assert_eq!(folders(&Files::new(&source, "")), ["theme/static_src", "web", "web2"]);
    }

    #[test]
    fn a_folder_is_named_by_paths_and_by_parts_of_paths() {
        for (folder, text, named) in [
            ("frontend", "frontend/dist", true),
            ("frontend", "../frontend/dist/", true),
            ("apps/shop", "shop", true),
            ("frontend", "frontends", false),
            ("frontend", "frontend.js", false),
            ("theme/static_src", "theme", true),
            ("theme/src", "theme", false),
        ] {
            assert_eq!(is_named(folder, text), named, "{folder} {text}");
        }
    }
}
