//! `rpack inspect`, `rpack diff` and `rpack export`: on images of rpack and on those of others.

mod diff;
mod export;
mod inspect;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::TestContext;
use crate::support::foreign::{self, Layer};
use crate::support::http_server::Server;

/// Output in which digests are words: they are those of rpack itself, too.
fn without_digests(text: &str) -> String {
    let whole = regex::Regex::new("[0-9a-f]{64}").unwrap().replace_all(text, "[DIGEST]").into_owned();
    regex::Regex::new("(?m)^  [0-9a-f]{12}  ").unwrap().replace_all(&whole, "  [DIGEST]  ").into_owned()
}

/// dpkg's list of packages of an installed system.
fn status(packages: &[(&str, &str)]) -> String {
    let record = |(name, version): &(&str, &str)| {
        format!(
            "Package: {name}\nStatus: install ok installed\nArchitecture: amd64\nSource: src-{name} (1)\nVersion: \
             {version}\n"
        )
    };
    packages.iter().map(record).collect::<Vec<_>>().join("\n")
}

/// The settings of an image that another program made of two layers.
fn settings() -> Value {
    json!({
        "created": "2026-03-01T00:00:00Z",
        "author": "Somebody",
        "config": {
            "Env": ["PATH=/usr/bin", "TEXT=a\u{1b}[31mb"],
            "Cmd": ["node", "server.js", "a b"],
            "WorkingDir": "/srv",
            "Volumes": {"/data": {}},
            "Healthcheck": {"Test": ["CMD", "true"]},
            "Labels": {"maintainer": "two\nlines"},
        },
        "history": [
            {"created_by": "ADD files"},
            {"created_by": "ENV PATH=/usr/bin", "empty_layer": true},
            {"created_by": "RUN install", "comment": "buildkit"},
        ],
    })
}

fn lower() -> Layer {
    Layer::new()
        .directory("etc/", 0o755, 0)
        .file("etc/os-release", "ID=debian\nVERSION_ID=\"13\"\n")
        .file("etc/gone", "removed above")
        .file("usr/lib/first", "one file, two names")
        .hard_link("usr/lib/second", "usr/lib/first")
        .file(
            "usr/share/doc/libc6/copyright",
            "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: debian/*\nLicense: \
             GPL-2\n\nFiles: *\nLicense: LGPL-2.1+\n the text\n",
        )
        .link("usr/share/doc/tool", "libc6")
        .file("usr/share/doc/more/copyright", "Written by somebody.\nLicense: free\n")
        .file("opt/old/a", "a")
        .file("opt/old/b", "b")
        .directory("var/", 0o755, 0)
        .directory("var/mail/", 0o2775, 8)
        .file("var/lib/dpkg/status", &status(&[("libc6", "2.41-12"), ("tool", "1.0")]))
}

fn upper() -> Layer {
    Layer::new()
        .file("etc/.wh.gone", "")
        .file("opt/old/.wh..wh..opq", "")
        .file("opt/old/c", "c")
        .file("var/lib/dpkg/status", &status(&[("libc6", "2.41-12"), ("tool", "1.1"), ("more", "3")]))
        .file_as("srv/server.js", "serve()", 0o4755, 1000)
        .link("srv/link", "../etc/os-release")
        .file(
            "srv/node_modules/left-pad/package.json",
            r#"{"name":"left-pad","version":"1.3.0","license":"WTFPL"}"#,
        )
        .file("srv/node_modules/@a/b/package.json", r#"{"name":"@a/b","version":"2.0.0"}"#)
        .file("srv/node_modules/@a/b/src/package.json", r#"{"name":"inner","version":"0.0.0"}"#)
        .file("srv/node_modules/alias/package.json", r#"{"name":"left-pad","version":"1.2.0"}"#)
        .file(
            "usr/lib/python3/six-1.17.0.dist-info/METADATA",
            "Metadata-Version: 2.4\nName: six\nVersion: 1.17.0\nLicense-Expression: MIT\n\nName: no\n",
        )
}

/// A layout with that image.
fn foreign_image(context: &TestContext) -> PathBuf {
    foreign::layout(context.root().join("foreign"), vec![lower(), upper()], settings())
}

/// Serves the image of a layout as `HOST/app:TAG`, and returns its digest.
fn serve(server: &Server, layout: &Path, tag: &str) -> String {
    let index: Value = serde_json::from_slice(&fs::read(layout.join("index.json")).unwrap()).unwrap();
    let digest = index["manifests"][0]["digest"].as_str().unwrap().to_owned();
    for entry in fs::read_dir(layout.join("blobs/sha256")).unwrap() {
        let entry = entry.unwrap();
        let (name, bytes) = (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap());
        for kind in ["manifests", "blobs"] {
            server.put(&format!("/v2/app/{kind}/sha256:{name}"), bytes.clone());
        }
        if digest.ends_with(&name) {
            server.put(&format!("/v2/app/manifests/{tag}"), bytes);
        }
    }
    digest
}
