//! Facts of Go: `go.mod`, `go.work`, main packages, cgo, embedded files.

mod cgo;
mod constraint;
mod module;
mod program;
mod vendor;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::iter;

use serde::Serialize;

use super::{Files, Located, front_end, located};
use crate::detect::Error;

/// Folders whose main packages are not the app.
const NOT_THE_APP: [&str; 10] =
    ["internal", "tools", "hack", "scripts", "test", "e2e", "example", "examples", "testdata", "vendor"];

/// The most files that are scanned for main packages, cgo and embedded files.
const FILE_LIMIT: usize = 20_000;

/// What the source says about Go.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own that conditions name")]
pub struct Go {
    /// The module's path.
    pub module: Option<String>,
    /// Statements of the wanted version in order of precedence: `.go-version`, `.tool-versions`, `toolchain` of
    /// `go.work` and `go.mod`, `go` of `go.mod` (key `go`: a minimum).
    pub versions: Vec<Located>,
    /// Modules that the root's module and those of `go.work` require: version by path.
    pub requires: BTreeMap<String, String>,
    /// Whether there is a `go.sum` or `go.work.sum`.
    pub has_sum: bool,
    /// Whether `vendor/modules.txt` exists.
    pub vendored: bool,
    /// What `vendor/modules.txt` has otherwise than the module of the app requires.
    pub vendor_drift: Vec<String>,
    /// Whether `go.work` exists.
    pub workspace: bool,
    /// Folders of main packages in the app's folder (`.`, `cmd/server`), sorted; those of tools, examples and tests are left out.
    pub mains: Vec<String>,
    /// Whether a package of the source cannot be built without a C compiler.
    pub cgo: bool,
    /// Libraries besides C's own that the C code of these packages is linked with, sorted.
    pub cgo_libraries: Vec<String>,
    /// Whether no package imports anything besides Go's standard library.
    pub standard: bool,
    /// Files and folders below the app's folder that texts of programs name, and that are no sources of Go, sorted:
    /// what the app may read while it runs. What a front end makes is not there yet.
    pub reads: Vec<String>,
    /// Patterns of `//go:embed`, relative to the source, sorted.
    pub embeds: Vec<String>,
    /// Folders with a `package.json` that its programs embed or name, sorted.
    pub front_ends: Vec<String>,
    /// Folders outside the source that `replace` and `use` name: `example.com/x => ../x`.
    pub replaces_outside: Vec<String>,
}

/// Whether anything of Go stands at the root, or it is a folder with programs in a module that begins above it.
pub(super) fn is_present(files: &Files<'_>) -> bool {
    let is_in_module = || above(files.folder()).any(|folder| has_module(&files.whole(), folder));
    files.has("go.mod")
        || files.has("go.work")
        || files.at_root(".go").next().is_some()
        || (files.paths().any(is_program) && is_in_module())
}

/// Whether `folder` has programs of a module that begins above it, or of one that `go.work` at the root of the source
/// uses.
pub(super) fn has_member(files: &Files<'_>, folder: &str) -> Result<bool, Error> {
    let work = module::read(files, "go.work")?.unwrap_or_default();
    Ok(work.uses.iter().any(|used| used == folder)
        || (!has_module(files, folder)
            && above(folder).any(|above| has_module(files, above))
            && files.paths().filter_map(|path| relative(path, folder)).any(is_program)))
}

fn is_program(path: &str) -> bool {
    path.strip_suffix(".go").is_some_and(|stem| !stem.ends_with("_test"))
}

fn has_module(files: &Files<'_>, folder: &str) -> bool {
    files.has(&below(folder, "go.mod"))
}

/// `folder` and all above it, the source itself (an empty text) last.
fn above<'a>(folder: &'a str) -> impl Iterator<Item = &'a str> {
    let next = |folder: &&'a str| {
        let folder: &'a str = folder;
        (!folder.is_empty()).then(|| folder.rsplit_once('/').map_or("", |(above, _)| above))
    };
    iter::successors(Some(folder), next)
}

/// `path` in `folder`; an empty one is the source itself.
fn below(folder: &str, path: &str) -> String {
    if folder.is_empty() { path.to_owned() } else { format!("{folder}/{path}") }
}

