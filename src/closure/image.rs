//! The image as its loader and kernel will see it: architecture, environment, start command.

use globset::GlobSet;

use super::Error;
use super::load::{self, Outcome};
use super::rules::Rules;
use super::scan::Scan;
use super::search::Target;
use super::shebang::{self, Lacking, Role};
use super::view::View;
use crate::package::LayerInput;
use crate::plan::Plan;
use crate::store::Tree;

/// The image, as far as the loader and the kernel see it.
pub(super) struct Image<'a> {
    pub(super) plan: &'a Plan,
    pub(super) target: Target<'a>,
    /// Folders of `LD_LIBRARY_PATH`.
    library_path: Vec<String>,
    /// Folders of `PATH`, without a slash in front.
    pub(super) path: Vec<String>,
    /// The file that the start command names, if it is one.
    start: Option<String>,
    /// Paths of the layer `app`.
    app: Option<&'a Tree>,
    /// What an image from elsewhere has below the layers.
    base: Option<&'a Tree>,
    tolerated: GlobSet,
}

impl<'a> Image<'a> {
    pub(super) fn new(
        plan: &'a Plan,
        layers: &'a [LayerInput],
        base: Option<&'a Tree>,
        view: &View<'_>,
        rules: &Rules,
    ) -> Result<Self, Error> {
        let architecture = &plan.runtime_root.architecture;
        let target = Target::debian(architecture).ok_or_else(|| Error::Target(architecture.clone()))?;
        let mut image = Self {
            plan,
            target,
            library_path: library_path(&plan.image.env),
            path: path(&plan.image.env),
            start: None,
            app: layers.iter().find(|layer| layer.id == "app").map(|layer| &layer.tree),
            base,
            tolerated: rules.tolerated(&plan.ignored_libraries)?,
        };
        image.start = started(&plan.image.entrypoint, &plan.image.working_directory, &image.path, view);
        Ok(image)
    }

    fn is_on_path(&self, path: &str) -> bool {
        self.path.iter().any(|folder| folder == load::folder(path))
    }

    /// Whether a script of this layer is of interest.
    pub(super) fn may_start(&self, layer: &str, path: &str) -> bool {
        layer == "app" || self.is_on_path(path) || self.start.as_deref() == Some(path)
    }

    fn role(&self, path: &str) -> Role {
        if self.start.as_deref() == Some(path) {
            Role::Start
        } else if self.is_on_path(path) && self.app.is_some_and(|app| app.get(path).is_some()) {
            Role::Command
        } else {
            Role::Other
        }
    }

    pub(super) fn check_start(&self, scan: &Scan, view: &View<'_>) -> Result<(), Error> {
        let Some(start) = &self.start else { return Ok(()) };
        let is_foreign = scan.foreign.contains(start)
            || scan.elves.get(start).is_some_and(|elf| elf.machine != self.target.machine);
        let interpreter = scan.elves.get(start).and_then(|elf| elf.interpreter.as_ref());
        let is_musl = interpreter.filter(|path| path.contains("/ld-musl-") && view.file(path).is_none());
        if is_foreign {
            return Err(Error::Architecture { path: start.clone(), platform: self.plan.platform.clone() });
        }
        match is_musl {
            Some(program) => Err(Error::Interpreter {
                script: start.clone(),
                program: program.clone(),
                packages: vec!["musl".to_owned()],
                origin: self.plan.image.start_origin.clone(),
            }),
            None => Ok(()),
        }
    }

    /// What the loader finds, without what need not be found.
    pub(super) fn load(&self, scan: &Scan, view: &View<'_>) -> Outcome {
        let mut outcome = load::load(&scan.elves, view, &self.library_path, self.target);
        let is_below =
            |file: &str| self.base.is_some_and(|base| base.get(file.trim_start_matches('/')).is_some());
        outcome
            .missing
            .retain(|need, _| !is_below(&need.file) && !self.tolerated.is_match(load::base_name(&need.name)));
        outcome
    }

    pub(super) fn lacking(&self, scan: &Scan, view: &View<'_>) -> Vec<Lacking> {
        shebang::lacking(&scan.scripts, view, &self.path, |path| self.role(path))
    }
}

/// Folders of `LD_LIBRARY_PATH`.
pub(super) fn library_path(env: &[String]) -> Vec<String> {
    folders(env, "LD_LIBRARY_PATH").map(str::to_owned).collect()
}

/// Folders of `PATH`, without a slash in front.
pub(super) fn path(env: &[String]) -> Vec<String> {
    folders(env, "PATH").map(|folder| folder.trim_matches('/').to_owned()).collect()
}

fn folders<'a>(env: &'a [String], name: &str) -> impl Iterator<Item = &'a str> {
    let value = env.iter().find_map(|variable| variable.strip_prefix(name)?.strip_prefix('='));
    value.unwrap_or_default().split(':').filter(|folder| !folder.is_empty())
}

/// The file that the start command names, if it is one.
pub(super) fn started(argv: &[String], directory: &str, path: &[String], view: &View<'_>) -> Option<String> {
    let start = argv.iter().position(|word| word == "--").map_or(0, |at| at + 1);
    let program = argv.get(start..)?.first()?;
    if program.starts_with('/') {
        view.file(program)
    } else if program.contains('/') {
        view.file(&format!("{directory}/{program}"))
    } else {
        path.iter().find_map(|folder| view.file(&format!("{folder}/{program}")))
    }
}
