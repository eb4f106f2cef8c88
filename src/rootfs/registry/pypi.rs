//! Python's package index: the files of a project, as JSON (PEP 691) or as a page of links (PEP 503)
//! (<https://packaging.python.org/en/latest/specifications/simple-repository-api/>).
//!
//! An index may keep its files on any host. A plan therefore names the project and the file, and the address is
//! looked up where the plan is built.

use std::str::FromStr as _;

use globset::{GlobBuilder, GlobMatcher};
use html5gum::{Token, Tokenizer};
use serde::{Deserialize, Serialize};

use super::listing::{self, Question};
use super::{Ecosystem, Integrity};
use crate::http::{self, Algorithm};
use crate::plan::catalogue::Release;
use crate::rootfs::{Context, Error};

const ACCEPT: &str = "application/vnd.pypi.simple.v1+json, text/html;q=0.1";

/// A file of a project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct File {
    name: String,
    url: String,
    integrity: Option<String>,
    /// `>=3.8`.
    python: Option<String>,
}

#[derive(Deserialize)]
struct Page {
    files: Vec<PageFile>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct PageFile {
    filename: String,
    url: String,
    #[serde(default)]
    hashes: std::collections::BTreeMap<String, String>,
    requires_python: Option<String>,
    #[serde(default)]
    yanked: serde_json::Value,
}

/// One release per version with a wheel whose tags fit; of several, the one for the newest C library.
pub(super) fn releases(
    context: &Context,
    project: &str,
    wheel: &str,
    python: Option<&str>,
) -> Result<Vec<Release>, Error> {
    let glob = GlobBuilder::new(wheel).build().map_err(|error| Error::Definition {
        file: "a buildpack".to_owned(),
        reason: format!("`{wheel}` is not a glob: {error}"),
    })?;
    let files = files(context, project)?;
    Ok(select(&normalised(project), &files, &glob.compile_matcher(), python))
}

fn select(project: &str, files: &[File], glob: &GlobMatcher, python: Option<&str>) -> Vec<Release> {
    let mut best = std::collections::BTreeMap::new();
    for file in files {
        let Some((version, tags)) = wheel(&file.name) else { continue };
        if !glob.is_match(tags) || !python.is_none_or(|python| admits(file, python)) {
            continue;
        }
        let rank = (newest_library(tags), &file.name);
        match best.get(version) {
            Some((known, _)) if *known >= rank => {}
            _ => {
                best.insert(version, (rank, file));
            }
        }
    }
    let release = |(version, (_, file)): (&str, (_, &File))| Release {
        version: version.to_owned(),
        path: format!("{project}/{}", file.name),
        integrity: file.integrity.clone(),
    };
    best.into_iter().map(release).collect()
}

/// The address of `PROJECT/FILE`.
pub(super) fn address(context: &Context, path: &str) -> Result<String, Error> {
    let (project, name) = path.split_once('/').unwrap_or((path, ""));
    let file = files(context, project)?.into_iter().find(|file| file.name == name);
    file.map(|file| file.url).ok_or_else(|| Error::RegistryUnknown {
        ecosystem: Ecosystem::Pypi,
        name: path.to_owned(),
        registry: context
            .endpoints
            .find("pypi")
            .map_or_else(|_| String::new(), |found| http::shown(&found.url)),
    })
}

/// Everything that can be used of a project, in the order of the index.
fn files(context: &Context, project: &str) -> Result<Vec<File>, Error> {
    let registry = context.endpoints.find("pypi")?.url;
    let registry = registry.trim_end_matches('/');
    let url = format!("{registry}/{}/", normalised(project));
    let question =
        Question { ecosystem: Ecosystem::Pypi, name: project, registry, url: &url, accept: Some(ACCEPT) };
    let files = listing::ask(context, &question, |bytes| {
        let is_json = bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
        Ok(if is_json { json(bytes)? } else { links(bytes)? })
    })?;
    let absolute = |file: File| Some(File { url: http::join(&url, &file.url)?, ..file });
    Ok(files.into_iter().filter_map(absolute).collect())
}

fn json(bytes: &[u8]) -> Result<Vec<File>, String> {
    let page: Page = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let is_kept =
        |file: &PageFile| matches!(file.yanked, serde_json::Value::Null | serde_json::Value::Bool(false));
    let files = page.files.into_iter().filter(is_kept).map(|file| File {
        integrity: file.hashes.get("sha256").and_then(|digits| sha256(digits)),
        name: file.filename,
        url: file.url,
        python: file.requires_python,
    });
    Ok(files.collect())
}

/// The links of a page, with the text between their tags as the name.
fn links(bytes: &[u8]) -> Result<Vec<File>, String> {
    let mut files = Vec::new();
    let mut open: Option<File> = None;
    for token in Tokenizer::new(bytes) {
        match token.map_err(|error| error.to_string())? {
            Token::StartTag(tag) if &**tag.name == b"a" => {
                let attribute = |name: &[u8]| {
                    let value = tag.attributes.iter().find(|(key, _)| key.as_slice() == name)?.1;
                    Some(String::from_utf8_lossy(value).into_owned())
                };
                let Some(href) = attribute(b"href").filter(|_| attribute(b"data-yanked").is_none()) else {
                    open = None;
                    continue;
                };
                let (url, fragment) = href.split_once('#').unwrap_or((&href, ""));
                let digits = fragment.split('&').find_map(|part| part.strip_prefix("sha256="));
                open = Some(File {
                    name: String::new(),
                    url: url.to_owned(),
                    integrity: digits.and_then(sha256),
                    python: attribute(b"data-requires-python"),
                });
            }
            Token::String(text) => {
                if let Some(file) = &mut open {
                    file.name.push_str(&String::from_utf8_lossy(&text));
                }
            }
            Token::EndTag(tag) if &**tag.name == b"a" => {
                let named = open.take().map(|file| File { name: file.name.trim().to_owned(), ..file });
                files.extend(named.filter(|file| is_file_name(&file.name)));
            }
            _ => {}
        }
    }
    if files.is_empty() && !bytes.windows(5).any(|part| part.eq_ignore_ascii_case(b"<html")) {
        return Err("it is neither JSON nor a page of links".to_owned());
    }
    Ok(files)
}

fn sha256(digits: &str) -> Option<String> {
    Integrity::from_hex(Algorithm::Sha256, digits).map(|integrity| integrity.text())
}

fn is_file_name(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\', '\0'])
}

/// The version and the tags in the name of a wheel: `NAME-VERSION[-BUILD]-PYTHON-ABI-PLATFORM.whl`.
fn wheel(name: &str) -> Option<(&str, &str)> {
    let stem = name.strip_suffix(".whl").filter(|_| is_file_name(name))?;
    let tags = stem.rmatch_indices('-').nth(2)?.0;
    Some((stem[..tags].split('-').nth(1)?, &stem[tags + 1..]))
}

/// The greatest `manylinux_X_Y` among the tags.
fn newest_library(tags: &str) -> Vec<u64> {
    let versions = tags.split(['-', '.']).filter_map(|tag| {
        let mut numbers = tag.strip_prefix("manylinux_")?.splitn(3, '_');
        Some(vec![numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?])
    });
    versions.max().unwrap_or_default()
}

fn admits(file: &File, python: &str) -> bool {
    let Some(demand) = &file.python else { return true };
    let version = pep440_rs::Version::from_str(python);
    let demand = pep440_rs::VersionSpecifiers::from_str(demand);
    matches!((version, demand), (Ok(version), Ok(demand)) if demand.contains(&version))
}

/// `Ruamel_Yaml` → `ruamel-yaml`.
fn normalised(project: &str) -> String {
    let parts: Vec<&str> = project.split(['-', '_', '.']).filter(|part| !part.is_empty()).collect();
    parts.join("-").to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::{File, json, links, newest_library, normalised, select, wheel};

    const DIGITS: &str = "67be42ded6826ecceaf444f22c71ba2c5c3923b3642f6b971910284788e87291";

    #[test]
    fn both_forms_of_an_index_say_the_same_and_withdrawn_files_are_passed_over() {
        let page = format!(
            "<!DOCTYPE html><html><body><a href=\"../files/t-1.0-py3-none-any.whl#sha256={DIGITS}\" \
             data-requires-python=\"&gt;=3.8\">t-1.0-py3-none-any.whl</a><br/>\
             <a href=\"x\" data-yanked>t-0.9-py3-none-any.whl</a><a href=y>../evil</a></body></html>"
        );
        let document = format!(
            "{{\"meta\": {{\"api-version\": \"1.0\"}}, \"files\": [{{\"filename\": \"t-1.0-py3-none-any.whl\", \
             \"url\": \"../files/t-1.0-py3-none-any.whl\", \"hashes\": {{\"sha256\": \"{DIGITS}\"}}, \
             \"requires-python\": \">=3.8\", \"yanked\": false}}, \
             {{\"filename\": \"t-0.9-py3-none-any.whl\", \"url\": \"x\", \"hashes\": {{}}, \"yanked\": \"broken\"}}]}}"
        );
        let expected = [File {
            name: "t-1.0-py3-none-any.whl".to_owned(),
            url: "../files/t-1.0-py3-none-any.whl".to_owned(),
            integrity: Some("sha256-Z75C3taCbszq9ETyLHG6LFw5I7NkL2uXGRAoR4jocpE=".to_owned()),
            python: Some(">=3.8".to_owned()),
        }];
        assert_eq!(links(page.as_bytes()).unwrap(), expected);
        assert_eq!(json(document.as_bytes()).unwrap(), expected);
        assert!(links(b"not found").is_err());
    }

    #[test]
    fn the_wheel_for_the_platform_and_the_newest_library_is_taken() {
        let file = |name: &str, python: Option<&str>| File {
            name: name.to_owned(),
            url: String::new(),
            integrity: None,
            python: python.map(str::to_owned),
        };
        let files = [
            file("uv-0.9.1-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl", Some(">=3.8")),
            file("uv-0.9.1-py3-none-manylinux_2_28_x86_64.whl", Some(">=3.8")),
            file("uv-0.9.1-py3-none-musllinux_1_1_x86_64.whl", None),
            file("uv-0.9.2-1-py3-none-manylinux_2_28_x86_64.whl", Some(">=3.14")),
            file("uv-0.9.1.tar.gz", None),
        ];
        let glob = globset::Glob::new("py3-none-manylinux*_x86_64*").unwrap().compile_matcher();
        let paths = |python: Option<&str>| -> Vec<String> {
            select("uv", &files, &glob, python).into_iter().map(|release| release.path).collect()
        };
        let newest = "uv/uv-0.9.1-py3-none-manylinux_2_28_x86_64.whl";
        assert_eq!(paths(Some("3.13")), [newest]);
        assert_eq!(paths(None), [newest, "uv/uv-0.9.2-1-py3-none-manylinux_2_28_x86_64.whl"]);
        assert_eq!(wheel("a-1-b.whl"), None);
        assert_eq!(newest_library("cp3-abi3-manylinux2014_x86_64.manylinux_2_5_x86_64"), [2, 5]);
        assert_eq!(normalised("Ruamel_.Yaml"), "ruamel-yaml");
    }
}
