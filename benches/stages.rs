//! What comes before the first step: the walk of a source, matching and fingerprints of its files, detection, planning.
//!
//! `cargo bench --bench stages`

use std::fs;
use std::hint::black_box;
use std::path::Path;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rpack::config::{self, Config, Environment};
use rpack::definitions::Definitions;
use rpack::detect::{Detection, detect};
use rpack::oci::Digest;
use rpack::plan::catalogue::{
    Catalogue, CatalogueError, Release, ResolvedImage, RootRequest, Source as Registry,
};
use rpack::plan::model::Root;
use rpack::plan::{self, plan};
use rpack::source::{self, Fingerprints, Source};
use rpack::store::Store;

/// Files of the source beside those that say what it is.
const FILES: u32 = 2_000;

/// An app for Node.js with many files.
fn app(folder: &Path) {
    let package = r#"{"name": "bench", "scripts": {"start": "node server.js"}, "engines": {"node": "24"}}"#;
    let write = |path: &str, text: &str| fs::write(folder.join(path), text).expect("a file is written");
    write("package.json", package);
    write("server.js", "require('node:http').createServer().listen(process.env.PORT);\n");
    write(".gitignore", "*.log\n/dist\n");
    for at in 0..FILES {
        let path = format!("src/{}", at % 50);
        fs::create_dir_all(folder.join(&path)).expect("a folder is made");
        write(&format!("{path}/{at}.css"), &format!(".a{at} {{ width: {at}px }}\n").repeat(20));
    }
}

fn read(folder: &Path) -> Source {
    source::read(folder, &source::Options::default()).expect("the source is read")
}

fn detected(source: &Source, definitions: &Definitions, config: &Config) -> Detection {
    detect(source, "", definitions, config).expect("the app is detected")
}

/// A catalogue that answers at once.
struct Offered;

impl Catalogue for Offered {
    fn root(&self, request: &RootRequest) -> Result<Root, CatalogueError> {
        Ok(Root {
            base: request.base.clone(),
            architecture: request.architecture.clone(),
            digest: Digest::of(request.base.as_bytes()),
            packages: Vec::new(),
            image: None,
        })
    }

    fn image(&self, reference: &str, _: &str) -> Result<ResolvedImage, CatalogueError> {
        unreachable!("the app is on no image such as {reference}")
    }

    fn releases(&self, _: &Registry) -> Result<Vec<Release>, CatalogueError> {
        let release = |version: &str| Release {
            version: version.to_owned(),
            path: format!("tool-{version}.tgz"),
            integrity: Some(format!("sha512-{}==", "A".repeat(86))),
        };
        Ok(["24.21.0", "11.21.2"].map(release).to_vec())
    }
}

fn stages(criterion: &mut Criterion) {
    let [folder, kept] = [(); 2].map(|()| tempfile::tempdir().expect("a folder is made"));
    app(folder.path());
    let store = Store::open(kept.path()).expect("the store is opened");
    let definitions = Definitions::embedded();
    let config =
        config::load(folder.path(), "", &Environment::default(), &[]).expect("there is no configuration");
    let source = read(folder.path());
    let detection = detected(&source, &definitions, &config);
    let options = plan::Options {
        platform: "linux/amd64".to_owned(),
        build_platform: "linux/amd64".to_owned(),
        platforms: vec!["linux/amd64".to_owned()],
        source_date_epoch: None,
        folder_name: "bench".to_owned(),
    };
    let every = ["**".to_owned()];
    let fingerprints = Fingerprints::default();

    let mut group = criterion.benchmark_group("stages");
    group.throughput(Throughput::Elements(u64::from(FILES)));
    group.bench_function("walk", |bencher| bencher.iter(|| black_box(read(folder.path()))));
    group.bench_function("match and digest", |bencher| {
        bencher.iter(|| source.select(&every, &fingerprints).expect("all is selected"));
    });
    // Files must be two seconds old to be trusted.
    std::thread::sleep(std::time::Duration::from_secs(3));
    let known = Fingerprints::open(&store, &source);
    source.select(&every, &known).expect("all is selected");
    group.bench_function("match and known fingerprints", |bencher| {
        bencher.iter(|| source.select(&every, &known).expect("all is selected"));
    });
    group.bench_function("detect", |bencher| {
        bencher.iter(|| black_box(detected(&source, &definitions, &config)));
    });
    group.finish();
    criterion.bench_function("plan", |bencher| {
        bencher.iter(|| {
            let planned = plan(&detection, &config, None, &definitions, &Offered, &options);
            black_box(planned.expect("the app is planned"))
        });
    });
}

criterion_group!(benches, stages);
criterion_main!(benches);
