//! Apps under `tests/fixtures/failures` that cannot be built as they are, or about which something must be said: one
//! folder for each situation, and what a user is told. The errors of parsing alone are tested where the parsers are, those
//! of steps that fail in `tests/it/failing_steps.rs`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::{WithPins, options};
use crate::config::{self, Environment};
use crate::definitions::Definitions;
use crate::package::{self, Parts};
use crate::plan::{Options, Plan, plan};
use crate::source::Source;
use crate::store::{Entry, Tree};
use crate::ui::{Diagnose, render};
use crate::{detect, source};

type Refusal = Box<dyn Diagnose + Send + Sync>;

fn refusal<E: Diagnose + Send + Sync + 'static>(error: E) -> Refusal {
    Box::new(error)
}

fn planned(folder: &Path) -> Result<(Plan, Source), Refusal> {
    let config = config::load(folder, "", &Environment::default(), &[]).map_err(refusal)?;
    let source = source::read(folder, &source::Options::default()).map_err(refusal)?;
    let definitions = Definitions::embedded();
    let detection = detect::detect(&source, "", &definitions, &config).map_err(refusal)?;
    let options = Options { folder_name: "shop".to_owned(), ..options() };
    let plan = plan(&detection, &config, None, &definitions, &WithPins, &options).map_err(refusal)?;
    Ok((plan, source))
}

/// The layers of what no step makes and no package starts: all of them come from the source and from rpack.
fn packed(plan: &Plan, source: &Source) -> Result<(), Refusal> {
    let mut work: Tree =
        source.tree.iter().map(|(path, entry)| (format!("app/{path}"), entry.clone())).collect();
    work.insert("app", Entry::directory());
    let parts = Parts { runtime_root: &Tree::new(), toolchains: &BTreeMap::new(), work: &work, base: None };
    package::assemble(plan, parts).map(drop).map_err(refusal)
}

fn said(situation: &Path) -> String {
    let failed = |error: &Refusal| format!("exit {}\n{}", error.exit() as u8, render(&**error, false));
    let (plan, source) = match planned(situation) {
        Ok(planned) => planned,
        Err(error) => return failed(&error),
    };
    if ["procfile", "static"].contains(&plan.language.as_str())
        && plan.steps.is_empty()
        && let Err(error) = packed(&plan, &source)
    {
        return failed(&error);
    }
    let warnings = plan.notices.iter().filter(|notice| notice.warning);
    let warnings: Vec<String> =
        warnings.map(|notice| format!("warning[{}]: {}\n", notice.id, notice.text)).collect();
    assert!(!warnings.is_empty(), "nothing is wrong with {}", situation.display());
    format!("exit 0\n{}", warnings.concat())
}

#[test]
fn what_is_said_of_apps_that_cannot_be_built() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/failures");
    let mut situations: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    situations.sort();
    for situation in situations {
        let name = situation.file_name().unwrap().to_str().unwrap();
        let text = said(&situation).replace(situation.to_str().unwrap(), "shop");
        insta::assert_snapshot!(format!("failure_{name}"), text);
    }
}
