//! Facts of static sites: `Staticfile`, folders that have an `index.html`, builders.
//!
//! `Staticfile` is YAML, after Cloud Foundry's buildpack
//! (<https://docs.cloudfoundry.org/buildpacks/staticfile/>): `root`, `pushstate` or `index_fallback`, `directory`,
//! `host_dot_files`. A switch is on with `true`, `enabled` and `visible`.

use serde::{Deserialize, Serialize};

use super::Files;
use crate::detect::Error;
use crate::detect::error::Malformed;

const FILE: &str = "Staticfile";
/// The largest text that is given to the parser of YAML, in bytes: people write it by hand.
const LIMIT: usize = 64 << 10;
/// Folders that builders write to, in the order in which they count.
const ROOTS: [&str; 7] = ["public", "dist", "build", "out", "_site", "site", "www"];
/// What tells that a site is made by Hugo.
const HUGO: [&str; 3] = ["hugo.toml", "hugo.yaml", "hugo.json"];

/// What the source says about a site.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Site {
    /// What `Staticfile` says.
    pub staticfile: Option<Staticfile>,
    /// The folder with the first page: one of those that builders write to, else `.`.
    pub index: Option<String>,
    /// Whether the site is made by Hugo.
    pub hugo: bool,
}

/// The `Staticfile`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the file")]
pub struct Staticfile {
    /// The folder that is served, relative to the source.
    pub root: Option<String>,
    /// Whether views of a single-page app get its page.
    pub fallback: bool,
    /// Whether folders are listed.
    pub directory: bool,
    /// Whether files are served whose names begin with a dot.
    pub dot_files: bool,
    /// Whether visitors must give a password.
    pub basic_auth: bool,
}

