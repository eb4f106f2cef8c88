//! Every key of the configuration, once: parsing, suggestions, variable names and the reference come from here.
//!
//! A component of a name in capitals stands for any text (`build.env.NAME`) or, where the key lists words, for
//! one of them (`runtime.TOOL.version`).

use super::check::Kind;

/// The prefix of rpack's environment variables.
pub(super) const PREFIX: &str = "RPACK_";

/// Variables of rpack that configure the machine and not the image.
pub(super) const MACHINE: [(&str, &str); 3] = [
    (
        "RPACK_CACHE_MAX_SIZE",
        "What `rpack cache prune` leaves of the store at most, such as `10GB`, where `--max-size` does not say.",
    ),
    (
        "RPACK_REGISTRY_AUTH",
        "Credentials of registries: the text of a docker `config.json`, or the path of one. Default: what \
         `rpack login`, `docker login` and `podman login` wrote.",
    ),
    (
        "RPACK_STORE",
        "The folder that holds downloads, step results and images. Default: \
         `$XDG_CACHE_HOME/rpack`, else `$HOME/.cache/rpack`.",
    ),
];

/// The tools whose version can be stated.
const TOOLS: &[&str] = &["go", "node", "npm", "python", "uv"];

/// The registries that can be mirrored.
const ECOSYSTEMS: &[&str] =
    &["archive", "debian", "debian-security", "debian-snapshot", "go", "maven", "npm", "pypi"];

/// How statements of several layers become one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merge {
    /// The strongest layer wins.
    Replace,
    /// Layers add to the list, weakest first; an element is kept where it first occurs.
    Append,
    /// As [`Merge::Replace`], for each entry of the table.
    Map,
}

/// One key.
#[derive(Debug)]
pub struct Key {
    /// With capitals for what the user names.
    pub name: &'static str,
    /// The type.
    pub(super) kind: Kind,
    /// One or two sentences.
    pub doc: &'static str,
    /// As it stands in `rpack.toml`.
    pub example: &'static str,
    /// The version that introduced it.
    pub since: &'static str,
    /// The words that the component in capitals may be; empty means any.
    pub words: &'static [&'static str],
}

const fn key(name: &'static str, kind: Kind, example: &'static str, doc: &'static str) -> Key {
    Key { name, kind, doc, example, since: "0.1", words: &[] }
}

