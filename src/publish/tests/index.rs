//! Images for several platforms, and for others.

use super::*;
use crate::package::index as make_index;

#[test]
fn an_index_is_one_tag_with_an_image_for_each_platform() {
    let fixture = Fixture::new();
    let (amd64, arm64) = (fixture.image("1"), fixture.image_for("linux/arm64", "1"));
    let product = make_index(vec![amd64.clone(), arm64.clone()], BTreeMap::new(), &fixture.store).unwrap();
    let entry = |image: &Image, architecture: &str| {
        json!({
            "mediaType": MANIFEST, "digest": image.manifest.digest, "size": image.manifest.size,
            "platform": { "architecture": architecture, "os": "linux" },
        })
    };
    let bytes = fs::read(fixture.store.blob_path(&product.root.digest)).unwrap();
    let document: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(
        document,
        json!({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [entry(&amd64, "amd64"), entry(&arm64, "arm64")],
        })
    );

    let (out, archive) = (fixture.path("out"), fixture.path("image.tar"));
    let places =
        [String::new(), format!("oci:{}:v1", out.display()), format!("oci-archive:{}:v1", archive.display())];
    for place in &places {
        fixture.publish_all(&product, place, "team/app:v1").unwrap();
    }
    assert_eq!(tags(&out), [format!("v1 {}", product.root.digest)]);
    assert_eq!(index(&out)["manifests"][0]["platform"], Value::Null);
    for text in ["team/app:v1", &places[1], &places[2]] {
        for (platform, image) in [("linux/amd64", &amd64), ("linux/arm64", &arm64)] {
            assert_eq!(
                find(text, platform, &fixture.tools()).unwrap(),
                without_sizes(image.clone()),
                "{text}"
            );
        }
    }
    let stored = list(&fixture.tools()).unwrap();
    assert_eq!(
        stored.iter().map(|stored| (&*stored.name, stored.images.len())).collect::<Vec<_>>(),
        [("team/app:v1", 2)]
    );
    let error = find("team/app:v1", "linux/riscv64", &fixture.tools()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`team/app:v1` has no image for linux/riscv64: it has linux/amd64, linux/arm64"
    );
}

#[test]
fn an_image_for_another_platform_is_not_found_for_this_one() {
    let fixture = Fixture::new();
    fixture.publish(&fixture.image_for("linux/arm64", "1"), "", "app").unwrap();
    let error = find("app:latest", "linux/amd64", &fixture.tools()).unwrap_err();
    assert_eq!(error.id(), "publish/other-platform");
    assert_eq!(error.to_string(), "`app:latest` has no image for linux/amd64: it has linux/arm64");
    assert_eq!(error.hints(), ["build it for this machine: `rpack build --platform linux/amd64`"]);
}

#[test]
fn a_docker_archive_holds_one_platform() {
    let fixture = Fixture::new();
    let images = vec![fixture.image("1"), fixture.image_for("linux/arm64", "1")];
    let product = make_index(images, BTreeMap::new(), &fixture.store).unwrap();
    let file = fixture.path("image.tar");
    let error =
        fixture.publish_all(&product, &format!("docker-archive:{}", file.display()), "app").unwrap_err();
    assert_eq!(error.id(), "publish/one-platform");
    assert_eq!(
        error.to_string(),
        "a docker-archive holds one platform, and this image has 2: linux/amd64, linux/arm64"
    );
    assert!(!file.exists());
}
