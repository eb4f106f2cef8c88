//! Variables that settings of installers name where a credential belongs: `//registry.example/:_authToken=${NPM_TOKEN}`.
//!
//! In: settings of a source. Out: each variable once, with the first place that names it. A reference with a default
//! (`${NAME:-x}`) is none: the author has said what holds without the variable.

use serde_json::Value;

use super::{Files, Located, yaml};
use crate::detect::Error;

/// How deep settings nest at most; deeper values are left out.
const DEPTH: usize = 16;

/// Variables that the settings of Node's package managers name: `.npmrc`, `.yarnrc.yml`, `bunfig.toml`.
pub(super) fn of_node(files: &Files<'_>) -> Result<Vec<Located>, Error> {
    let mut found = Vec::new();
    if let Some(text) = files.text(".npmrc")? {
        let lines = text.lines().filter(|line| !line.trim_start().starts_with(['#', ';']));
        add(&mut found, ".npmrc", &text, lines);
    }
    if let Some(text) = files.text(".yarnrc.yml")? {
        let hint = "correct `.yarnrc.yml` at the caret";
        let documents: Vec<Value> = yaml::documents("node/manifest-invalid", ".yarnrc.yml", &text, hint)?;
        let values = documents.iter().flat_map(|document| strings(document, 0));
        add(&mut found, ".yarnrc.yml", &text, values);
    }
    if let Some(text) = files.text("bunfig.toml")? {
        // What bun cannot read either, bun reports.
        let document: Value = toml::from_str(&text).unwrap_or_default();
        // bun also knows the name without braces.
        let values: Vec<String> = strings(&document, 0).into_iter().map(braced).collect();
        add(&mut found, "bunfig.toml", &text, values.iter().map(String::as_str));
    }
    Ok(found)
}

/// Variables that lines of requirements files name, which the installer replaces.
pub(super) fn of_requirements<'a>(
    files: &Files<'_>,
    paths: impl Iterator<Item = &'a String>,
) -> Result<Vec<Located>, Error> {
    let mut found = Vec::new();
    for path in paths {
        let Some(text) = files.text(path)? else { continue };
        let lines = text.lines().map(|line| line.split(" #").next().unwrap_or_default());
        add(&mut found, path, &text, lines.filter(|line| !line.trim_start().starts_with('#')));
    }
    Ok(found)
}

/// Variables that addresses of `file` name.
pub(super) fn of_addresses(
    files: &Files<'_>,
    file: &str,
    addresses: &[String],
) -> Result<Vec<Located>, Error> {
    let mut found = Vec::new();
    if addresses.iter().any(|address| address.contains("${")) {
        let text = files.text(file)?.unwrap_or_default();
        add(&mut found, file, &text, addresses.iter().map(String::as_str));
    }
    Ok(found)
}

/// Adds the variables that `values` of `file` name.
fn add<'a>(found: &mut Vec<Located>, file: &str, text: &str, values: impl Iterator<Item = &'a str>) {
    for name in values.flat_map(references) {
        if found.iter().any(|known| known.value == name) {
            continue;
        }
        let (reference, bare) = (format!("${{{name}}}"), format!("\"${name}\""));
        let names = |line: &str| {
            (line.contains(&reference) || line.contains(&bare)) && !line.trim_start().starts_with(['#', ';'])
        };
        found.push(Located {
            value: name.to_owned(),
            file: file.to_owned(),
            line: text.lines().position(names).map(|index| index + 1),
            key: String::new(),
        });
    }
}

/// `$NAME` as `${NAME}`.
fn braced(text: &str) -> String {
    match text.strip_prefix('$') {
        Some(name) if !name.starts_with('{') => format!("${{{name}}}"),
        _ => text.to_owned(),
    }
}

/// The names in `${NAME}`.
fn references(text: &str) -> impl Iterator<Item = &str> {
    text.split("${").skip(1).filter_map(|rest| {
        let name = rest.split_once('}')?.0;
        let is_name = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        (is_name && name.starts_with(|c: char| !c.is_ascii_digit())).then_some(name)
    })
}

/// All texts of a document.
fn strings(value: &Value, depth: usize) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) if depth < DEPTH => {
            items.iter().flat_map(|item| strings(item, depth + 1)).collect()
        }
        Value::Object(members) if depth < DEPTH => {
            members.values().flat_map(|member| strings(member, depth + 1)).collect()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Files, of_node, of_requirements};
    use crate::detect::facts::Located;
    use crate::detect::tests::source;

    fn shown(found: &[Located]) -> Vec<String> {
        found.iter().map(|one| format!("{} {}:{}", one.value, one.file, one.line.unwrap())).collect()
    }

    #[test]
    fn settings_name_variables() {
        let source = source(&[
            (
                ".npmrc",
                "; ${NOT_THIS}\n@acme:registry=https://npm.registry.example/\n//npm.registry.example/:_authToken=${NPM_TOKEN}\n\
                 cache=${CACHE-/tmp}\n//other.example/:_password=${1X}${PASSWORD}\n",
            ),
            (
                ".yarnrc.yml",
                "# ${NOT_THIS}\nnpmScopes:\n  acme:\n    npmAuthToken: \"${YARN_TOKEN}\"\n    npmAuthIdent: ${NPM_TOKEN}\n    \
                 npmRegistryServer: ${SERVER:-https://npm.registry.example}\n",
            ),
            ("bunfig.toml", "[install.scopes]\n# ${NOT_THIS}\nacme = { token = \"$BUN_TOKEN\" }\n"),
        ]);
        assert_eq!(
            shown(&of_node(&Files::new(&source, "")).unwrap()),
            [
                "NPM_TOKEN .npmrc:3",
                "PASSWORD .npmrc:5",
                "YARN_TOKEN .yarnrc.yml:4",
                "BUN_TOKEN bunfig.toml:3",
            ]
        );
    }

    #[test]
    fn requirements_name_variables() {
        let text = "# ${NOT_THIS}\n--extra-index-url https://${USER_NAME}:${PIP_PASSWORD}@pypi.registry.example/simple\n\
                    flask==3.1.0 # ${NOT_THAT}\n";
        let source = source(&[("requirements.txt", text)]);
        let found =
            of_requirements(&Files::new(&source, ""), ["requirements.txt".to_owned()].iter()).unwrap();
        assert_eq!(shown(&found), ["USER_NAME requirements.txt:2", "PIP_PASSWORD requirements.txt:2"]);
    }
}
