//! Archives in docker's old form, which other programs write, and archives that leave out what the reader has.

use std::collections::BTreeSet;
use std::io::{self, Cursor, Read as _};
use std::path::Path;

use serde_json::{Value, json};

use super::super::archive::{Archived, stream};
use super::super::destination::Names;
use super::super::engine::{self, Engine, Way};
use super::super::{Error, find, locate, unpack};
use super::Fixture;
use crate::oci::{Content, Digest};
use crate::package::Image;
use crate::ui::Diagnose as _;

fn header() -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}

/// Writes a tar file: content, or the text of a link.
fn write(path: &Path, members: &[(&str, Result<&[u8], &str>)]) {
    let mut archive = tar::Builder::new(std::fs::File::create(path).unwrap());
    for (name, content) in members {
        let mut header = header();
        match content {
            Ok(bytes) => {
                header.set_size(bytes.len() as u64);
                archive.append_data(&mut header, name, *bytes).unwrap();
            }
            Err(target) => {
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_size(0);
                archive.append_link(&mut header, name, target).unwrap();
            }
        }
    }
    archive.finish().unwrap();
}

/// A layer with one file.
fn layer(text: &str) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = header();
    header.set_size(text.len() as u64);
    archive.append_data(&mut header, "version", text.as_bytes()).unwrap();
    archive.into_inner().unwrap()
}

fn config(layers: &[&[u8]]) -> Vec<u8> {
    let diff_ids: Vec<Digest> = layers.iter().map(|layer| Digest::of(layer)).collect();
    let document = json!({"architecture": "amd64", "os": "linux", "config": {"Env": null, "Cmd": ["/version"]},
        "rootfs": {"type": "layers", "diff_ids": diff_ids}});
    serde_json::to_vec(&document).unwrap()
}

fn list(items: &Value) -> Vec<u8> {
    serde_json::to_vec(items).unwrap()
}

fn found(fixture: &Fixture, text: &str) -> Result<Image, Error> {
    find(text, "linux/amd64", &fixture.tools())
}

#[test]
fn docker_s_old_form_is_read() {
    let fixture = Fixture::new();
    let (one, two) = (layer("1"), layer("2"));
    let mut gzip = flate2::read::GzEncoder::new(&two[..], flate2::Compression::fast());
    let mut packed = Vec::new();
    gzip.read_to_end(&mut packed).unwrap();
    let (first, second) = (config(&[&one, &two]), config(&[&one]));
    let items = list(&json!([
        {"Config": "c1.json", "RepoTags": ["app:1", "docker.io/team/app:2"], "Layers": ["a/layer.tar", "./b.tar.gz"]},
        {"Config": "c2.json", "RepoTags": null, "Layers": ["c/layer.tar"]},
    ]));
    let file = fixture.path("old.tar");
    write(
        &file,
        &[
            ("a/layer.tar", Ok(&one)),
            ("b.tar.gz", Ok(&packed)),
            ("c/layer.tar", Err("../d/layer.tar")),
            ("d/layer.tar", Err("../a/layer.tar")),
            ("c1.json", Ok(&first)),
            ("c2.json", Ok(&second)),
            ("manifest.json", Ok(&items)),
        ],
    );
    let text = |name: &str| format!("docker-archive:{}:{name}", file.display());
    let image = found(&fixture, &text("app:1")).unwrap();
    let layers: Vec<_> =
        image.layers.iter().map(|layer| (&*layer.media_type, layer.digest, layer.diff_id)).collect();
    let types = ["application/vnd.oci.image.layer.v1.tar", "application/vnd.oci.image.layer.v1.tar+gzip"];
    let (plain, zipped) = (Digest::of(&one), Digest::of(&packed));
    assert_eq!(layers, [(types[0], plain, plain), (types[1], zipped, Digest::of(&two))]);
    assert_eq!(image.config.digest, Digest::of(&first));
    let unpacked = unpack(&image, &fixture.store).unwrap();
    assert_eq!(std::fs::read_to_string(unpacked.root.join("version")).unwrap(), "2");
    assert_eq!(found(&fixture, &text("team/app:2")).unwrap(), image);
    let tools = fixture.tools();
    assert_eq!(locate(&text("app:1"), &tools).unwrap().reference().unwrap().to_string(), "app:1");
    let unnamed = format!("oci-archive:{}", file.display());
    let error = found(&fixture, &unnamed).unwrap_err();
    assert_eq!(error.id(), "publish/ambiguous");
    // The one without a name, through two links.
    let digest = error.hints()[0].rsplit('`').nth(1).unwrap().to_owned();
    let second =
        found(&fixture, &format!("{unnamed}:{}", &digest.strip_prefix("sha256:").unwrap()[..12])).unwrap();
    assert_eq!(second.layers[0].digest, plain);
}

#[test]
fn an_old_archive_with_one_image_of_two_names_needs_none() {
    let fixture = Fixture::new();
    let one = layer("1");
    let items = list(&json!([{"Config": "c.json", "RepoTags": ["a:1", "b:1"], "Layers": ["l.tar"]}]));
    let file = fixture.path("old.tar");
    write(&file, &[("l.tar", Ok(&one)), ("c.json", Ok(&config(&[&one]))), ("manifest.json", Ok(&items))]);
    let image = found(&fixture, &format!("docker-archive:{}", file.display())).unwrap();
    assert_eq!(image.layers[0].digest, Digest::of(&one));
}