/// Reads the facts of Go: of the module that the folder is in, and of the workspace around it.
pub(super) fn read(files: &Files<'_>) -> Result<Go, Error> {
    let app = files.folder();
    let whole = &files.whole();
    let home = above(app).find(|folder| has_module(whole, folder)).unwrap_or_default();
    let in_home = |name: &str| whole.has(&below(home, name));
    let work = module::read(whole, "go.work")?;
    let work = work.filter(|work| app.is_empty() || work.uses.iter().any(|used| used == home));
    let mut facts = Go {
        has_sum: in_home("go.sum") || (work.is_some() && whole.has("go.work.sum")),
        vendored: in_home("vendor/modules.txt") || (work.is_some() && whole.has("vendor/modules.txt")),
        workspace: work.is_some(),
        ..Go::default()
    };
    for files in [Some(files), (!app.is_empty()).then_some(whole)].into_iter().flatten() {
        facts.versions.extend(located::version_file(files, ".go-version")?);
        facts.versions.extend(located::tool_versions(files, &["golang", "go"])?);
        facts.versions.extend(located::mise(files, &["go", "golang"])?);
    }
    let work = work.unwrap_or_default();
    let module = module::read(whole, &below(home, "go.mod"))?.unwrap_or_default();
    facts.versions.extend(work.toolchain);
    facts.versions.extend(module.toolchain);
    facts.versions.extend(module.go.or(work.go));
    for version in &mut facts.versions {
        if let Some(number) = version.value.strip_prefix("go") {
            version.value = number.to_owned();
        }
    }
    facts.module = module.path;
    let vendored = below(home, "vendor/modules.txt");
    if !facts.workspace
        && let Some(text) = whole.text(&vendored)?
    {
        facts.vendor_drift = vendor::drift(&module.requires, &text);
    }
    facts.requires = module.requires;
    facts.replaces_outside = work.replaces_outside;
    facts.replaces_outside.extend(module.replaces_outside);
    let mut ours = work.replaces;
    ours.extend(module.replaces);
    for folder in work.uses.iter().filter(|folder| *folder != home) {
        let Some(module) = module::read(whole, &below(folder, "go.mod"))? else { continue };
        facts.has_sum |= whole.has(&below(folder, "go.sum"));
        facts.requires.extend(module.requires);
        facts.replaces_outside.extend(module.replaces_outside);
        ours.extend(module.replaces);
    }
    scan(files, home, &work.uses, &ours, &mut facts);
    Ok(facts)
}

/// Reads the packages of the module at `home`, of the modules that `go.work` uses, and of those in `ours`, which are
/// compiled along but have no program of the app. Programs of the app are those in its folder.
fn scan(files: &Files<'_>, home: &str, uses: &[String], ours: &[String], facts: &mut Go) {
    let app = files.folder();
    let files = &files.whole();
    let uses: BTreeSet<&str> = uses.iter().map(String::as_str).chain([home]).collect();
    let ours: BTreeSet<&str> =
        ours.iter().map(String::as_str).filter(|folder| !uses.contains(folder)).collect();
    let modules: BTreeSet<&str> =
        files.paths().filter_map(|path| path.strip_suffix("/go.mod")).chain([home]).collect();
    let mut mains = BTreeSet::new();
    let mut embeds = BTreeSet::new();
    let mut libraries = BTreeSet::new();
    let mut texts = BTreeSet::new();
    facts.standard = true;
    let programs = files.paths().filter(|path| is_program(path));
    for path in programs.take(FILE_LIMIT) {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let owner = above(folder).find(|folder| modules.contains(folder));
        let is_compiled = owner.is_some_and(|owner| uses.contains(owner) || ours.contains(owner));
        if is_ignored(folder, name) || !is_compiled {
            continue;
        }
        let Some(text) = files.program(path) else { continue };
        let Some(program) = program::read(&text) else { continue };
        let fits = |cgo| constraint::ARCHITECTURES.iter().any(|arch| program.fits(name, arch, cgo));
        if !fits(false) && !fits(true) {
            continue;
        }
        // With cgo off the go command leaves out files that import "C". When the file asks for cgo itself, there
        // is a counterpart for builds without.
        if program.imports_c && fits(false) {
            facts.cgo = true;
            libraries.extend(cgo::libraries(&text));
        }
        embeds.extend(program.embeds.iter().map(|pattern| below(folder, pattern)));
        facts.standard &= program.standard;
        texts.extend(program.texts);
        if let Some(folder) = relative(folder, app)
            && program.package == "main"
            && !is_within(folder, &ours)
            && !folder.split('/').any(|part| NOT_THE_APP.contains(&part))
        {
            mains.insert(if folder.is_empty() { "." } else { folder });
        }
    }
    facts.mains = mains.into_iter().map(str::to_owned).collect();
    facts.cgo_libraries = libraries.into_iter().collect();
    let here = &files.of(app);
    let embedded: Vec<&str> = embeds.iter().filter_map(|pattern| relative(pattern, app)).collect();
    let is_named = |folder: &&str| {
        embedded.iter().any(|pattern| front_end::is_below(pattern, folder))
            || texts.iter().any(|text| front_end::is_named(folder, text))
    };
    let front_ends: Vec<&str> = front_end::folders(here).into_iter().filter(is_named).collect();
    facts.reads = reads(here, &texts);
    facts.reads.extend(made(here, &front_ends, &embedded, &texts));
    facts.reads.sort();
    facts.front_ends = front_ends.into_iter().map(str::to_owned).collect();
    facts.embeds = embeds.into_iter().collect();
}

