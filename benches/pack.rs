//! Packs one folder as a layer and says how long that took: what `bench/pack` measures.
//!
//! In: `STORE FOLDER gzip|zstd[:LEVEL]`. A folder in `STORE/steps/` is packed as the result of a step is: what stands
//! for its files is their stat data; any other as the source is, by content. Out: one line of JSON on stdout.

#![expect(clippy::print_stdout, reason = "its result is one line on stdout")]

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::time::Instant;

use rpack::oci::MediaTypes;
use rpack::package::{Input, LayerInput, Time, package};
use rpack::plan::model::Image;
use rpack::store::Store;
use rpack::ui::{Progress, Reporter};

fn main() -> Result<(), Box<dyn Error>> {
    // Cargo adds `--bench`.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let [store, folder, compression] = &arguments[..] else {
        return Err("usage: pack STORE FOLDER gzip|zstd[:LEVEL]".into());
    };
    let store = Store::open(store)?;
    let image = Image {
        user: "65532:65532".to_owned(),
        working_directory: "/".to_owned(),
        env: Vec::new(),
        ports: Vec::new(),
        entrypoint: Vec::new(),
        cmd: Vec::new(),
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
        writable: Vec::new(),
        created: 0,
        compression: compression.parse()?,
        media_types: MediaTypes::Oci,
        start_origin: String::new(),
        processes: BTreeMap::new(),
    };
    let start = Instant::now();
    let tree = store.read_directory(Path::new(folder))?;
    let files = tree.len();
    let walked = start.elapsed();
    let start = Instant::now();
    let layer = LayerInput { id: "dependencies".to_owned(), comment: String::new(), tree, time: Time::Fixed };
    let input = Input {
        name: "bench",
        platform: "linux/amd64",
        layers: vec![layer],
        image: &image,
        base: None,
        history: None,
        ahead: None,
    };
    let image = package(input, &store, &Reporter::new(Progress::Plain))?;
    let packed = start.elapsed();
    let line = serde_json::json!({
        "walk": walked.as_secs_f64(),
        "pack": packed.as_secs_f64(),
        "entries": files,
        "digest": image.layers[0].digest,
        "size": image.layers[0].size,
        "archive": image.layers[0].uncompressed_size,
    });
    println!("{line}");
    Ok(())
}
