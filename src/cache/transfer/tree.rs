//! The list of an unpacked archive that came from elsewhere: the next build writes files where it says, and takes their
//! contents from where it says.

use std::io;
use std::path::Path;

use serde::Deserialize;

use crate::oci::layout::read_capped;
use crate::store::tree::is_clean;
use crate::store::{Content, Kind, Tree};

/// The longest list in bytes.
const LONGEST: u64 = 256 << 20;

#[derive(Deserialize)]
struct List {
    tree: Tree,
}

/// Refuses a list that leads out of the folder `entry`, or out of the tree.
pub(super) fn check(entry: &Path) -> io::Result<()> {
    let list: List = serde_json::from_slice(&read_capped(&entry.join("entries.json"), LONGEST)?)?;
    let is_folder =
        |path: &str| list.tree.get(path).is_none_or(|entry| matches!(entry.kind, Kind::Directory { .. }));
    for (path, entry) in list.tree.iter() {
        let mut parents = path.match_indices('/').map(|(slash, _)| &path[..slash]);
        let has_content = match &entry.kind {
            Kind::File { content: Content::Path(content), .. } => content
                .to_str()
                .and_then(|content| content.strip_prefix("files/"))
                .is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit())),
            _ => true,
        };
        if !is_clean(path) || path.contains('\0') || !parents.all(is_folder) || !has_content {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "its list leads out of it"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn a_list_stays_in_its_folder() {
        let entry =
            |path: &str, kind: &str| format!(r#""{path}":{{{kind},"mode":420,"uid":0,"gid":0,"mtime":0}}"#);
        let file = |content: &str| format!(r#""kind":"file","size":1,"content":{{"path":"{content}"}}"#);
        let link = r#""kind":"symlink","target":"/etc""#;
        let ok = |entries: &[String]| {
            let folder = tempfile::tempdir().unwrap();
            let list = format!(r#"{{"tree":{{{}}},"texts":{{}}}}"#, entries.join(","));
            std::fs::write(folder.path().join("entries.json"), list).unwrap();
            check(folder.path()).is_ok()
        };
        assert!(ok(&[entry("opt/node/bin", link), entry("opt/node/x", &file("files/7"))]));
        assert!(!ok(&[entry("../x", &file("files/7"))]));
        assert!(!ok(&[entry("/x", &file("files/7"))]));
        assert!(!ok(&[entry("x", &file("/etc/shadow"))]));
        assert!(!ok(&[entry("x", &file("files/../../../x"))]));
        assert!(!ok(&[entry("x", link), entry("x/y", &file("files/7"))]));
    }
}
