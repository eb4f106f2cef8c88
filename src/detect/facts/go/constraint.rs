//! Build constraints: which files a build for Linux includes.
//!
//! `//go:build` expressions, the older `// +build` lines, and the systems and architectures in file names:
//! what `go help buildconstraint` describes.

/// The architectures that images are built for; a file that fits one of them counts.
pub(super) const ARCHITECTURES: [&str; 2] = ["amd64", "arm64"];

const KNOWN_SYSTEMS: [&str; 19] = [
    "aix",
    "android",
    "darwin",
    "dragonfly",
    "freebsd",
    "hurd",
    "illumos",
    "ios",
    "js",
    "linux",
    "nacl",
    "netbsd",
    "openbsd",
    "plan9",
    "solaris",
    "wasip1",
    "windows",
    "zos",
    "unix",
];
const KNOWN_ARCHITECTURES: [&str; 18] = [
    "386", "amd64", "arm", "arm64", "loong64", "mips", "mips64", "mips64le", "mipsle", "ppc64", "ppc64le",
    "riscv", "riscv64", "s390x", "sparc", "sparc64", "wasm", "armbe",
];

/// How deep parentheses and negations may nest.
const NESTING: usize = 100;

/// Whether the name of a file lets it into a build for Linux on `arch`.
pub(super) fn name_fits(name: &str, arch: &str) -> bool {
    let stem = name.strip_suffix(".go").unwrap_or(name);
    // What stands before the first underscore is never a constraint.
    let Some((_, endings)) = stem.split_once('_') else { return true };
    let mut endings: Vec<&str> = endings.split('_').collect();
    let last = endings.pop().unwrap_or_default();
    let system = |name: &str| KNOWN_SYSTEMS.contains(&name) && name != "unix";
    if KNOWN_ARCHITECTURES.contains(&last) {
        let before = endings.pop().filter(|before| system(before));
        return last == arch && before.is_none_or(|before| before == "linux");
    }
    !system(last) || last == "linux"
}

/// Whether `tag` holds in a build for Linux on `arch`.
fn tag_holds(tag: &str, arch: &str, cgo: bool) -> bool {
    match tag {
        "linux" | "unix" | "gc" => true,
        "cgo" => cgo,
        _ => tag == arch || tag.strip_prefix("go1.").is_some_and(|minor| minor.parse::<u32>().is_ok()),
    }
}

/// Evaluates the expression of a `//go:build` line; an invalid one does not hold.
pub(super) fn expression_holds(expression: &str, arch: &str, cgo: bool) -> bool {
    let mut parser = Parser { rest: expression, arch, cgo };
    parser.or(0).is_some_and(|holds| holds && parser.rest.trim_start().is_empty())
}

/// Evaluates a `// +build` line: words are alternatives, commas join, `!` negates.
pub(super) fn line_holds(line: &str, arch: &str, cgo: bool) -> bool {
    line.split_whitespace().any(|option| {
        option.split(',').all(|term| match term.strip_prefix('!') {
            Some(tag) => !tag_holds(tag, arch, cgo),
            None => tag_holds(term, arch, cgo),
        })
    })
}

struct Parser<'a> {
    rest: &'a str,
    arch: &'a str,
    cgo: bool,
}

impl Parser<'_> {
    fn eat(&mut self, token: &str) -> bool {
        self.rest = self.rest.trim_start();
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn or(&mut self, depth: usize) -> Option<bool> {
        let mut holds = self.and(depth)?;
        while self.eat("||") {
            holds |= self.and(depth)?;
        }
        Some(holds)
    }

    fn and(&mut self, depth: usize) -> Option<bool> {
        let mut holds = self.not(depth)?;
        while self.eat("&&") {
            holds &= self.not(depth)?;
        }
        Some(holds)
    }

    fn not(&mut self, depth: usize) -> Option<bool> {
        if depth > NESTING {
            return None;
        }
        if self.eat("!") {
            return self.not(depth + 1).map(|holds| !holds);
        }
        if self.eat("(") {
            let holds = self.or(depth + 1)?;
            return self.eat(")").then_some(holds);
        }
        let in_tag = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
        let length = self.rest.find(|c| !in_tag(c)).unwrap_or(self.rest.len());
        let (tag, rest) = self.rest.split_at(length);
        self.rest = rest;
        (!tag.is_empty()).then(|| tag_holds(tag, self.arch, self.cgo))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{expression_holds, line_holds, name_fits};

    #[test]
    fn names_select_system_and_architecture() {
        for (name, fits) in [
            ("main.go", true),
            ("linux.go", true),
            ("windows.go", true),
            ("x_linux.go", true),
            ("x_windows.go", false),
            ("x_amd64.go", true),
            ("x_arm64.go", false),
            ("x_linux_amd64.go", true),
            ("x_darwin_amd64.go", false),
            ("x_unix.go", true),
            ("x_server.go", true),
            ("x_windows_helper.go", true),
        ] {
            assert_eq!(name_fits(name, "amd64"), fits, "{name}");
        }
    }

    #[test]
    fn expressions_are_evaluated_for_linux() {
        for (expression, holds) in [
            ("linux", true),
            ("!linux", false),
            ("ignore", false),
            ("unix && (amd64 || arm64)", true),
            ("windows || !cgo", true),
            ("cgo", false),
            ("go1.21 && !go1.x", true),
            ("linux &&", false),
            ("linux)", false),
            ("", false),
        ] {
            assert_eq!(expression_holds(expression, "amd64", false), holds, "{expression}");
        }
        assert!(!expression_holds(&"(".repeat(100_000), "amd64", false));
        assert!(!expression_holds(&"!".repeat(100_000), "amd64", false));
        assert!(line_holds("windows linux,!cgo", "amd64", false));
        assert!(!line_holds("ignore", "amd64", false));
    }

    proptest! {
        #[test]
        fn no_expression_panics(text in any::<String>(), dense in "[!()&| a-z.1]{0,40}") {
            let _ = expression_holds(&text, "amd64", true);
            let _ = expression_holds(&dense, "amd64", true);
            let _ = name_fits(&text, "amd64");
        }
    }
}
