//! Maven's repository: a mirror of `central` in `settings.xml` (<https://maven.apache.org/settings.html#mirrors>),
//! else the address that the installed Maven carries in itself
//! (<https://maven.apache.org/ref/current/maven-model-builder/super-pom.html>).

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use roxmltree::{Document, Node};

use super::{Endpoint, Machine, address};

/// What every project inherits.
const SUPER_POM: &str = "org/apache/maven/model/pom-4.0.0.xml";
/// It has some kilobytes.
const LARGEST: u64 = 1 << 20;

/// The repository that Maven uses on the machine instead of, or as, `central`.
pub(super) fn find(machine: &Machine) -> Option<Endpoint> {
    let home = home(machine);
    let user = machine.home.iter().map(|folder| folder.join(".m2/settings.xml"));
    let global = home.iter().map(|home| home.join("conf/settings.xml"));
    let usual = [machine.root.join("etc/maven/settings.xml")];
    user.chain(global).chain(usual).find_map(|path| of_settings(machine, &path)).or_else(|| of_client(&home?))
}

/// The folder of the Maven that the shell would start.
fn home(machine: &Machine) -> Option<PathBuf> {
    if let Some(home) = ["MAVEN_HOME", "M2_HOME"].iter().find_map(|name| machine.environment.get(*name)) {
        return Some(PathBuf::from(home));
    }
    let path = machine.environment.get("PATH")?;
    let program = path.split(':').map(|folder| Path::new(folder).join("mvn")).find(|file| file.is_file())?;
    Some(program.canonicalize().ok()?.parent()?.parent()?.to_owned())
}

fn of_settings(machine: &Machine, path: &Path) -> Option<Endpoint> {
    let text = machine.read(path)?;
    let document = Document::parse(&text).ok()?;
    let mirrors = document.descendants().filter(|node| node.tag_name().name() == "mirror");
    let (line, url) = mirrors.filter(|mirror| is_of_central(mirror)).find_map(|mirror| {
        let line = document.text_pos_at(mirror.range().start).row;
        Some((line, address(child(&mirror, "url")?)?))
    })?;
    Some(Endpoint { url, origin: format!("{}:{line}", path.display()) })
}

/// Whether `mirrorOf` covers `central`, which is not on this machine: a list of ids, `*`, `external:*`, `!id`.
fn is_of_central(mirror: &Node<'_, '_>) -> bool {
    let covered = child(mirror, "mirrorOf").unwrap_or_default();
    let covered: Vec<&str> = covered.split(',').map(str::trim).collect();
    let is_blocked = child(mirror, "blocked") == Some("true");
    !is_blocked
        && !covered.contains(&"!central")
        && covered.iter().any(|id| matches!(*id, "central" | "*" | "external:*"))
}

fn of_client(home: &Path) -> Option<Endpoint> {
    let mut archives: Vec<PathBuf> =
        fs::read_dir(home.join("lib")).ok()?.flatten().map(|entry| entry.path()).collect();
    archives.sort();
    let is_builder = |path: &PathBuf| {
        let name = path.file_stem().and_then(|name| name.to_str());
        name.is_some_and(|name| name.starts_with("maven-model-builder"))
    };
    let archive = archives.into_iter().find(is_builder)?;
    let mut archive_file = zip::ZipArchive::new(File::open(&archive).ok()?).ok()?;
    let mut text = String::new();
    archive_file.by_name(SUPER_POM).ok()?.take(LARGEST).read_to_string(&mut text).ok()?;
    let document = Document::parse(&text).ok()?;
    let repositories = document.descendants().filter(|node| node.tag_name().name() == "repository");
    let mut central = repositories.filter(|node| child(node, "id") == Some("central"));
    let url = central.find_map(|node| address(child(&node, "url")?))?;
    Some(Endpoint { url, origin: archive.display().to_string() })
}

fn child<'a>(node: &Node<'a, '_>, name: &str) -> Option<&'a str> {
    node.children().find(|child| child.tag_name().name() == name)?.text().map(str::trim)
}
