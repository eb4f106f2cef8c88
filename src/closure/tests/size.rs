//! What takes the space in an image.

use std::collections::BTreeMap;

use crate::closure::{LayerSize, sizes};
use crate::store::{Entry, Tree};

#[test]
fn the_largest_folders_with_what_put_them_there() {
    let mut tree = Tree::new();
    let mut of_path = BTreeMap::new();
    let mut add = |path: &str, size: usize, layer: usize| {
        tree.insert(path, Entry::bytes(vec![b'x'; size]));
        of_path.insert(path.to_owned(), layer);
    };
    add("usr/lib/libc.so.6", 2_000_000, 0);
    add("usr/lib/libm.so.6", 900_000, 0);
    add("usr/share/zoneinfo/UTC", 900_000, 0);
    add("opt/tool/bin/tool", 3_000_000, 1);
    add("app/deps/a/index.js", 600_000, 2);
    add("app/deps/b/index.js", 500_000, 2);
    add("app/main.js", 1_000, 3);
    let list = b"0  usr/lib/libc.so.6\n0  usr/lib/libm.so.6\n";
    tree.insert("var/lib/dpkg/status.d/libc6.md5sums", Entry::bytes(&list[..]));
    let list = b"0  usr/share/zoneinfo/UTC\n";
    tree.insert("var/lib/dpkg/status.d/tzdata.md5sums", Entry::bytes(&list[..]));
    tree.add_parents();
    let layer = |comment: &str| LayerSize { comment: comment.to_owned(), compressed: 400_000, files: 0 };
    let layers = ["Debian 13", "the tool", "packages", "the app"].map(layer).to_vec();
    let sizes = sizes(&tree, layers, &of_path).unwrap();
    assert_eq!(
        sizes.text(),
        "  COMPRESSED       FILES  LAYER
      0.4 MB      3.8 MB  Debian 13
      0.4 MB      3.0 MB  the tool
      0.4 MB      1.1 MB  packages
      0.4 MB      0.0 MB  the app

       FILES  WHERE AND WHY
      3.8 MB  /usr  (Debian package libc6 and 1 more)
      2.9 MB    /usr/lib  (Debian package libc6)
      2.0 MB      /usr/lib/libc.so.6  (Debian package libc6)
      0.9 MB      /usr/lib/libm.so.6  (Debian package libc6)
      0.9 MB    /usr/share/zoneinfo/UTC  (Debian package tzdata)
      3.0 MB  /opt/tool/bin/tool  (the tool)
      1.1 MB  /app/deps  (packages)
      0.6 MB    /app/deps/a/index.js  (packages)
      0.5 MB    /app/deps/b/index.js  (packages)
"
    );
}
