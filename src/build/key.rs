//! The identity of a step: a digest over everything its result can depend on.
//!
//! Not in it: the caches' contents and what tools keep from build to build (losing it changes nothing but time), proxies and certificates of the
//! machine, and which host served a download, all of which may differ between machines that must agree.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::oci::{Digest, to_canonical_json};
use crate::plan::model::{Secret, Step};

/// Changes when the sandbox itself changes in a way that steps can see.
const SANDBOX_RULES: u32 = 2;

/// What a step can read besides its command.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Lowers<'a> {
    /// The build root.
    pub(super) root: Digest,
    /// Name → digest of the toolchain's definition.
    pub(super) toolchains: &'a BTreeMap<String, Digest>,
    /// Keys of the earlier steps that it sees, in order.
    pub(super) steps: Vec<Digest>,
    /// The source files that the step declares.
    pub(super) inputs: Digest,
}

#[derive(Serialize)]
struct Key<'a> {
    rules: u32,
    argv: &'a [String],
    directory: &'a str,
    env: &'a BTreeMap<String, String>,
    files: &'a BTreeMap<String, String>,
    caches: &'a BTreeMap<String, String>,
    network: bool,
    /// Which it may see; whether they are given, and their values, are not in the key.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    secrets: &'a [Secret],
    lowers: &'a Lowers<'a>,
}

/// The key of `step` over `lowers`.
pub(super) fn key(step: &Step, lowers: &Lowers<'_>) -> Digest {
    // Where a name stands changes nothing.
    let secrets: Vec<Secret> =
        step.secrets.iter().map(|secret| Secret { named_by: None, ..secret.clone() }).collect();
    let key = Key {
        rules: SANDBOX_RULES,
        argv: &step.argv,
        directory: &step.directory,
        env: &step.env,
        files: &step.files,
        caches: &step.caches,
        network: step.network,
        secrets: &secrets,
        lowers,
    };
    Digest::of(&to_canonical_json(&key).expect("maps with string keys always serialise"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Lowers, key};
    use crate::oci::Digest;
    use crate::plan::model::Step;

    fn step() -> Step {
        Step {
            id: "node/install".into(),
            title: "npm ci".into(),
            argv: vec!["npm".into(), "ci".into()],
            directory: "/app".into(),
            env: BTreeMap::from([("CI".into(), "1".into())]),
            inputs: vec!["package.json".into()],
            needs: None,
            caches: BTreeMap::new(),
            incremental: Vec::new(),
            network: true,
            files: BTreeMap::new(),
            secrets: Vec::new(),
        }
    }

    fn key_of(step: &Step, steps: &[Digest], inputs: &[u8]) -> Digest {
        let toolchains = BTreeMap::new();
        let lowers = Lowers {
            root: Digest::of(b"root"),
            toolchains: &toolchains,
            steps: steps.to_vec(),
            inputs: Digest::of(inputs),
        };
        key(step, &lowers)
    }

    #[test]
    fn a_title_does_not_change_the_key_and_everything_that_runs_does() {
        let original = key_of(&step(), &[], b"inputs");
        let renamed = Step { title: "install".into(), id: "x".into(), ..step() };
        assert_eq!(key_of(&renamed, &[], b"inputs"), original);
        let changes = [
            Step { argv: vec!["npm".into(), "install".into()], ..step() },
            Step { directory: "/app/web".into(), ..step() },
            Step { env: BTreeMap::new(), ..step() },
            Step { network: false, ..step() },
            Step { files: BTreeMap::from([("/app/x".into(), "y".into())]), ..step() },
        ];
        for changed in changes {
            assert_ne!(key_of(&changed, &[], b"inputs"), original, "{changed:?}");
        }
        assert_ne!(key_of(&step(), &[], b"other"), original);
        assert_ne!(key_of(&step(), &[Digest::of(b"before")], b"inputs"), original);
    }
}