/// As it is written.
#[derive(Debug, Default, Deserialize)]
struct Written {
    root: Option<String>,
    pushstate: Option<Switch>,
    index_fallback: Option<Switch>,
    directory: Option<Switch>,
    host_dot_files: Option<Switch>,
    basic_auth: Option<Switch>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Switch {
    Flag(bool),
    Word(String),
}

impl Switch {
    fn is_on(switch: Option<&Self>) -> bool {
        match switch {
            Some(Self::Flag(flag)) => *flag,
            Some(Self::Word(word)) => matches!(word.as_str(), "enabled" | "visible" | "on" | "yes"),
            None => false,
        }
    }
}

/// Whether anything is there that could be served.
pub(super) fn is_present(files: &Files<'_>) -> bool {
    files.has(FILE) || is_hugo(files) || index(files).is_some()
}

/// Reads the facts of a site.
pub(super) fn read(files: &Files<'_>) -> Result<Site, Error> {
    Ok(Site { staticfile: staticfile(files)?, index: index(files), hugo: is_hugo(files) })
}

impl Site {
    /// Every member present, for checking names.
    pub(super) fn shape() -> Self {
        Self { staticfile: Some(Staticfile::default()), ..Self::default() }
    }
}

fn is_hugo(files: &Files<'_>) -> bool {
    let with_content = |name: &str| files.has(name) && files.root().iter().any(|folder| folder == "content");
    HUGO.iter().any(|name| files.has(name))
        || ["config.toml", "config.yaml"].iter().any(|name| with_content(name))
}

fn index(files: &Files<'_>) -> Option<String> {
    let root =
        ROOTS.iter().find(|root| files.has(&format!("{root}/index.html"))).map(|root| (*root).to_owned());
    root.or_else(|| files.has("index.html").then(|| ".".to_owned()))
}

fn staticfile(files: &Files<'_>) -> Result<Option<Staticfile>, Error> {
    let Some(text) = files.text(FILE)? else { return Ok(None) };
    let fail = |place: (usize, usize), problem: String| {
        let hint = "the form is YAML: `root: dist` and `index_fallback: true`, each on its line";
        Error::from(Malformed::at("static/staticfile-invalid", FILE, &text, place, problem, hint))
    };
    if text.len() > LIMIT {
        return Err(fail((1, 1), format!("is not valid: it has more than {} KB", LIMIT >> 10)));
    }
    // Nothing but comments is an empty document, which stands for the defaults.
    let is_blank = text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#'));
    let written: Written = if is_blank {
        Written::default()
    } else {
        serde_saphyr::from_str(&text).map_err(|error| {
            let place = error.location().map_or((1, 1), |place| {
                (usize::try_from(place.line()).unwrap_or(1), usize::try_from(place.column()).unwrap_or(1))
            });
            fail(place, "is not valid YAML of a Staticfile".to_owned())
        })?
    };
    let root = written.root.map(|root| clean(&root).ok_or(root)).transpose().map_err(|root| {
        let line =
            text.lines().position(|line| line.trim_start().starts_with("root")).map_or(1, |line| line + 1);
        fail((line, 1), format!("names the root `{root}`, which is outside the source"))
    })?;
    Ok(Some(Staticfile {
        root,
        fallback: Switch::is_on(written.pushstate.as_ref()) || Switch::is_on(written.index_fallback.as_ref()),
        directory: Switch::is_on(written.directory.as_ref()),
        dot_files: Switch::is_on(written.host_dot_files.as_ref()),
        basic_auth: written.basic_auth.is_some_and(|auth| !matches!(auth, Switch::Flag(false)))
            || files.has("Staticfile.auth"),
    }))
}

/// A folder of the source: `./dist/` → `dist`, `.` stays.
fn clean(folder: &str) -> Option<String> {
    let parts: Vec<&str> = folder.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    let is_inside = !folder.starts_with('/') && !parts.contains(&"..");
    is_inside.then(|| if parts.is_empty() { ".".to_owned() } else { parts.join("/") })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::Files;
    use crate::detect::tests::{refused, source};

    fn facts(files: &[(&str, &str)]) -> serde_json::Value {
        let source = source(files);
        serde_json::to_value(super::read(&Files::new(&source, "")).unwrap()).unwrap()
    }

    #[test]
    fn a_staticfile_is_yaml() {
        let text = "# ours\nroot: ./web/\npushstate: enabled\ndirectory: visible\nhost_dot_files: true\nother: [1]\n";
        assert_eq!(
            facts(&[("Staticfile", text)])["staticfile"],
            json!({
                "root": "web", "fallback": true, "directory": true, "dot_files": true, "basic_auth": false,
            })
        );
        let defaults = json!({
            "root": null, "fallback": false, "directory": false, "dot_files": false, "basic_auth": false,
        });
        for text in ["", "# nothing\n", "index_fallback: false\ndirectory: disabled\n"] {
            assert_eq!(facts(&[("Staticfile", text)])["staticfile"], defaults, "{text}");
        }
        assert_eq!(facts(&[("Staticfile", ""), ("Staticfile.auth", "x")])["staticfile"]["basic_auth"], true);
    }

    #[test]
    fn the_first_folder_of_a_builder_with_a_page_counts() {
        let index = |files: &[(&str, &str)]| facts(files)["index"].clone();
        assert_eq!(index(&[("index.html", ""), ("dist/index.html", "")]), "dist");
        assert_eq!(index(&[("dist/index.html", ""), ("public/index.html", "")]), "public");
        assert_eq!(index(&[("index.html", ""), ("dist/app.js", "")]), ".");
        assert_eq!(index(&[("web/index.html", "")]), json!(null));
    }

    #[test]
    fn broken_staticfiles_are_shown_at_their_place() {
        let texts = ["root: [\n", "root: ../elsewhere\n", "- a list\n", "root: &a [*a]\n"];
        let refusals: Vec<String> = texts.iter().map(|text| refused(&[("Staticfile", text)])).collect();
        insta::assert_snapshot!(refusals.join("\n"));
    }
}
