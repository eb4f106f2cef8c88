//! Packing a layer of many small and a few large files: compressed anew, with one changed file, and unchanged.
//!
//! `cargo bench --bench layer`

use std::collections::BTreeMap;
use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use rpack::oci::{Compression, MediaTypes};
use rpack::package::{Image, Input, LayerInput, Time, package};
use rpack::plan::model;
use rpack::store::{Entry, Store, Tree};
use rpack::ui::{Progress, Reporter};

/// Text that compresses like code: words in an order that a small generator gives.
fn text(length: usize, seed: u32) -> Vec<u8> {
    let words =
        ["const ", "return ", "function(", ") {\n", "}\n", "value", " = ", "0x1f8b", ";\n", "// why\n"];
    let mut state = seed;
    let mut text = Vec::with_capacity(length + 16);
    while text.len() < length {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        text.extend_from_slice(words[(state >> 16) as usize % words.len()].as_bytes());
    }
    text.truncate(length);
    text
}

/// 2,000 files of 4 KiB and 4 of 2 MiB: 16 MiB.
fn tree() -> Tree {
    let small = (0..2000_u32).map(|at| (format!("app/{}/{at}.js", at % 50), Entry::bytes(text(4096, at))));
    let large = (0..4_u32).map(|at| (format!("app/{at}.bin"), Entry::bytes(text(2 << 20, at))));
    small.chain(large).collect()
}

fn settings(compression: Compression) -> model::Image {
    model::Image {
        user: "65532:65532".to_owned(),
        working_directory: "/app".to_owned(),
        env: Vec::new(),
        ports: Vec::new(),
        entrypoint: Vec::new(),
        cmd: Vec::new(),
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
        writable: Vec::new(),
        created: 0,
        compression,
        media_types: MediaTypes::Oci,
        start_origin: String::new(),
        processes: BTreeMap::new(),
    }
}

fn pack(tree: Tree, image: &model::Image, store: &Store) -> Image {
    let layer = LayerInput { id: "app".to_owned(), comment: String::new(), tree, time: Time::Fixed };
    let input = Input {
        name: "bench",
        platform: "linux/amd64",
        layers: vec![layer],
        image,
        base: None,
        history: None,
        ahead: None,
    };
    package(input, store, &Reporter::new(Progress::Quiet)).expect("the layer is packed")
}

fn layer(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("layer");
    group.throughput(Throughput::Bytes(16 << 20)).sample_size(10);
    let empty = || {
        let folder = tempfile::tempdir().expect("a folder is made");
        let store = Store::open(folder.path()).expect("the store is opened");
        (folder, store, tree())
    };
    for (name, compression) in [("gzip", Compression::Gzip), ("zstd", Compression::Zstd { level: 3 })] {
        let image = settings(compression);
        group.bench_function(format!("{name}, empty store"), |bencher| {
            let routine = |(folder, store, tree)| (folder, pack(tree, &image, &store));
            bencher.iter_batched(empty, routine, BatchSize::PerIteration);
        });
    }
    let image = settings(Compression::Gzip);
    let (_folder, store, tree) = empty();
    pack(tree.clone(), &image, &store);
    let mut seed = 10_000;
    group.bench_function("gzip, one file changed", |bencher| {
        let changed = || {
            seed += 1;
            let mut tree = tree.clone();
            tree.insert("app/7/1007.js", Entry::bytes(text(4096, seed)));
            tree
        };
        bencher.iter_batched(changed, |tree| pack(tree, &image, &store), BatchSize::PerIteration);
    });
    group.bench_function("gzip, nothing changed", |bencher| {
        bencher.iter_batched(
            || tree.clone(),
            |tree| black_box(pack(tree, &image, &store)),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group!(benches, layer);
criterion_main!(benches);
