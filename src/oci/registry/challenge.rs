//! What a registry wants when it answers 401 (<https://www.rfc-editor.org/rfc/rfc9110#name-www-authenticate>,
//! <https://distribution.github.io/distribution/spec/auth/token/>).

use std::collections::BTreeMap;

use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};

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

#[cfg(test)]
mod tests {
    use super::{Challenge, read};
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
}
