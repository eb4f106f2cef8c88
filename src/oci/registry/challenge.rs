//! What a registry wants when it answers 401 (<https://www.rfc-editor.org/rfc/rfc9110#name-www-authenticate>,
//! <https://distribution.github.io/distribution/spec/auth/token/>), and which token servers may be asked.

use std::collections::BTreeMap;

use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};

use crate::http::{is_internal, is_loopback};

/// How a registry wants to be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    /// With user and password.
    Basic,
    /// With a token that the server at `realm` gives.
    Bearer {
        /// Its address.
        realm: String,
        /// The name of the registry there.
        service: Option<String>,
        /// What the token must allow.
        scope: Option<String>,
    },
}

/// The challenge to answer: Bearer before Basic, others are passed over.
pub(super) fn read(headers: &HeaderMap) -> Option<Challenge> {
    let texts: Vec<&str> = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|v| v.to_str().ok()).collect();
    let all: Vec<(String, BTreeMap<String, String>)> = texts.into_iter().flat_map(parse).collect();
    let bearer = all.iter().find_map(|(scheme, parameters)| {
        let realm = parameters.get("realm").filter(|_| scheme == "bearer")?.clone();
        let get = |name: &str| parameters.get(name).filter(|text| !text.is_empty()).cloned();
        Some(Challenge::Bearer { realm, service: get("service"), scope: get("scope") })
    });
    bearer.or_else(|| all.iter().any(|(scheme, _)| scheme == "basic").then_some(Challenge::Basic))
}

/// Splits a header into schemes, in small letters, with their parameters. Several challenges may stand in one header.
fn parse(text: &str) -> Vec<(String, BTreeMap<String, String>)> {
    let mut found: Vec<(String, BTreeMap<String, String>)> = Vec::new();
    let mut rest = text.trim_start_matches([' ', ',']);
    while !rest.is_empty() {
        let end = rest.find([' ', '=', ',']).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        rest = if let Some(value) = after.strip_prefix('=') {
            let (value, after) = quoted(value);
            if let Some((_, parameters)) = found.last_mut() {
                parameters.entry(word.to_ascii_lowercase()).or_insert(value);
            }
            after
        } else {
            found.push((word.to_ascii_lowercase(), BTreeMap::new()));
            after
        };
        rest = rest.trim_start_matches([' ', ',']);
    }
    found
}

/// A value, which may be quoted, and what follows it.
fn quoted(text: &str) -> (String, &str) {
    let Some(inner) = text.strip_prefix('"') else {
        let end = text.find([' ', ',']).unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let mut value = String::new();
    let mut characters = inner.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (value, &inner[at + 1..]),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            character => value.push(character),
        }
    }
    (value, "")
}

/// Whether a registry at `registry` may send its clients to the token server at `realm`; the error says why not.
///
/// Credentials go there, and its answer comes from wherever it points: it must not be less protected than the
/// registry, and not an address of this machine or of a private network unless the registry is one itself.
pub(super) fn check_realm(registry: &str, realm: &str) -> Result<(), &'static str> {
    let (Ok(registry), Ok(realm)) = (reqwest::Url::parse(registry), reqwest::Url::parse(realm)) else {
        return Err("it is not an address");
    };
    if !matches!(realm.scheme(), "http" | "https") || !realm.has_host() {
        return Err("it is not an http or https address");
    }
    let same_host = realm.host_str() == registry.host_str();
    let plain_is_fine = registry.scheme() == "http" && (same_host || is_loopback(&registry));
    if realm.scheme() == "http" && !plain_is_fine {
        return Err("it is not protected by https");
    }
    if is_internal(&realm) && !same_host && !is_internal(&registry) {
        return Err("it is an address of this machine or of a private network");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Challenge, check_realm, read};
    use reqwest::header::{HeaderMap, HeaderValue, WWW_AUTHENTICATE};

    fn challenge(texts: &[&str]) -> Option<Challenge> {
        let mut headers = HeaderMap::new();
        for text in texts {
            headers.append(WWW_AUTHENTICATE, HeaderValue::from_str(text).unwrap());
        }
        read(&headers)
    }

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Challenge {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Challenge::Bearer { realm: realm.to_owned(), service: owned(service), scope: owned(scope) }
    }

    #[test]
    fn bearer_wins_over_basic_and_others_are_passed_over() {
        let full =
            r#"Bearer realm="https://auth.example/token",service="reg",scope="repository:a/b:pull,push""#;
        let expected =
            Some(bearer("https://auth.example/token", Some("reg"), Some("repository:a/b:pull,push")));
        assert_eq!(challenge(&[full]), expected);
        assert_eq!(challenge(&["Negotiate", "Basic realm=\"x\"", full]), expected);
        assert_eq!(challenge(&[&format!("Negotiate abc==, Basic realm=\"a,b\", {full}")]), expected);
        assert_eq!(
            challenge(&["bearer REALM=https://a.example , service="]),
            Some(bearer("https://a.example", None, None))
        );
        assert_eq!(challenge(&[r#"Bearer realm="a\"b""#]), Some(bearer("a\"b", None, None)));
        assert_eq!(challenge(&["BASIC realm=x"]), Some(Challenge::Basic));
        for none in [&["Negotiate"][..], &[""], &["Bearer"], &["Digest realm=\"x\""], &[]] {
            assert_eq!(challenge(none), None, "{none:?}");
        }
    }

    #[test]
    fn token_servers_are_at_least_as_protected_as_the_registry() {
        let check = |registry: &str, realm: &str| check_realm(registry, realm).err();
        let plain = Some("it is not protected by https");
        let inside = Some("it is an address of this machine or of a private network");
        for (registry, realm, expected) in [
            ("https://r.example", "https://auth.example/token", None),
            ("https://r.example", "http://auth.example/token", plain),
            ("https://r.example", "http://r.example/token", plain),
            ("http://r.example", "http://r.example/token", None),
            ("http://r.example", "http://other.example/token", plain),
            ("http://localhost:5000", "http://127.0.0.1:5001/token", None),
            ("https://r.example", "https://127.0.0.1/token", inside),
            ("https://r.example", "https://169.254.169.254/token", inside),
            ("https://r.example", "https://[::ffff:10.0.0.1]/token", inside),
            ("https://10.0.0.1", "https://10.0.0.2/token", None),
            ("https://r.example", "file:///etc/passwd", Some("it is not an http or https address")),
            ("https://r.example", "token", Some("it is not an address")),
        ] {
            assert_eq!(check(registry, realm), expected, "{registry} {realm}");
        }
    }
}
