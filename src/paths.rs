//! Paths in a tree as texts, with `/` between names.

/// What `path` means in `folder`, without `.` and `..`; empty for the tree itself. None when it leads out of the tree or
/// begins with a slash.
pub(crate) fn inside(folder: &str, path: &str) -> Option<String> {
    if path.starts_with('/') {
        return None;
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// The same in the folder of `file`.
pub(crate) fn beside(file: &str, path: &str) -> Option<String> {
    inside(file.rsplit_once('/').map_or("", |(folder, _)| folder), path)
}

#[cfg(test)]
mod tests {
    use super::{beside, inside};

    #[test]
    fn paths_stay_inside_the_tree() {
        assert_eq!(inside("packages/a", "../b/./c.tgz"), Some("packages/b/c.tgz".to_owned()));
        assert_eq!(inside("", "vendor/x/"), Some("vendor/x".to_owned()));
        assert_eq!(inside("a", ".."), Some(String::new()));
        assert_eq!(inside("a", "../.."), None);
        assert_eq!(inside("a", "/etc"), None);
        assert_eq!(beside("requirements/dev.txt", "base.txt"), Some("requirements/base.txt".to_owned()));
        assert_eq!(beside("dev.txt", "../base.txt"), None);
    }
}
