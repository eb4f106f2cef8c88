//! A script that states its own requirements:
//! <https://packaging.python.org/en/latest/specifications/inline-script-metadata/>.

use serde::Deserialize;

use super::super::{Files, Located};
use super::project::{Index, Manifest, private};
use super::requirement::{Requirement, parse};
use crate::detect::Error;
use crate::detect::error::{Malformed, position};

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Metadata {
    requires_python: Option<String>,
    #[serde(default)]
    dependencies: Vec<String>,
    #[serde(default)]
    tool: Tool,
}

#[derive(Default, Deserialize)]
struct Tool {
    uv: Option<Uv>,
}

#[derive(Deserialize)]
struct Uv {
    #[serde(default)]
    sources: toml::Table,
    #[serde(default)]
    index: Vec<Index>,
}

/// Reads the metadata of the script at `path`; nothing when it states none.
pub(super) fn read(files: &Files<'_>, path: &str) -> Result<Option<Manifest>, Error> {
    let Some(text) = files.program(path) else { return Ok(None) };
    let Some((first, block)) = block(&text) else { return Ok(None) };
    let at = |line: usize, problem: String| -> Error {
        let hint = format!("correct the block `# /// script` of `{path}`");
        Malformed::at("python/script-invalid", path, &text, (line, 1), problem, hint).into()
    };
    let metadata: Metadata = toml::from_str(&block).map_err(|error| {
        let line = error.span().map_or(0, |span| position(&block, span.start).0 - 1);
        at(first + line, format!("has metadata that is not valid: {}", error.message().replace('\n', ", ")))
    })?;
    let line_of =
        |text: &str| block.lines().position(|line| line.contains(text)).map_or(first, |at| first + at);
    let mut wanted = Vec::new();
    for text in &metadata.dependencies {
        let line = line_of(text);
        let one = parse(text)
            .map_err(|(_, problem)| at(line, format!("has a dependency that is not valid: {problem}")))?;
        wanted.push(Requirement { file: path.to_owned(), line, ..one });
    }
    let uv = metadata.tool.uv;
    Ok(Some(Manifest {
        wanted,
        python: metadata.requires_python.map(|value| Located {
            value,
            file: path.to_owned(),
            line: Some(line_of("requires-python")),
            key: "requires-python".to_owned(),
        }),
        needs_lock: uv.as_ref().is_some_and(|uv| !uv.sources.is_empty()),
        indexes: uv.map(|uv| private(uv.index)).unwrap_or_default(),
        ..Manifest::default()
    }))
}

/// The number of the block's first line, and its text without the `#`.
fn block(text: &str) -> Option<(usize, String)> {
    let mut lines = text.lines().enumerate().skip_while(|(_, line)| line.trim_end() != "# /// script");
    let (start, _) = lines.next()?;
    let mut block = String::new();
    for (_, line) in lines {
        if line.trim_end() == "# ///" {
            return Some((start + 2, block));
        }
        // A line that is no comment ends the block before it is closed: then it is none.
        let rest = line.strip_prefix('#')?;
        block.push_str(rest.strip_prefix(' ').unwrap_or(rest));
        block.push('\n');
    }
    None
}