#[test]
fn old_archives_that_lie_are_refused() {
    let fixture = Fixture::new();
    let (one, other) = (layer("1"), layer("other"));
    let good = config(&[&one]);
    let item = |config: &str, layers: &[&str]| list(&json!([{"Config": config, "Layers": layers}]));
    let file = fixture.path("old.tar");
    let attempt = |members: &[(&str, Result<&[u8], &str>)]| {
        write(&file, members);
        let error = found(&fixture, &format!("docker-archive:{}", file.display())).unwrap_err();
        let text = error.to_string().replace(file.to_str().unwrap(), "FILE");
        format!("{}: {text}\n", error.id()).replace(fixture.folder.path().to_str().unwrap(), "")
    };
    let many = list(&Value::from(vec![json!({"Config": "c.json"}); 101]));
    let attempts = [
        attempt(&[("readme", Ok(b"x"))]),
        attempt(&[("manifest.json", Ok(b"{}"))]),
        attempt(&[("manifest.json", Ok(&many))]),
        attempt(&[("manifest.json", Ok(&item("c.json", &[])))]),
        attempt(&[("manifest.json", Ok(&item("../c.json", &[])))]),
        attempt(&[("manifest.json", Ok(&item("c.json", &[]))), ("c.json", Ok(b"[]"))]),
        attempt(&[("manifest.json", Ok(&item("c.json", &[]))), ("c.json", Ok(&good))]),
        attempt(&[("manifest.json", Ok(&item("c.json", &["l.tar"]))), ("c.json", Ok(&good))]),
        attempt(&[
            ("manifest.json", Ok(&item("c.json", &["l.tar"]))),
            ("c.json", Ok(&good)),
            ("l.tar", Err("m.tar")),
            ("m.tar", Err("l.tar")),
        ]),
        attempt(&[
            ("manifest.json", Ok(&item("c.json", &["l.tar"]))),
            ("c.json", Ok(&good)),
            ("l.tar", Err("/etc/passwd")),
        ]),
        attempt(&[
            ("manifest.json", Ok(&item("c.json", &["l.tar"]))),
            ("c.json", Ok(&good)),
            ("l.tar", Ok(&other)),
        ]),
    ];
    insta::assert_snapshot!(attempts.concat());
}

#[test]
fn an_archive_leaves_out_what_its_reader_has() {
    let fixture = Fixture::new();
    let image = fixture.image("1");
    let content = Content::from(&image.clone().into());
    let names = ["app:1", "team/app:2"].map(|name| Names::loaded_as(&name.parse().unwrap()));
    let left_out = BTreeSet::from([image.layers[0].digest]);
    let archived = Archived { content: &content, names: &names, left_out: &left_out };
    let mut bytes = Vec::new();
    stream(&archived, &mut bytes, &Error::io("write", Path::new("-")), &fixture.store).unwrap();
    let mut archive = tar::Archive::new(Cursor::new(bytes));
    let mut members = BTreeSet::new();
    let (mut index, mut manifest) = (Value::Null, Value::Null);
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().to_str().unwrap().to_owned();
        match &*name {
            "index.json" => index = serde_json::from_reader(&mut entry).unwrap(),
            "manifest.json" => manifest = serde_json::from_reader(&mut entry).unwrap(),
            _ => drop(io::copy(&mut entry, &mut io::sink()).unwrap()),
        }
        members.insert(name);
    }
    let path = |digest: &Digest| format!("blobs/sha256/{}", digest.hex());
    assert!(!members.contains(&path(&image.layers[0].digest)));
    assert!(
        members.contains(&path(&image.layers[1].digest)) && members.contains(&path(&image.config.digest))
    );
    assert_eq!(manifest[0]["RepoTags"], json!(["app:1", "team/app:2"]));
    assert_eq!(
        manifest[0]["Layers"],
        json!(image.layers.iter().map(|layer| path(&layer.digest)).collect::<Vec<_>>())
    );
    let entries: Vec<&Value> = index["manifests"].as_array().unwrap().iter().collect();
    let full = |entry: &&Value| entry["annotations"]["io.containerd.image.name"].clone();
    let full: Vec<Value> = entries.iter().map(full).collect();
    assert_eq!(full, ["docker.io/library/app:1", "docker.io/team/app:2"]);
}

#[test]
fn an_image_that_no_engine_took_is_still_in_the_store() {
    let missing = engine::Error::Missing { engine: Engine::Docker, way: Way::In };
    let destination = "docker-daemon:".parse().unwrap();
    let error = Error::from(missing).loading(&destination, &["app:1".parse().unwrap()]);
    assert_eq!(error.id(), "publish/no-engine");
    assert_eq!(
        error.to_string(),
        "`app:1` was not loaded: `docker-daemon:` needs the program `docker` on PATH"
    );
    assert_eq!(
        error.hints().last().unwrap(),
        "the image is in the store; `rpack copy app:1 docker-daemon:` is enough then"
    );
}
