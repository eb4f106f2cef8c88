//! Plans on images from elsewhere.

use super::*;

fn base(reference: &str) -> Resolved<String> {
    file(3, reference.to_owned())
}

#[test]
fn an_image_takes_the_place_of_the_base_layer() {
    let config = Config {
        base_runtime: Some(base("registry.example/alpine-3.22")),
        base_build: Some(base("oci:../bases/debian-13")),
        ..Config::default()
    };
    let plan = make("go", go(), &config).unwrap();
    assert_eq!(plan.runtime_root.packages, []);
    let image = plan.runtime_root.image.as_ref().unwrap();
    assert_eq!(image.reference, "registry.example/alpine-3.22");
    assert!(!plan.build_root.packages.is_empty());
    assert_eq!(plan.build_root.image.as_ref().unwrap().reference, "oci:../bases/debian-13");
    // What the image says holds where the app says nothing; its PATH comes after ours.
    assert_eq!(plan.image.user, "1000:1000");
    assert_eq!(
        plan.image.env[0],
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/base/bin"
    );
    let has = |variable: &str| plan.image.env.iter().any(|found| found == variable);
    assert!(has("BASE=1") && has("HOME=/tmp") && has("LANG=C"));
    assert!(!plan.image.env.iter().any(|found| found.starts_with("SSL_CERT_FILE")), "it has no such bundle");
    assert_eq!(plan.image.labels["base"], "1");
    let label = |name: &str| plan.image.labels[&format!("org.opencontainers.image.{name}")].clone();
    assert_eq!(label("base.digest"), image.digest.to_string());
    assert_eq!(label("base.name"), "registry.example/alpine-3.22:latest");
    assert!(!plan.image.labels.contains_key("org.opencontainers.image.version"), "it is the base's");
    assert_eq!(Plan::from_json(&plan.to_json()).unwrap(), plan);
}

#[test]
fn packages_are_laid_over_images_of_the_same_release_only() {
    let over = |language: &str, facts: Value, image: &str| {
        let config = Config { base_runtime: Some(base(image)), ..Config::default() };
        make(language, facts, &config)
    };
    let plan = over("python", python(), "registry.example/debian-13").unwrap();
    let layers: std::collections::BTreeSet<_> =
        plan.runtime_root.packages.iter().map(|package| package.layer.as_str()).collect();
    assert!(!layers.contains("base") && layers.contains("runtime"), "{layers:?}");
    let error = over("python", python(), "registry.example/debian-12").unwrap_err();
    assert_eq!(
        shown(&error),
        "2[base/other-release]: `base.runtime` is `registry.example/debian-12`, which holds debian-12; \
         packages of debian-13 cannot be laid over it: @python\n\
         at rpack.toml:3:1\n\
         hint: name an image of debian-13, or leave out `base.runtime`\n\
         hint: or an image that needs nothing more, and leave out `build.packages` and `runtime.packages`\n"
    );
}

#[test]
fn a_build_image_of_another_system_is_taken_as_it_is() {
    let mut config = Config { base_build: Some(base("registry.example/fedora-42")), ..Config::default() };
    let plan = make("go", go(), &config).unwrap();
    assert_eq!(plan.build_root.packages, []);
    let notice = plan.notices.iter().find(|notice| notice.id == "base/as-it-is").unwrap();
    assert!(
        notice.text.starts_with("the build runs in `registry.example/fedora-42` as it is;"),
        "{}",
        notice.text
    );
    config.build_packages = vec![file(5, "git".to_owned())];
    let error = make("go", go(), &config).unwrap_err();
    assert!(shown(&error).starts_with("2[base/other-release]: `base.build` is `registry.example/fedora-42`"));
}
