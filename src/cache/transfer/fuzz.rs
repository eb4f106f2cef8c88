//! Archives of caches for [`crate::fuzz`].

use std::fs;

use super::archive::{Layout, unpack_plain};
use super::tree;

/// Unpacks an archive as each kind of entry; nothing is made but below the folder, and no folder is a link.
pub fn cache(bytes: &[u8]) {
    for layout in [Layout::Step, Layout::Unpacked, Layout::Kept, Layout::Cache] {
        let outside = tempfile::tempdir().expect("there is a place for temporary files");
        let root = outside.path().join("entry");
        fs::create_dir(&root).expect("the folder is new");
        let made = unpack_plain(&mut &*bytes, layout, bytes.len() as u64, &root).is_ok();
        assert_eq!(fs::read_dir(outside.path()).map(Iterator::count).ok(), Some(1));
        for name in ["fs", "files"] {
            assert!(
                layout == Layout::Cache
                    || fs::symlink_metadata(root.join(name)).is_ok_and(|found| found.is_dir())
                    || !root.join(name).exists()
            );
        }
        if made && layout == Layout::Unpacked {
            let _ = tree::check(&root);
        }
        let _ = crate::store::remove_all(&root);
    }
}
