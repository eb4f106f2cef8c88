//! What the root filesystem of every image holds besides programs and libraries, and what it leaves out.

use std::collections::BTreeSet;

use crate::support::TestContext;
use crate::support::image::Layout;

fn image(example: &str) -> (TestContext, Layout) {
    let context = TestContext::of_example(example);
    let layout = context.root().join("layout");
    context.rpack(&["build", "-o", &format!("oci:{}:1", layout.display())]).success();
    let image = Layout::open(&layout);
    (context, image)
}

#[test]
#[ignore = "needs the network: run by .ci/run"]
fn network_identity_users_names_and_certificates() {
    let (_context, image) = image("procfile-worker");
    let text = |path: &str| image.text(path).unwrap_or_else(|| panic!("the image has no `{path}`"));
    assert_eq!(
        text("etc/passwd"),
        "root:x:0:0:root:/root:/sbin/nologin\n\
         nobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin\n\
         nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n"
    );
    assert_eq!(text("etc/group"), "root:x:0:\nnobody:x:65534:\ntty:x:5:\nstaff:x:50:\nnonroot:x:65532:\n");
    assert!(text("etc/nsswitch.conf").contains("hosts:          files dns\n"));
    let release = text("usr/lib/os-release");
    for line in ["ID=debian", "VERSION_ID=\"13\"", "VERSION_CODENAME=trixie"] {
        assert!(release.lines().any(|found| found == line), "{line} in {release}");
    }
    assert!(text("etc/debian_version").starts_with("13."));
    let bundle = text("etc/ssl/certs/ca-certificates.crt");
    assert!(bundle.matches("-----BEGIN CERTIFICATE-----\n").count() > 100);
    assert!(!bundle.contains('\r'));
    let paths = image.paths();
    for path in ["usr/share/zoneinfo/Europe/Kyiv", "usr/share/zoneinfo/Europe/Kiev", "etc/os-release"] {
        assert!(paths.contains(path), "{path}");
    }
}

#[test]
#[ignore = "needs the network: run by .ci/run"]
fn network_directories_have_their_modes_and_owners() {
    let (_context, image) = image("procfile-worker");
    let listing = image.listing();
    let seen = |path: &str| -> BTreeSet<String> {
        let columns = listing.iter().map(|line| line.split(' ').collect::<Vec<_>>());
        let of_path = columns.filter(|columns| columns[5] == path);
        of_path.map(|columns| format!("{} {}", columns[0], columns[1])).collect()
    };
    for (path, expected) in [
        ("home/", "drwxr-xr-x 0/0"),
        ("home/nonroot/", "drwxr-xr-x 65532/65532"),
        ("root/", "drwx------ 0/0"),
        ("tmp/", "drwxrwxrwt 0/0"),
        ("var/tmp/", "drwxr-xr-x 0/0"),
    ] {
        assert_eq!(seen(path), BTreeSet::from([expected.to_owned()]), "{path}");
    }
}

#[test]
#[ignore = "needs the network: run by .ci/run"]
fn network_documents_stay_behind_and_licences_ship() {
    for example in ["node-express", "python-flask"] {
        let (_context, image) = image(example);
        let paths = image.paths();
        let is_licence = |path: &&String| {
            path.ends_with("/copyright") || path.trim_end_matches('/').matches('/').count() == 3
        };
        let documents: Vec<_> = paths
            .iter()
            .filter(|path| path.starts_with("usr/share/doc/"))
            .filter(|path| !is_licence(path))
            .collect();
        assert!(documents.is_empty(), "{example}: {documents:?}");
        assert!(paths.contains("usr/share/doc/libc6/copyright"), "{example}");
        for folder in
            ["usr/share/man/", "usr/share/info/", "usr/share/locale/", "usr/share/lintian/", "boot/"]
        {
            assert!(!paths.iter().any(|path| path.starts_with(folder)), "{example} ships {folder}");
        }
        let locales = paths.iter().filter_map(|path| path.strip_prefix("usr/lib/locale/"));
        let others: Vec<_> = locales.filter(|path| !path.starts_with("C.utf8/")).collect();
        assert!(others.is_empty(), "{example}: {others:?}");
    }
}
