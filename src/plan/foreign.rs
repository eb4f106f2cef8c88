//! Files that configure other builders: they say nothing to rpack, and whoever wrote them should know.

use serde::Deserialize;
use serde_json::Value;

use super::Error;
use super::buildpack;
use super::model::Notice;
use crate::definitions::Definitions;

const FILE: &str = "buildpacks/foreign.toml";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    foreign: Vec<Foreign>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Foreign {
    file: String,
    /// Whose it is.
    tool: String,
    /// Which keys of `rpack.toml` say what its keys say.
    keys: String,
}

/// One for each such file beside the app.
pub(super) fn notices(facts: &Value, definitions: &Definitions) -> Result<Vec<Notice>, Error> {
    let Some(file) = definitions.get(FILE) else { return Ok(Vec::new()) };
    let File { foreign } = buildpack::parse(&String::from_utf8_lossy(&file.bytes), &file.shown)?;
    let names = facts["files"]["has"].as_array().map_or(&[][..], Vec::as_slice);
    let is_there = |one: &Foreign| names.iter().any(|name| name.as_str() == Some(&one.file));
    let notice = |Foreign { file, tool, keys }| Notice {
        id: "config/foreign".to_owned(),
        text: format!(
            "`{file}` is for {tool} and not read: in rpack.toml, {keys}; then delete it, or leave it out: \
             `source.exclude = [\"{file}\"]`"
        ),
        warning: true,
    };
    Ok(foreign.into_iter().filter(is_there).map(notice).collect())
}
