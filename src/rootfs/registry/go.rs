//! Go's module proxies (<https://go.dev/ref/mod#goproxy-protocol>). A release is a version of a module whose name
//! fits a pattern, so that the toolchains of all platforms can be told apart.

use super::listing::{self, Question};
use super::{Ecosystem, sumdb};
use crate::plan::catalogue::Release;
use crate::rootfs::{Context, Error};

/// The list of `GOPROXY` (<https://go.dev/ref/mod#environment-variables>).
#[derive(Debug)]
pub(super) struct Proxies {
    /// Each with whether any failure, and not only a missing file, leads to the next.
    list: Vec<(String, bool)>,
    /// As found, with its origin.
    text: String,
    origin: String,
}

impl Proxies {
    fn parse(text: &str, origin: &str) -> Self {
        let mut list = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let end = rest.find([',', '|']).unwrap_or(rest.len());
            let name = rest[..end].trim();
            // After `direct` comes the module's own repository, which holds no toolchain.
            if matches!(name, "off" | "direct") {
                break;
            }
            if !name.is_empty() {
                list.push((name.trim_end_matches('/').to_owned(), rest[end..].starts_with('|')));
            }
            rest = rest.get(end + 1..).unwrap_or_default();
        }
        Self { list, text: text.to_owned(), origin: origin.to_owned() }
    }

    /// The first answer of a proxy, in the order of the list.
    ///
    /// # Errors
    /// The failure of the last proxy that was asked.
    pub(super) fn each<T>(&self, mut ask: impl FnMut(&str) -> Result<T, Error>) -> Result<T, Error> {
        let mut last = None;
        for (proxy, goes_on) in &self.list {
            match ask(proxy) {
                Err(error) if *goes_on || error.is_missing() => last = Some(error),
                answer => return answer,
            }
        }
        Err(last.unwrap_or_else(|| Error::NoProxy { text: self.text.clone(), origin: self.origin.clone() }))
    }
}

/// The proxies of this machine.
pub(super) fn proxies(context: &Context) -> Result<Proxies, Error> {
    let endpoint = context.endpoints.find("go")?;
    Ok(Proxies::parse(&endpoint.url, &endpoint.origin))
}

/// All releases of `module`; `pattern` has `*` where the release's version stands.
pub(super) fn releases(context: &Context, module: &str, pattern: &str) -> Result<Vec<Release>, Error> {
    let (before, after) = split(pattern)?;
    proxies(context)?.each(|proxy| {
        let url = format!("{proxy}/{}/@v/list", escaped(module));
        let question =
            Question { ecosystem: Ecosystem::Go, name: module, registry: proxy, url: &url, accept: None };
        let versions = listing::ask(context, &question, |bytes| {
            let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
            // A page of a portal is no list.
            match text.lines().find(|line| !line.is_empty() && !line.starts_with('v')) {
                Some(line) => Err(format!("`{line}` is no version of a module")),
                None => Ok(text.lines().map(str::to_owned).collect::<Vec<_>>()),
            }
        })?;
        let version = |whole: &str| Some(whole.strip_prefix(before)?.strip_suffix(after)?.to_owned());
        let release = |whole: String| {
            Some(Release { version: version(&whole)?, path: path(module, &whole), integrity: None })
        };
        Ok(versions.into_iter().filter_map(release).collect())
    })
}

/// The release with its digest from the checksum database.
pub(super) fn exact(
    context: &Context,
    module: &str,
    pattern: &str,
    version: &str,
) -> Result<Option<Release>, Error> {
    let (before, after) = split(pattern)?;
    let whole = format!("{before}{version}{after}");
    let digest = sumdb::digest(context, &proxies(context)?, module, &whole)?;
    Ok(digest.map(|digest| Release {
        version: version.to_owned(),
        path: path(module, &whole),
        integrity: Some(digest),
    }))
}

fn path(module: &str, version: &str) -> String {
    format!("{}/@v/{}.zip", escaped(module), escaped(version))
}

fn split(pattern: &str) -> Result<(&str, &str), Error> {
    pattern.split_once('*').ok_or_else(|| Error::Definition {
        file: "a buildpack".to_owned(),
        reason: format!("`{pattern}` has no `*` for the version"),
    })
}

/// Capitals are written with a mark, because proxies may be case-insensitive.
pub(super) fn escaped(path: &str) -> String {
    let mut text = String::with_capacity(path.len());
    for character in path.chars() {
        if character.is_ascii_uppercase() {
            text.push('!');
        }
        text.push(character.to_ascii_lowercase());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Proxies, escaped};

    #[test]
    fn lists_of_proxies_end_at_direct_or_off() {
        let list = |text: &str| Proxies::parse(text, "here").list;
        let pair = |url: &str, goes_on| (url.to_owned(), goes_on);
        assert_eq!(
            list("https://a.example/,https://b.example|file:///c,direct,https://d.example"),
            [pair("https://a.example", false), pair("https://b.example", true), pair("file:///c", false)]
        );
        assert_eq!(list("off"), []);
        assert_eq!(escaped("github.com/Azure/x"), "github.com/!azure/x");
    }
}
