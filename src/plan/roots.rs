//! Tools and root filesystems: names in the buildpack become exact versions and packages.

use std::collections::BTreeMap;

use super::buildpack::{Buildpack, RootRule, Tool, ToolchainRule};
use super::expression::Evaluator;
use super::model::{Catalogue, Notice, Release, Root, RootRequest, Toolchain};
use super::versions::{Chosen, Statement, choose};
use super::{Architecture, Error};
use crate::config::{Config, Resolved};

/// The layer of packages that the user adds.
pub(super) const LIBRARIES: &str = "libraries";

/// A tool with its resolved version.
#[derive(Clone, Debug)]
pub(super) struct ResolvedTool {
    pub(super) name: String,
    pub(super) chosen: Chosen,
}

/// Resolves the tools in order; each sees the versions of those before it as `versions.NAME`.
pub(super) fn tools(
    buildpack: &Buildpack,
    config: &Config,
    architecture: &Architecture,
    catalogue: &dyn Catalogue,
    evaluator: &mut Evaluator<'_>,
    notices: &mut Vec<Notice>,
) -> Result<Vec<ResolvedTool>, Error> {
    let mut versions = serde_json::Map::new();
    evaluator.set("versions", serde_json::Value::Object(versions.clone()));
    let mut tools = Vec::new();
    for tool in &buildpack.tool {
        if !evaluator.holds(tool.when.as_ref())? {
            continue;
        }
        let (source, releases) = releases(tool, &buildpack.build_root.base, architecture, catalogue, evaluator)?;
        let statements: Vec<Statement> = match &tool.statements {
            Some(expression) => evaluator.evaluate(expression)?,
            None => Vec::new(),
        };
        let configured = config.versions.get(&tool.name);
        let default = evaluator.render(&tool.default)?;
        let chosen = choose(tool, &default, &source, configured, &statements, &releases)?;
        notices.extend(chosen.notices.iter().cloned());
        versions.insert(tool.name.clone(), chosen.version.version.clone().into());
        evaluator.set("versions", serde_json::Value::Object(versions.clone()));
        tools.push(ResolvedTool { name: tool.name.clone(), chosen });
    }
    Ok(tools)
}

/// Who offers the tool, and what.
fn releases(
    tool: &Tool,
    base: &str,
    architecture: &Architecture,
    catalogue: &dyn Catalogue,
    evaluator: &Evaluator<'_>,
) -> Result<(String, Vec<Release>), Error> {
    if let Some(package) = &tool.npm {
        let package = evaluator.render(package)?;
        let releases = catalogue.npm(&package)?;
        return Ok((format!("npm:{package}"), releases));
    }
    if let Some(version) = &tool.pinned {
        let release = Release { version: version.clone(), path: String::new(), integrity: None };
        return Ok(("buildpack".to_owned(), vec![release]));
    }
    let mut releases = Vec::new();
    for package in &tool.debian {
        if let Some(version) = catalogue.debian_version(base, architecture.debian, package)? {
            releases.push(Release { version: upstream(&version), path: package.clone(), integrity: None });
        }
    }
    Ok((base.to_owned(), releases))
}

/// The upstream part of a Debian version (`2:1.27.4+dfsg-1~bpo13+1` → `1.27.4`).
fn upstream(version: &str) -> String {
    let version = version.split_once(':').map_or(version, |(_, rest)| rest);
    let version = version.rsplit_once('-').map_or(version, |(upstream, _)| upstream);
    version.split(['+', '~']).next().unwrap_or(version).to_owned()
}

/// The archives of tools that come from a language registry.
pub(super) fn toolchains(buildpack: &Buildpack, tools: &[ResolvedTool]) -> Vec<Toolchain> {
    let chosen = |rule: &&ToolchainRule| tools.iter().find(|tool| tool.name == rule.tool);
    let resolved = buildpack.toolchain.iter().filter_map(|rule| Some((rule, chosen(&rule)?)));
    resolved
        .map(|(rule, tool)| Toolchain {
            name: rule.tool.clone(),
            version: tool.chosen.release.version.clone(),
            ecosystem: "npm".to_owned(),
            path: tool.chosen.release.path.clone(),
            integrity: tool.chosen.release.integrity.clone().unwrap_or_default(),
            target: rule.target.clone(),
            strip: rule.strip,
            include: rule.include.clone(),
            links: rule.links.clone(),
        })
        .collect()
}

/// What steps stand on, with the user's `build.packages`.
pub(super) fn build(
    buildpack: &Buildpack,
    config: &Config,
    architecture: &Architecture,
    catalogue: &dyn Catalogue,
    evaluator: &Evaluator<'_>,
) -> Result<Root, Error> {
    let mut packages = packages(&buildpack.build_root, evaluator)?;
    for package in &config.build_packages {
        packages.entry(package.value.clone()).or_insert_with(|| "build".to_owned());
    }
    let request = RootRequest {
        base: buildpack.build_root.base.clone(),
        architecture: architecture.debian.to_owned(),
        packages,
        closure: true,
        with_dependencies: Vec::new(),
    };
    Ok(catalogue.root(&request)?)
}

/// What the image stands on, with the user's `runtime.packages`.
pub(super) fn runtime(
    buildpack: &Buildpack,
    config: &Config,
    architecture: &Architecture,
    catalogue: &dyn Catalogue,
    evaluator: &Evaluator<'_>,
) -> Result<Root, Error> {
    let request = RootRequest {
        base: buildpack.runtime_root.base.clone(),
        architecture: architecture.debian.to_owned(),
        packages: packages(&buildpack.runtime_root, evaluator)?,
        closure: false,
        with_dependencies: config.runtime_packages.iter().map(value).collect(),
    };
    Ok(catalogue.root(&request)?)
}

fn value(resolved: &Resolved<String>) -> String {
    resolved.value.clone()
}

/// Package names and `@GROUP`s with their layers.
fn packages(rule: &RootRule, evaluator: &Evaluator<'_>) -> Result<BTreeMap<String, String>, Error> {
    let mut packages = BTreeMap::new();
    for part in &rule.packages {
        if !evaluator.holds(part.when.as_ref())? {
            continue;
        }
        let groups = part.groups.iter().map(|group| format!("@{group}"));
        for name in groups.chain(evaluator.render_all(&part.names)?) {
            packages.insert(name, part.layer.clone());
        }
    }
    Ok(packages)
}

#[cfg(test)]
mod tests {
    use super::upstream;

    #[test]
    fn the_upstream_part_of_debian_versions() {
        for (version, expected) in [
            ("1.27.4-1~bpo13+1", "1.27.4"),
            ("3.13.5-2+deb13u5", "3.13.5"),
            ("2:25.1.1+dfsg-1", "25.1.1"),
            ("1.0", "1.0"),
        ] {
            assert_eq!(upstream(version), expected);
        }
    }
}
