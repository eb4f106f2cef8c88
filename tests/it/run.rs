//! `rpack run`: the app's own status comes back.

use std::process::Command;

use crate::support::TestContext;

#[test]
#[ignore = "needs the network and a C compiler: run by .ci/run"]
fn network_the_status_of_the_app_is_the_status_of_run() {
    let context = TestContext::with_shared_store();
    context.file("Procfile", "web: ./seven\n").file("seven.c", "int main(void) { return 7; }\n");
    let compiled =
        Command::new("gcc").args(["-static", "-o", "seven", "seven.c"]).current_dir(context.app()).status();
    assert!(compiled.unwrap().success());
    context.rpack(&["build", "--name", "seven"]).success();
    let finished = context.rpack(&["run", "seven"]);
    assert_eq!((finished.status, finished.stdout.as_str()), (7, ""), "{}", finished.stderr);
}