/// What `texts` name in folders of front ends that is not there: their builds make it. What is embedded is in the
/// program.
fn made(
    files: &Files<'_>,
    front_ends: &[&str],
    embedded: &[&str],
    texts: &BTreeSet<String>,
) -> BTreeSet<String> {
    let path = |text: &'_ str| text.strip_prefix("./").unwrap_or(text).trim_end_matches('/').to_owned();
    let is_made = |path: &String| {
        front_ends.iter().any(|folder| path != folder && front_end::is_below(path, folder))
            && !path.contains(['*', '?', '['])
            && !path.split('/').any(|part| part == "..")
            && !files.paths().any(|file| front_end::is_below(file, path))
            && !embedded
                .iter()
                .any(|pattern| front_end::is_below(pattern, path) || front_end::is_below(path, pattern))
    };
    texts.iter().map(|text| path(text)).filter(is_made).collect()
}

/// What `texts` name among the files: a file, a folder without programs, or the folder of a pattern.
fn reads(files: &Files<'_>, texts: &BTreeSet<String>) -> Vec<String> {
    let mut folders: BTreeMap<&str, bool> = BTreeMap::new();
    let mut paths = BTreeSet::new();
    for path in files.paths().filter(|path| !path.split('/').any(|part| part.starts_with('.'))) {
        paths.insert(path);
        for folder in above(path).skip(1).filter(|folder| !folder.is_empty()) {
            *folders.entry(folder).or_default() |= is_source(path);
        }
    }
    let mut found = BTreeSet::new();
    for text in texts {
        let text = text.strip_prefix("./").unwrap_or(text).trim_end_matches('/');
        let folder =
            text.find(['*', '?', '[']).map(|at| text[..at].rsplit_once('/').map_or("", |(above, _)| above));
        let name = folder.unwrap_or(text);
        if folders.get(name) == Some(&false) || (paths.contains(name) && !is_source(name)) {
            found.insert(name.to_owned());
        }
    }
    found.into_iter().collect()
}

/// What only the go command reads.
fn is_source(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.strip_suffix(".go").is_some() || ["go.mod", "go.sum", "go.work", "go.work.sum"].contains(&name)
}

/// Whether the go command ignores the file, or it belongs to somebody else.
fn is_ignored(folder: &str, name: &str) -> bool {
    let hidden = |part: &str| part.starts_with(['.', '_']);
    hidden(name) || folder.split('/').any(|part| hidden(part) || part == "vendor" || part == "testdata")
}

/// Whether `folder` or one above it is among `modules`.
fn is_within(folder: &str, modules: &BTreeSet<&str>) -> bool {
    above(folder).any(|folder| modules.contains(folder))
}

/// `folder` as seen from `app`, when it is in there.
fn relative<'a>(folder: &'a str, app: &str) -> Option<&'a str> {
    let rest = folder.strip_prefix(app)?;
    if app.is_empty() || rest.is_empty() { Some(rest) } else { rest.strip_prefix('/') }
}
