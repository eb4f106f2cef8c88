//! Where a command of a known server listens: on the port of `PORT`, with the one that is written as default, and where
//! the outside reaches it.

use super::resolve::is_called;
use super::rules::Listens;

/// Every address.
const ANY: &str = "0.0.0.0";
/// Addresses that only the same machine reaches.
const LOCAL: [&str; 3] = ["127.0.0.1", "localhost", "::1"];

/// The words with what their server's rule says of options; the same when no rule is about it.
pub(super) fn honour(rules: &[Listens], mut words: Vec<String>) -> Vec<String> {
    let Some(rule) = rules.iter().find(|rule| is_called(&rule.words, &words)) else { return words };
    let start = rule.words.len();
    let bound = replace(&mut words, start, &rule.bind, |value| {
        let (host, port) = value.rsplit_once(':').unwrap_or(("", value));
        let is_address = host.is_empty() || host == ANY || LOCAL.contains(&host);
        (is_address && is_port(port)).then(|| format!("{ANY}:{}", variable(port)))
    });
    if bound {
        return words;
    }
    let has_port = replace(&mut words, start, &rule.port, |value| is_port(value).then(|| variable(value)));
    let has_host =
        replace(&mut words, start, &rule.host, |value| LOCAL.contains(&value).then(|| ANY.to_owned()));
    let Some(default) = rule.default else { return words };
    let default = variable(&default.to_string());
    match (rule.port.first(), rule.host.first(), rule.bind.first()) {
        (None, _, Some(bind)) => words.extend([bind.clone(), format!("{ANY}:{default}")]),
        (port, host, _) => {
            if let Some(host) = host.filter(|_| !has_host) {
                words.extend([host.clone(), ANY.to_owned()]);
            }
            if let Some(port) = port.filter(|_| !has_port) {
                words.extend([port.clone(), default]);
            }
        }
    }
    words
}

/// Gives the values of `options` another text where `change` has one; tells whether one of them is there.
fn replace(
    words: &mut [String],
    start: usize,
    options: &[String],
    change: impl Fn(&str) -> Option<String>,
) -> bool {
    let mut found = false;
    for at in start..words.len() {
        if options.contains(&words[at]) && at + 1 < words.len() {
            found = true;
            if let Some(value) = change(&words[at + 1]) {
                words[at + 1] = value;
            }
        } else if let Some((option, value)) = words[at].split_once('=')
            && options.iter().any(|known| known == option)
        {
            found = true;
            if let Some(value) = change(value) {
                words[at] = format!("{option}={value}");
            }
        }
    }
    found
}

fn is_port(text: &str) -> bool {
    text.parse::<u16>().is_ok_and(|port| port > 0)
}

fn variable(port: &str) -> String {
    format!("${{PORT:-{port}}}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn honoured(line: &str) -> String {
        let strings = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let rules = [
            Listens {
                words: strings(&["next", "start"]),
                port: strings(&["--port", "-p"]),
                host: strings(&["--hostname", "-H"]),
                bind: Vec::new(),
                default: None,
            },
            Listens {
                words: strings(&["uvicorn"]),
                port: strings(&["--port"]),
                host: strings(&["--host"]),
                bind: Vec::new(),
                default: Some(8000),
            },
            Listens {
                words: strings(&["hypercorn"]),
                port: Vec::new(),
                host: Vec::new(),
                bind: strings(&["--bind", "-b"]),
                default: Some(8000),
            },
        ];
        honour(&rules, line.split(' ').map(str::to_owned).collect()).join(" ")
    }

    #[test]
    fn a_written_port_is_the_default_of_the_variable() {
        for (line, expected) in [
            ("next start", "next start"),
            ("next start -p 3000", "next start -p ${PORT:-3000}"),
            ("next start --port=3000 -H localhost", "next start --port=${PORT:-3000} -H 0.0.0.0"),
            ("next start -p $PORT", "next start -p $PORT"),
            ("next build -p 3000", "next build -p 3000"),
            ("uvicorn a:b", "uvicorn a:b --host 0.0.0.0 --port ${PORT:-8000}"),
            ("uvicorn a:b --port 80", "uvicorn a:b --port ${PORT:-80} --host 0.0.0.0"),
            ("uvicorn a:b --host 10.0.0.1 --port $PORT", "uvicorn a:b --host 10.0.0.1 --port $PORT"),
            ("hypercorn a:b", "hypercorn a:b --bind 0.0.0.0:${PORT:-8000}"),
            ("hypercorn a:b -b 127.0.0.1:5000", "hypercorn a:b -b 0.0.0.0:${PORT:-5000}"),
            ("hypercorn a:b --bind unix:/tmp/a", "hypercorn a:b --bind unix:/tmp/a"),
            ("node server.js --port 3000", "node server.js --port 3000"),
        ] {
            assert_eq!(honoured(line), expected, "{line}");
        }
    }
}