/// All keys, sorted by name.
pub static KEYS: [Key; 37] = [
    key(
        "base.build",
        Kind::Image,
        r#"base.build = "registry.example/team/builder:13""#,
        "An image that steps run in, instead of a composed root: a reference by tag or digest, `oci:DIR[:TAG]` or \
         `oci-archive:FILE[:TAG]` relative to the source. See docs/base-images.md.",
    ),
    key(
        "base.name",
        Kind::Word,
        r#"base.name = "debian-12""#,
        "The Debian release that the image is made on, instead of the newest that has the asked versions: \
         `debian-12`, `debian-13` or `debian-14`.",
    ),
    key(
        "base.runtime",
        Kind::Image,
        r#"base.runtime = "oci:../bases/runtime:v1""#,
        "An image whose layers are the lowest of the app's image, unchanged. Written as `base.build`.",
    ),
    key(
        "build.command",
        Kind::Line,
        r#"build.command = "npm run build:prod""#,
        "Replaces the build step that the ecosystem would run; a shell runs it in the app's folder.",
    ),
    key(
        "build.env.NAME",
        Kind::Variable,
        r#"build.env.NEXT_TELEMETRY_DISABLED = "1""#,
        "A variable of the build steps. It is not in the image.",
    ),
    key(
        "build.network",
        Kind::Boolean,
        "build.network = true",
        "Whether all build steps have the network. Without it, only those that install packages do: what a build fetches \
         may be another file tomorrow.",
    ),
    key(
        "build.packages",
        Kind::Packages,
        r#"build.packages = ["libvips-dev"]"#,
        "Further Debian packages, with what they depend on, for the build steps.",
    ),
    key(
        "closure.ignore",
        Kind::Globs,
        r#"closure.ignore = ["libQt6Sql.so.*"]"#,
        "Shared libraries that need not be found although a file of the image names them, as globs over their \
         names: for parts of dependencies that the app never loads.",
    ),
    key(
        "edition",
        Kind::Version,
        r#"edition = "2026.11""#,
        "The defaults that the app was set up with, such as versions that nobody states: a newer rpack keeps them. \
         `rpack init` writes it. Default: the newest.",
    ),
    key(
        "go.ldflags",
        Kind::Line,
        r#"go.ldflags = "-X main.version=1.4.0""#,
        "Further flags of Go's linker, which stamp a version into the program. The same flags give the same program; \
         nothing is stamped unasked.",
    ),
    key(
        "go.private",
        Kind::Line,
        r#"go.private = "git.example.com/acme/*""#,
        "Go modules that come from their repositories and are in no public checksum database: patterns of their paths, \
         joined by commas, as in `GOPRIVATE`. Credentials are the secrets `netrc` and `git-credentials`.",
    ),
    key(
        "go.tags",
        Kind::Line,
        r#"go.tags = "netgo,prod""#,
        "Build tags of Go, joined by commas.",
    ),
    key(
        "go.target",
        Kind::Path,
        r#"go.target = "cmd/worker""#,
        "The folder of the Go program to build, or its last part, when there are several. Same as `--target`.",
    ),
    key(
        "image.annotations.KEY",
        Kind::Label,
        r#"image.annotations."org.opencontainers.image.vendor" = "Acme""#,
        "An annotation of the image's manifest, and of the index of several platforms, that is no label. Labels are \
         annotations of the manifest already; an empty text leaves one out. Same as `--annotation`. Quote a key that \
         contains dots.",
    ),
    key(
        "image.compression",
        Kind::Compression,
        r#"image.compression = "zstd:9""#,
        "How layers are compressed: `gzip`, which everything reads, `zstd` or `zstd:LEVEL`. zstd is smaller and faster; \
         containerd, BuildKit, podman and skopeo read it, `docker-archive:` cannot hold it. Same as `--compression`. \
         Default: `gzip`.",
    ),
    key(
        "image.labels.KEY",
        Kind::Label,
        r#"image.labels."org.opencontainers.image.vendor" = "Acme""#,
        "A label of the image, which is an annotation of its manifest as well; it stands above what rpack finds. An empty \
         text leaves a label out. Same as `--label`. Quote a key that contains dots. See docs/publishing.md.",
    ),
    key(
        "image.media-types",
        Kind::MediaTypes,
        r#"image.media-types = "docker""#,
        "Whose media types manifest, config, layers and index have: `oci`, or `docker` for what reads nothing newer than \
         Docker's schema 2, which has no annotations and no zstd. The layers are the same. Same as `--media-types`. \
         Default: `oci`.",
    ),
    key(
        "image.ports",
        Kind::Ports,
        "image.ports = [8080, 9090]",
        "TCP ports that the image declares. They document; they open nothing.",
    ),
    key(
        "image.user",
        Kind::User,
        r#"image.user = "65532:65532""#,
        "The numeric user and group that the app runs as.",
    ),
    key(
        "image.writable",
        Kind::Directories,
        r#"image.writable = ["/app/uploads"]"#,
        "Directories that the app may write to, with all that is below them; `/tmp` always is one. Without this key, calls \
         in the sources that write files make the app's folder one to which files can be added; `[]` forbids that.",
    ),
    key(
        "language",
        Kind::Word,
        r#"language = "python""#,
        "The buildpack to use, instead of what detection would choose.",
    ),
    key(
        "locked",
        Kind::Boolean,
        "locked = true",
        "Use exactly what `rpack.lock` says: a difference between it and the app is an error. Same as `--locked`.",
    ),
    key(
        "mirror.ECOSYSTEM",
        Kind::Mirror,
        r#"mirror.npm = "https://mirror.acme.example/npm/""#,
        "Where artefacts of an ecosystem are fetched from, instead of what the machine is set up for. \
         `{ url = \"…\" }` says the same.",
    )
    .one_of(ECOSYSTEMS),
    key(
        "name",
        Kind::Name,
        r#"name = "shop/checkout""#,
        "The app's name, which becomes the image's repository. Default: the name of the folder.",
    ),
    key(
        "process.NAME",
        Kind::Command,
        r#"process.worker = "celery -A shop worker""#,
        "A process of the app, written as `start.command`. It stands above the one of the same name in the Procfile.",
    ),
    key(
        "registry.insecure",
        Kind::Hosts,
        r#"registry.insecure = ["registry.example:5000"]"#,
        "Registries that are asked by plain http. This machine's own always are.",
    ),
    key(
        "registry.mirrors.HOST",
        Kind::Mirror,
        r#"registry.mirrors."docker.io" = "https://mirror.acme.example/hub""#,
        "Where images of a registry are fetched from instead. Quote the host.",
    ),
    key(
        "runtime.TOOL.version",
        Kind::Version,
        r#"runtime.node.version = "24""#,
        "The version of a tool: exact, a prefix, or a range in the tool's own notation. Stronger than what the \
         app's own files say.",
    )
    .one_of(TOOLS),
    key(
        "runtime.env.NAME",
        Kind::Variable,
        r#"runtime.env.LOG_LEVEL = "info""#,
        "A variable of the image.",
    ),
    key(
        "runtime.packages",
        Kind::Packages,
        r#"runtime.packages = ["fonts-dejavu-core"]"#,
        "Further Debian packages, with what they depend on, in the image.",
    ),
    key(
        "source.exclude",
        Kind::Globs,
        r#"source.exclude = ["/docs", "*.psd"]"#,
        "Files that take no part in the build, as patterns of `.gitignore`.",
    ),
    key(
        "source.include",
        Kind::Globs,
        r#"source.include = ["/dist", ".env.production"]"#,
        "Files that take part although a rule ignores them, as patterns of `.gitignore`. A folder brings \
         everything below it.",
    ),
    key(
        "start.command",
        Kind::Command,
        r#"start.command = ["node", "server.js"]"#,
        "The process of the image: a line as in a Procfile, or a list of exact arguments.",
    ),
    key(
        "start.process",
        Kind::Word,
        r#"start.process = "worker""#,
        "The process that the image starts, of those in the Procfile, in `process` or known to the language. Same as \
         `--process`. Default: `web`, or the only one.",
    ),
    key(
        "static.fallback",
        Kind::Path,
        r#"static.fallback = "index.html""#,
        "The page of a static site that answers views of a single-page app: addresses without a file, whose last part \
         has no dot, for clients that take HTML.",
    ),
    key(
        "static.root",
        Kind::Path,
        r#"static.root = "dist""#,
        "The folder of a static site that is served; `.` is the source itself.",
    ),
    key(
        "strict",
        Kind::Boolean,
        "strict = true",
        "Whatever would be a guess with a warning is an error.",
    ),
];

