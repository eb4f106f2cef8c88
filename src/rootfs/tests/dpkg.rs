//! The order of versions beside dpkg's own, over the versions of the real archives.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::process::Command;

use super::context;
use crate::rootfs::base::Base;
use crate::rootfs::debian;
use crate::rootfs::debian::version::compare;

const PAIRS: usize = 10_000;

/// Small changes that move a version to either side of another one.
fn mutations(version: &str) -> [String; 6] {
    let plain = version.split_once(':').map_or(version, |(_, rest)| rest);
    let upstream = plain.rsplit_once('-').map_or(plain, |(upstream, _)| upstream);
    [
        format!("{version}~"),
        format!("{version}+b1"),
        format!("{version}a"),
        format!("1:{plain}"),
        upstream.to_owned(),
        version.replacen('1', "01", 1),
    ]
}

#[test]
#[ignore = "network: needs dpkg, run by .ci/run"]
fn network_versions_are_ordered_as_dpkg_orders_them() {
    let folder = tempfile::tempdir().unwrap();
    let context = context(folder.path());
    let mut versions = BTreeSet::new();
    for id in ["debian-12", "debian-13"] {
        let base = Base::load(&context.definitions, id).unwrap();
        let universe =
            debian::load(&debian::prepare(&context, &base, "amd64").unwrap(), &base, "amd64").unwrap();
        let records = universe.suites.iter().flat_map(|suite| suite.index.records());
        versions.extend(records.map(|record| record.version().to_owned()));
    }
    // Neighbours in the order of their texts are alike, which is what is hard; the step spreads them over all.
    let versions: Vec<String> = versions.into_iter().collect();
    let step = (versions.len() * 8 / PAIRS).max(1);
    let mut pairs = Vec::new();
    for window in versions.windows(3).step_by(step) {
        pairs.push((window[0].clone(), window[1].clone()));
        pairs.push((window[2].clone(), window[0].clone()));
        pairs.extend(mutations(&window[0]).into_iter().map(|changed| (window[0].clone(), changed)));
    }
    assert!(pairs.len() >= PAIRS, "{} versions give {} pairs", versions.len(), pairs.len());
    pairs.truncate(PAIRS);
    // One shell runs dpkg once for each pair, with the order that is claimed, and prints what dpkg denies.
    let mut claims = String::new();
    for (one, other) in &pairs {
        let order = match compare(one, other) {
            Ordering::Less => "lt",
            Ordering::Equal => "eq",
            Ordering::Greater => "gt",
        };
        let _ = writeln!(claims, "{one} {order} {other}");
    }
    let file = folder.path().join("claims");
    std::fs::write(&file, claims).unwrap();
    let script = "while read -r one order other; do dpkg --compare-versions \"$one\" \"$order\" \"$other\" || \
                  echo \"$one $order $other\"; done < \"$0\"";
    let output = Command::new("sh").args(["-c", script]).arg(&file).output().unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "", "dpkg denies");
}
