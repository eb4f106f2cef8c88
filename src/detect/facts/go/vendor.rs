//! `vendor/modules.txt`: which modules were vendored, as `go mod vendor` writes it
//! (<https://go.dev/ref/mod#vendoring>).

use std::collections::BTreeMap;

/// What differs between the modules that `requires` names and those that `text` marks as explicit. The go command
/// refuses to build with any difference.
pub(super) fn drift(requires: &BTreeMap<String, String>, text: &str) -> Vec<String> {
    let vendored = explicit(text);
    let mut drift = Vec::new();
    for (module, wanted) in requires {
        match vendored.get(module.as_str()) {
            Some(has) if has == wanted => {}
            Some(has) => drift.push(format!("{module}: go.mod wants {wanted}, vendor/modules.txt has {has}")),
            None => drift.push(format!("{module}: go.mod wants {wanted}, vendor/modules.txt has none")),
        }
    }
    let more = vendored.iter().filter(|(module, _)| !requires.contains_key(**module));
    drift.extend(
        more.map(|(module, has)| format!("{module}: go.mod wants none, vendor/modules.txt has {has}")),
    );
    drift
}

/// `# MODULE VERSION`, which may go on with `=> …`, with a line `## explicit` below it.
fn explicit(text: &str) -> BTreeMap<&str, &str> {
    let mut found = BTreeMap::new();
    let mut last = None;
    for line in text.lines() {
        if let Some(marks) = line.strip_prefix("## ") {
            let is_explicit = marks.split(';').any(|mark| mark.trim() == "explicit");
            found.extend(last.take().filter(|_| is_explicit));
        } else if let Some(module) = line.strip_prefix("# ") {
            let mut words = module.split_whitespace();
            last = words.next().zip(words.next()).filter(|(_, version)| *version != "=>");
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::drift;

    const MODULES: &str = "# example.com/a v1.2.3\n## explicit; go 1.21\nexample.com/a\n# example.com/b v0.1.0 => ./b\n\
        ## explicit\nexample.com/b\n# example.com/c v1.0.0\n## go 1.20\nexample.com/c\n# example.com/d => ./d\n";

    fn requires(modules: &[(&str, &str)]) -> std::collections::BTreeMap<String, String> {
        modules.iter().map(|(module, version)| ((*module).to_owned(), (*version).to_owned())).collect()
    }

    #[test]
    fn modules_that_are_required_are_explicit_in_the_same_version() {
        let none: [String; 0] = [];
        let same = requires(&[("example.com/a", "v1.2.3"), ("example.com/b", "v0.1.0")]);
        assert_eq!(drift(&same, MODULES), none);
        let other = requires(&[("example.com/a", "v1.3.0"), ("example.com/c", "v1.0.0")]);
        assert_eq!(
            drift(&other, MODULES),
            [
                "example.com/a: go.mod wants v1.3.0, vendor/modules.txt has v1.2.3",
                "example.com/c: go.mod wants v1.0.0, vendor/modules.txt has none",
                "example.com/b: go.mod wants none, vendor/modules.txt has v0.1.0",
            ]
        );
    }

    proptest! {
        #[test]
        fn any_text_is_compared(text in "(# |## |explicit|[a-z. =>;\n])*") {
            let _ = drift(&requires(&[("a", "v1")]), &text);
        }
    }
}