impl Key {
    const fn one_of(mut self, words: &'static [&'static str]) -> Self {
        self.words = words;
        self
    }

    /// How layers combine.
    pub fn merge(&self) -> Merge {
        match self.kind {
            Kind::Packages | Kind::Globs | Kind::Hosts | Kind::Ports | Kind::Directories => Merge::Append,
            _ if self.name.contains(|c: char| c.is_ascii_uppercase()) => Merge::Map,
            _ => Merge::Replace,
        }
    }

    fn components(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.name.split('.')
    }

    fn admits(&self, component: &str, found: &str) -> bool {
        if is_placeholder(component) {
            !found.is_empty() && (self.words.is_empty() || self.words.contains(&found))
        } else {
            component == found
        }
    }

    /// The name with the part in capitals filled in.
    pub(super) fn named(&self, argument: Option<&str>) -> String {
        let fill = |component| match argument {
            Some(argument) if is_placeholder(component) => argument,
            _ => component,
        };
        self.components().map(fill).collect::<Vec<_>>().join(".")
    }

    /// The name of its variable, with what stands for the part in capitals as it is.
    pub(super) fn variable(&self, argument: Option<&str>) -> String {
        let part = |component: &str| match argument {
            Some(argument) if is_placeholder(component) && self.words.is_empty() => argument.to_owned(),
            Some(argument) if is_placeholder(component) => constant(argument),
            _ => constant(component),
        };
        format!("{PREFIX}{}", self.components().map(part).collect::<Vec<_>>().join("__"))
    }
}

