//! Start scripts: what interprets them, what is added for them, what is said.

use std::fmt::Write as _;

use super::*;

fn script(interpreter: &str, arguments: &[&str], shebang: bool) -> Value {
    json!({ "files": { "has": ["start.sh"] }, "shell": {
        "file": "start.sh", "interpreter": interpreter, "arguments": arguments, "shebang": shebang, "bashism": null,
        "programs": [], "last": null,
    } })
}

/// The start command, the packages that were added and the notices; or the error.
fn planned(facts: Value) -> String {
    match make("shell", facts, &Config::default()) {
        Err(error) => shown(&error),
        Ok(plan) => {
            let entrypoint = plan.image.entrypoint.iter().chain(&plan.image.cmd);
            let packages = plan.runtime_root.packages.iter().map(|package| package.name.as_str());
            let mut text = format!(
                "start: {}\npackages: {}\n",
                entrypoint.map(String::as_str).collect::<Vec<_>>().join(" "),
                packages.collect::<Vec<_>>().join(" ")
            );
            for notice in &plan.notices {
                let level = if notice.warning { "warning" } else { "note" };
                writeln!(text, "{level}[{}]: {}", notice.id, notice.text).unwrap();
            }
            text
        }
    }
}

#[test]
fn scripts() {
    let mut text = planned(script("sh", &["-eu"], true));
    let mut facts = script("bash", &[], false);
    facts["shell"]["bashism"] = located("[[", "start.sh", Some(4), "");
    facts["shell"]["programs"] = json!([
        located("curl", "start.sh", Some(5), ""),
        located("frobnicate", "start.sh", Some(6), ""),
        located("sleep", "start.sh", Some(7), ""),
    ]);
    facts["shell"]["last"] = located("sleep", "start.sh", Some(7), "");
    text.push_str(&planned(facts));
    let mut facts = script("sh", &[], true);
    facts["shell"]["bashism"] = located("an array", "start.sh", Some(2), "");
    text.push_str(&planned(facts));
    text.push_str(&planned(script("fish", &[], true)));
    let mut none = script("", &[], false);
    none["shell"]["file"] = json!(null);
    text.push_str(&planned(none));
    insta::assert_snapshot!(text);
}
