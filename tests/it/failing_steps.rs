//! Apps under `tests/fixtures/failing-steps` whose build fails: one folder for each situation, and what a user is told
//! when the step has run. What planning finds is tested in `src/plan/tests/failures.rs`, and further lines of tools in
//! `src/plan/tests/advice.rs`.

use std::fs;

use crate::support::{TestContext, copy, repository};

/// Lines of tools that differ from run to run: addresses, times, versions, folders of their own.
const CHANGING: [(&str, &str); 6] = [
    (r"(?m)^(\[\d+:0x| ?\d+: 0x|0x|<--- |----- |npm error A complete log|Progress: |\+).*\n", ""),
    (r#""npm":"[\d.]+""#, r#""npm":"[VERSION]""#),
    (r"running go [\d.]+", "running go [VERSION]"),
    (r"built with [\d.]+", "built with [VERSION]"),
    (r"node-?v?\d+\.\d+\.\d+|v\d+\.\d+\.\d+", "[VERSION]"),
    (r"\n{3,}", "\n\n"),
];

#[test]
#[ignore = "needs the network: run by .ci/run"]
fn network_userns_what_is_said_of_steps_that_fail() {
    let folder = repository().join("tests/fixtures/failing-steps");
    let mut situations: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    situations.sort();
    for situation in situations {
        let name = situation.file_name().unwrap().to_str().unwrap();
        let context = TestContext::with_shared_store();
        copy(&situation, &context.app());
        let finished = context.rpack(&["build", "--quiet"]);
        assert_eq!(finished.stdout, "", "{name}");
        let text = format!("exit {}\n{}", finished.status, finished.stderr);
        insta::with_settings!({ filters => CHANGING.to_vec() }, {
            insta::assert_snapshot!(format!("failing_step_{name}"), text);
        });
    }
}