fn is_placeholder(component: &str) -> bool {
    component.starts_with(|c: char| c.is_ascii_uppercase())
}

fn constant(text: &str) -> String {
    text.to_ascii_uppercase().replace('-', "_")
}

/// What a path of components means.
#[derive(Debug)]
pub(super) enum Found {
    /// A key, and the text at its part in capitals.
    Key(&'static Key, Option<String>),
    /// A table that holds keys.
    Table,
    /// Nothing.
    Unknown,
}

/// Looks a path up.
pub(super) fn find(path: &[&str]) -> Found {
    let mut table = false;
    for key in &KEYS {
        let components: Vec<&str> = key.components().collect();
        if path.len() > components.len()
            || !path.iter().zip(&components).all(|(found, component)| key.admits(component, found))
        {
            continue;
        }
        if path.len() == components.len() {
            let argument = path.iter().zip(&components).find(|(_, component)| is_placeholder(component));
            return Found::Key(key, argument.map(|(found, _)| (*found).to_owned()));
        }
        table = true;
    }
    if table { Found::Table } else { Found::Unknown }
}

/// The names that may stand directly in the table at `path`; open names are left out.
pub(super) fn members(path: &[&str]) -> Vec<&'static str> {
    let mut found = Vec::new();
    for key in &KEYS {
        let components: Vec<&str> = key.components().collect();
        if path.len() < components.len()
            && path.iter().zip(&components).all(|(found, component)| key.admits(component, found))
        {
            let component = components[path.len()];
            if is_placeholder(component) {
                found.extend(key.words);
            } else {
                found.push(component);
            }
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// Every complete name that can be spelled out: keys with a list of words once per word.
pub(super) fn names() -> Vec<String> {
    let spelled = |key: &'static Key| -> Vec<String> {
        if key.words.is_empty() {
            vec![key.name.to_owned()]
        } else {
            key.words.iter().map(|word| key.named(Some(word))).collect()
        }
    };
    KEYS.iter().flat_map(spelled).collect()
}

/// What a variable sets: a key with the text at its part in capitals, or a whole open table (`None` there).
pub(super) fn variable(name: &str) -> Option<(&'static Key, Option<String>)> {
    for key in &KEYS {
        if let Some(word) = key
            .words
            .iter()
            .find(|word| key.variable(Some(word)) == name || short(key, word).as_deref() == Some(name))
        {
            return Some((key, Some((*word).to_owned())));
        }
        if !key.words.is_empty() {
            continue;
        }
        if key.merge() != Merge::Map {
            if key.variable(None) == name {
                return Some((key, None));
            }
            continue;
        }
        let open = key.variable(Some(""));
        if name == open.trim_end_matches('_') {
            return Some((key, None));
        }
        if let Some(argument) = name.strip_prefix(&open).filter(|argument| !argument.is_empty()) {
            return Some((key, Some(argument.to_owned())));
        }
    }
    None
}

/// `RPACK_NODE_VERSION`, beside `RPACK_RUNTIME__NODE__VERSION`.
pub(super) fn short(key: &Key, word: &str) -> Option<String> {
    matches!(key.kind, Kind::Version).then(|| format!("{PREFIX}{}_VERSION", constant(word)))
}
