//! `#cgo` lines: the libraries that a Go file's C code is linked with (<https://pkg.go.dev/cmd/cgo>).

/// What comes with a C or C++ compiler.
const WITH_THE_COMPILER: [&str; 8] = ["c", "dl", "m", "pthread", "resolv", "rt", "stdc++", "util"];

/// Names of `pkg-config:` and `-l` of `LDFLAGS:`, as far as the line counts for Linux.
pub(super) fn libraries(text: &str) -> Vec<String> {
    let mut libraries = Vec::new();
    for line in text.lines() {
        let line = line.trim().trim_start_matches(['/', '*']).trim_start();
        let Some((left, right)) = line.strip_prefix("#cgo").and_then(|rest| rest.split_once(':')) else {
            continue;
        };
        let words: Vec<&str> = left.split_whitespace().collect();
        let Some((variable, conditions)) = words.split_last() else { continue };
        if !conditions.is_empty() && !conditions.iter().any(|condition| may_hold(condition)) {
            continue;
        }
        let named = right.split_whitespace();
        match *variable {
            "pkg-config" => {
                libraries.extend(named.filter(|word| !word.starts_with('-')).map(str::to_owned));
            }
            "LDFLAGS" => {
                let linked = named.filter_map(|word| word.strip_prefix("-l"));
                libraries.extend(linked.filter(|name| !WITH_THE_COMPILER.contains(name)).map(str::to_owned));
            }
            _ => {}
        }
    }
    libraries
}

/// Whether terms joined by commas can hold on Linux.
fn may_hold(condition: &str) -> bool {
    condition.split(',').all(|term| match term.strip_prefix('!') {
        Some(other) => other != "linux",
        None => ["linux", "unix", "cgo", "gc", "amd64", "arm64"].contains(&term),
    })
}

#[cfg(test)]
mod tests {
    use super::libraries;

    #[test]
    fn libraries_are_those_that_linux_links() {
        let text = "package main\n\n\
            // #cgo CFLAGS: -O2 -lnot\n\
            // #cgo LDFLAGS: -lm -lz -L/x\n\
            /*\n#cgo pkg-config: --static libpng libvips\n\
            #cgo windows LDFLAGS: -lws2_32\n\
            #cgo linux,arm64 darwin LDFLAGS: -lnuma\n\
            #cgo !linux LDFLAGS: -lkvm\n*/\n\
            import \"C\"\n";
        assert_eq!(libraries(text), ["z", "libpng", "libvips", "numa"]);
    }
}
