//! What git says of the commit that is checked out.
//!
//! Asked of `git` itself, in a way that runs nothing a repository could name: no hook, no file system monitor, no
//! signature program, no transport, no filter. `git` refuses a repository of another user on its own
//! (`safe.directory`). Without `git`, without a repository or a commit there is no answer, and that is no error.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Commit, tag};

/// No name of a branch or folder is longer than this many bytes.
const LONGEST_LINE: u64 = 8 << 10;

/// The commit that `root` is checked out from.
pub(super) fn commit(root: &Path) -> Option<Commit> {
    if !root.ancestors().any(|folder| folder.join(".git").exists()) {
        return None;
    }
    let revision = git(root, &["rev-parse", "--verify", "--end-of-options", "HEAD^{commit}"])?;
    let revision = revision.trim().to_owned();
    if !revision.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let time = committer_time(&git(root, &["cat-file", "commit", &revision])?)?;
    let url = git(root, &["config", "--get", "remote.origin.url"]).and_then(|url| public_url(url.trim()));
    let version = version(root, &revision);
    Some(Commit { revision, time, url, version })
}

/// What the tags of the commit say.
fn version(root: &Path, revision: &str) -> Option<String> {
    let points_at = format!("--points-at={revision}");
    let names = git(root, &["for-each-ref", &points_at, "--format=%(refname:lstrip=2)", "refs/tags"])?;
    tag::version(names.lines())
}

/// The files that say which commit is checked out and where it came from, whether they are there or not: as long as
/// they are the same, so is the answer (<https://git-scm.com/docs/gitrepository-layout>).
pub(super) fn files(root: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for folder in root.ancestors() {
        let found = folder.join(".git");
        if found.is_dir() {
            files.extend(of_repository(&found));
            return files;
        }
        files.push(found.clone());
        if let Some(repository) = line(&found).as_deref().and_then(|line| line.strip_prefix("gitdir:")) {
            files.extend(of_repository(&folder.join(repository.trim())));
            return files;
        }
    }
    files
}

/// Of a repository, or of what a further work tree has of its own.
fn of_repository(folder: &Path) -> Vec<PathBuf> {
    let shared = line(&folder.join("commondir")).map_or_else(|| folder.to_owned(), |path| folder.join(path));
    let head = folder.join("HEAD");
    let branch = line(&head).and_then(|line| Some(line.strip_prefix("ref:")?.trim().to_owned()));
    let mut files: Vec<PathBuf> = branch.iter().map(|branch| shared.join(branch)).collect();
    files.extend(["config", "packed-refs", "reftable/tables.list"].map(|name| shared.join(name)));
    files.extend([folder.join("config.worktree"), head]);
    let tags = shared.join("refs/tags");
    files.extend(tag::loose(&tags));
    files.push(tags);
    files
}

/// The first line of a small file of git.
fn line(path: &Path) -> Option<String> {
    let mut text = String::new();
    File::open(path).ok()?.take(LONGEST_LINE).read_to_string(&mut text).ok()?;
    text.lines().next().map(str::to_owned)
}

fn git(root: &Path, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new("git");
    command.arg("-C").arg(root);
    for setting in ["core.fsmonitor=false", "core.hooksPath=/dev/null", "protocol.allow=never"] {
        command.args(["-c", setting]);
    }
    command.args(["--no-pager", "--no-replace-objects"]).args(arguments);
    for (name, value) in [
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("GIT_NO_LAZY_FETCH", "1"),
        ("GIT_OPTIONAL_LOCKS", "0"),
        ("GIT_TERMINAL_PROMPT", "0"),
        ("LC_ALL", "C"),
    ] {
        command.env(name, value);
    }
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR"] {
        command.env_remove(name);
    }
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    if output.status.success() { String::from_utf8(output.stdout).ok() } else { None }
}

/// The committer's time in a commit object: `committer NAME <MAIL> SECONDS ZONE` before the first empty line.
fn committer_time(object: &str) -> Option<i64> {
    let line =
        object.lines().take_while(|line| !line.is_empty()).find_map(|l| l.strip_prefix("committer "))?;
    line.rsplit_once('>')?.1.split_whitespace().next()?.parse().ok()
}

/// A remote's URL without anything secret; none for a path on this machine.
fn public_url(url: &str) -> Option<String> {
    if url.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return None;
    }
    let Some((scheme, rest)) = url.split_once("://") else {
        // `user@host:path`, unless the part before the colon is a path.
        let (host, path) = url.split_once(':')?;
        let secret = host.matches(':').count() > 0;
        return (!host.is_empty() && !host.contains('/') && !path.is_empty() && !secret)
            .then(|| url.to_owned());
    };
    if scheme == "file" || scheme.is_empty() {
        return None;
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let host = match authority.rsplit_once('@') {
        Some((user, host)) if scheme == "ssh" || scheme.ends_with("+ssh") => {
            format!("{}@{host}", user.split(':').next().unwrap_or_default())
        }
        Some((_, host)) => host.to_owned(),
        None => authority.to_owned(),
    };
    (!host.is_empty()).then(|| format!("{scheme}://{host}{path}"))
}

#[cfg(test)]
mod tests {
    use super::{committer_time, public_url};

    #[test]
    fn urls_lose_their_secrets() {
        for (url, expected) in [
            ("https://git.acme.example/shop.git", Some("https://git.acme.example/shop.git")),
            ("https://me:s3cret@git.acme.example/shop", Some("https://git.acme.example/shop")),
            ("https://t0ken@git.acme.example:8443/shop?x=1#y", Some("https://git.acme.example:8443/shop")),
            ("https://a@b:c@git.acme.example/shop", Some("https://git.acme.example/shop")),
            ("ssh://git:pw@git.acme.example/shop", Some("ssh://git@git.acme.example/shop")),
            ("git@git.acme.example:shop/web.git", Some("git@git.acme.example:shop/web.git")),
            ("/srv/git/shop", None),
            ("../shop", None),
            ("./a:b", None),
            ("file:///srv/git/shop", None),
            ("", None),
        ] {
            assert_eq!(public_url(url).as_deref(), expected, "{url}");
        }
    }

    #[test]
    fn the_time_is_the_committers() {
        let object =
            "tree 1\nauthor A <a@b> 1 +0000\ncommitter B <c> d@e> 1700000000 +0200\n\ncommitter X <y> 5 +0";
        assert_eq!(committer_time(object), Some(1_700_000_000));
        assert_eq!(committer_time("tree 1\n\ncommitter X <y> 5 +0"), None);
    }
}
