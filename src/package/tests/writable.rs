//! Places that the app may write to.

use super::*;

/// A folder that the app may write to with all that is below it.
#[test]
fn writable_directories_must_be_possible() {
    for (path, expected) in [
        ("data", "`data` cannot be the writable directory: it is not absolute"),
        ("/", "`/` cannot be the writable directory: it has an empty, `.` or `..` part, or is `/` itself"),
        (
            "/a/../b",
            "`/a/../b` cannot be the writable directory: it has an empty, `.` or `..` part, or is `/` itself",
        ),
        ("/bin", "`/bin` cannot be the writable directory: layer `base` has something else there"),
    ] {
        let mut fixture = Fixture::new();
        fixture.image.writable = vec![whole(path)];
        let base = layer("base", Time::Fixed, &[("bin", Entry::symlink("usr/bin"))]);
        let error = fixture.package(vec![base, layer("app", Time::Source, &[])]).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn what_the_app_writes_is_open_and_the_rest_beside_it_is_not() {
    let mut fixture = Fixture::new();
    let single = |path: &str| model::Writable { whole: false, ..whole(path) };
    fixture.image.writable =
        vec![single("/app"), single("/app/shop.db"), whole("/app/data"), single("/app/nowhere")];
    let app = [
        ("app/app.py", Entry::bytes("1")),
        ("app/shop.db", Entry::bytes("2")),
        ("app/data/old/list.json", Entry::bytes("3")),
        ("app/lib/a.py", Entry::bytes("4")),
    ];
    let layers = vec![layer("app", Time::Source, &app)];
    let image = fixture.package(layers).unwrap();
    assert_eq!(
        fixture.listing(&image, 0),
        [
            "app/ 1777 65532:65532 315532801",
            "app/app.py 644 0:0 1700000000",
            "app/data/ 1777 65532:65532 315532801",
            "app/data/old/ 1777 65532:65532 315532801",
            "app/data/old/list.json 666 65532:65532 1700000000",
            "app/lib/ 755 0:0 315532801",
            "app/lib/a.py 644 0:0 1700000000",
            "app/shop.db 666 65532:65532 1700000000",
        ]
    );
}

#[test]
fn a_writable_directory_of_a_lower_layer_is_opened_in_the_last() {
    let mut fixture = Fixture::new();
    fixture.image.writable = vec![whole("/var/lib/app/")];
    fixture.image.working_directory = "/".to_owned();
    let base = layer("base", Time::Fixed, &[("var/lib/app", packaged(Entry::directory(), 0o2750, 5))]);
    let image = fixture.package(vec![base, layer("app", Time::Source, &[])]).unwrap();
    assert_eq!(
        fixture.listing(&image, 1),
        ["var/ 755 0:0 315532801", "var/lib/ 755 0:0 315532801", "var/lib/app/ 1777 65532:65532 315532801"]
    );
}
