//! Apps under `tests/fixtures/failures` that cannot be built as they are: one folder for each situation, and what a
//! user is told. The errors of parsing alone are tested where the parsers are.

use std::fs;
use std::path::Path;

use super::{WithPins, options};
use crate::config::{self, Environment};
use crate::definitions::Definitions;
use crate::plan::{Options, Plan, plan};
use crate::ui::{Diagnose, render};
use crate::{detect, source};

type Refusal = Box<dyn Diagnose + Send + Sync>;

fn refusal<E: Diagnose + Send + Sync + 'static>(error: E) -> Refusal {
    Box::new(error)
}

fn planned(folder: &Path) -> Result<Plan, Refusal> {
    let config = config::load(folder, "", &Environment::default(), &[]).map_err(refusal)?;
    let source = source::read(folder, &source::Options::default()).map_err(refusal)?;
    let definitions = Definitions::embedded();
    let detection = detect::detect(&source, "", &definitions, &config).map_err(refusal)?;
    let options = Options { folder_name: "shop".to_owned(), ..options() };
    plan(&detection, &config, None, &definitions, &WithPins, &options).map_err(refusal)
}

#[test]
fn what_is_said_of_apps_that_cannot_be_built() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/failures");
    let mut situations: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    situations.sort();
    for situation in situations {
        let name = situation.file_name().unwrap().to_str().unwrap();
        let error = planned(&situation).map(|plan| plan.name).expect_err(name);
        let text = format!("exit {}\n{}", error.exit() as u8, render(&*error, false));
        let text = text.replace(situation.to_str().unwrap(), "shop");
        insta::assert_snapshot!(format!("failure_{name}"), text);
    }
}
