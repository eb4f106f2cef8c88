//! The stages, called in order. Read this first.
//!
//! ```text
//! source ──> facts ──> detection ──> PLAN ──> build ──> closure ──> package ──> publish
//! ```
//!
//! [`plan`](fn@plan) is the left half, [`build`](fn@build) the right one; between them stands nothing but the [`Plan`] document.

mod beside;
mod making;
mod planning;
mod reach;

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use planning::{lock, plan, plans};
pub use reach::{registry, rootfs_context};

use crate::build::Secrets;
use crate::config::{Config, Environment};
use crate::definitions::Definitions;
use crate::detect::Detection;
use crate::observe::Observer;
use crate::oci::registry::Registry;
use crate::package::{Ahead, Image, Parts, Product};
use crate::plan::lock::{self, Lock};
use crate::plan::{Plan, provenance};
use crate::publish::Destination;
use crate::rootfs::{self, Purpose};
use crate::source::{Seen, Source};
use crate::store::history::History;
use crate::store::{Store, Tree};
use crate::ui::{Diagnose, Reporter};
use crate::{build, closure, config, cross, detect, oci, package, prune, publish, rebase, source};
use beside::Beside;

/// What every stage may use: the machine, the store, the way to the user.
#[derive(Debug)]
pub struct Session {
    /// The environment rpack was started with.
    pub environment: Environment,
    /// Detectors, buildpacks and bases.
    pub definitions: Definitions,
    /// Where everything is kept.
    pub store: Store,
    /// Where progress goes.
    pub reporter: Reporter,
    /// Whether the network is off.
    pub offline: bool,
    /// Takes note of what is read of the machine.
    pub observer: Observer,
}

impl Session {
    /// What images are published and found with.
    pub fn tools<'a>(&'a self, registry: &'a Registry) -> publish::Tools<'a> {
        publish::Tools { store: &self.store, registry, reporter: &self.reporter }
    }

    /// The way to registries for commands that read no app: as the machine and the user's configuration say.
    pub fn registry(&self) -> Result<Registry, Error> {
        Ok(registry(self, &config::of_environment(&self.environment).map_err(boxed)?))
    }
}

/// An app to build: its folder and what the command line says about it.
#[derive(Clone, Debug)]
pub struct App {
    /// The folder of the source.
    pub path: PathBuf,
    /// The app's folder below it, as typed; none for the source itself.
    pub app: Option<String>,
    /// What the command line sets.
    pub flags: Vec<config::Flag>,
    /// What images are made for, such as `linux/amd64`; more than one makes an index.
    pub platforms: Vec<String>,
}

/// An app read from disk with its configuration.
#[derive(Debug)]
pub struct Checkout {
    /// The files and the commit.
    pub source: Source,
    /// The app's folder in `source`, for a member of a workspace; empty for the source itself.
    pub folder: String,
    /// Where the app's lock is.
    pub home: PathBuf,
    /// What was configured, where.
    pub config: Config,
    /// What is locked, if anything.
    pub lock: Option<Lock>,
    /// What the walks saw that led here, by their root; that of `source` is the last.
    pub walks: Vec<(PathBuf, Seen)>,
}

/// How steps run.
#[derive(Clone, Copy, Debug)]
pub struct Running<'a> {
    /// What they may see that the plan names it for.
    pub secrets: &'a Secrets,
    /// How many run at once.
    pub jobs: NonZeroUsize,
}

/// Any stage's error.
pub type Error = Box<dyn Diagnose + Send + Sync>;

/// What is configured for the app, without reading the rest of it.
pub fn config(app: &App, session: &Session) -> Result<Config, Error> {
    configured(app, &folder(app)?, session)
}

/// The app's folder below its source; empty for the source itself.
fn folder(app: &App) -> Result<String, Error> {
    match &app.app {
        Some(typed) => source::folder(&app.path, typed).map_err(boxed),
        None => Ok(String::new()),
    }
}

fn configured(app: &App, folder: &str, session: &Session) -> Result<Config, Error> {
    config::load(&app.path, folder, &session.environment, &app.flags).map_err(boxed)
}

/// Reads the app: configuration first, because it says what to leave out. An app in a folder of its own is read as
/// if there were nothing around it, unless it is a member of a workspace. The only folder with an app need not be named.
pub fn read(app: &App, session: &Session) -> Result<Checkout, Error> {
    let folder = folder(app)?;
    let home = app.path.join(&folder);
    observe(&app.path, &home, session);
    let config = configured(app, &folder, session)?;
    for warning in &config.warnings {
        session.reporter.warn(&warning.id, &warning.text, warning.hint.as_deref());
    }
    let patterns = |list: &[config::Resolved<String>]| list.iter().map(|item| item.value.clone()).collect();
    let options = source::Options { exclude: patterns(&config.exclude), include: patterns(&config.include) };
    let mut source = source::read(&app.path, &options).map_err(boxed)?;
    if app.app.is_none()
        && let Some(only) = detect::only_folder(&source, &session.definitions, &config).map_err(boxed)?
    {
        session.reporter.info(&format!("app {only}  (the only folder with an app; `--app {only}`)"));
        return read(&App { app: Some(only), ..app.clone() }, session);
    }
    let mut walks = vec![(source.root.clone(), source.seen.clone())];
    let is_member = detect::is_member(&source, &folder).map_err(boxed)?;
    if !is_member && !folder.is_empty() {
        source = source::read(&home, &options).map_err(boxed)?;
        walks.push((source.root.clone(), source.seen.clone()));
    }
    let lock = Lock::read(&home).map_err(boxed)?;
    let folder = if is_member { folder } else { String::new() };
    Ok(Checkout { source, folder, home, config, lock, walks })
}

/// Takes note of the files that are read beside the source: configuration, the lock, the user's settings of git.
fn observe(repository: &Path, home: &Path, session: &Session) {
    let mut files = vec![repository.join("rpack.toml"), home.join("rpack.toml"), home.join(lock::NAME)];
    let user = session.environment.home();
    files.extend(user.iter().flat_map(|user| [user.join(".gitconfig"), user.join(".config/git/config")]));
    for file in files {
        // The place, whatever the working directory of a later build is.
        session.observer.file(&std::path::absolute(&file).unwrap_or(file));
    }
}

/// Recognises what the app is.
pub fn detect(checkout: &Checkout, session: &Session) -> Result<Detection, Error> {
    detect::detect(&checkout.source, &checkout.folder, &session.definitions, &checkout.config).map_err(boxed)
}

/// Looks at every rule of every detector.
pub fn explain_detection(checkout: &Checkout, session: &Session) -> Result<Vec<detect::Explained>, Error> {
    detect::explain(&checkout.source, &checkout.folder, &session.definitions, &checkout.config).map_err(boxed)
}

/// The platform of this machine: steps run on it, and `rpack run` starts images for it.
pub fn machine() -> &'static str {
    oci::image::Platform::machine()
}

/// Makes the images that the plans describe, and an index of them when there are several.
pub fn build_all(
    plans: &[Plan],
    checkout: &Checkout,
    context: &rootfs::Context,
    running: Running<'_>,
    session: &Session,
) -> Result<Product, Error> {
    let images: Vec<Image> = plans
        .iter()
        .map(|plan| {
            if plans.len() > 1 {
                session.reporter.info(&format!("for {}", plan.platform));
            }
            let stage = format!("image for {}", plan.platform);
            session.reporter.stage(&stage, || build(plan, checkout, context, running, session))
        })
        .collect::<Result<_, _>>()?;
    let annotations = plans.first().map(|plan| plan.image.index_annotations()).unwrap_or_default();
    session.reporter.stage("index", || package::index(images, annotations, &session.store)).map_err(boxed)
}

/// Makes the image that the plan describes, in the store.
pub fn build(
    plan: &Plan,
    checkout: &Checkout,
    context: &rootfs::Context,
    running: Running<'_>,
    session: &Session,
) -> Result<Image, Error> {
    build::check_machine(plan, machine()).map_err(boxed)?;
    warn_of_secrets(plan, running.secrets, session);
    if let Some(lock) = &checkout.lock {
        context.remember_dates(lock.dates());
    }
    let identity = build::made::app_identity(&checkout.source.root, &checkout.folder, &plan.platform);
    let about = format!("what parts of {} were made of the last time", app_folder(checkout).display());
    let history = History::of(&identity, about, &session.store);
    let reporter = &session.reporter;
    let ahead = Ahead::new(plan, &session.store, reporter);
    let beside = Beside::new(plan, &checkout.source, &history, running.jobs, &ahead);
    let made = making::make(plan, checkout, context, running, &history, (session, &beside))?;
    let mut work = made.work;
    let planned = &plan.runtime_root;
    let plan = &provenance::labelled(rebase::labelled(settled(plan, &work.tree, checkout, session)?));
    let runtime_root = match made.runtime_root {
        Ok(tree) if plan.runtime_root == *planned => tree,
        Err(error) if plan.runtime_root == *planned => return Err(boxed(error)),
        _ => Arc::new(rootfs::compose(&plan.runtime_root, Purpose::Runtime, context).map_err(boxed)?),
    };
    // Pruning takes away the records of installers too.
    let packages = (plan.platform != plan.build_platform).then(|| cross::Packages::read(&work.tree));
    reporter.stage("prune", || prune::prune(plan, &mut work.tree, reporter)).map_err(boxed)?;
    let base = base(plan, context)?;
    let files = base.as_ref().map(|base| &base.files);
    let parts =
        Parts { runtime_root: &runtime_root, toolchains: &made.toolchains, work: &work.tree, base: files };
    let layers = reporter.stage("contents", || package::assemble(plan, parts)).map_err(boxed)?;
    if let Some(packages) = packages {
        let platforms = cross::Platforms { target: &plan.platform, build: &plan.build_platform };
        cross::check(platforms, &layers, &packages, &work.tree, &session.reporter).map_err(boxed)?;
    }
    let layers = match reporter.stage("closure", || closed(plan, &layers, files, context, session))? {
        Some((plan, runtime_root)) => {
            let parts = Parts { runtime_root: &runtime_root, ..parts };
            reporter.stage("contents", || package::assemble(&plan, parts)).map_err(boxed)?
        }
        None => layers,
    };
    let input = package::Input {
        name: &plan.name,
        platform: &plan.platform,
        layers,
        image: &plan.image,
        base,
        history: Some(&history),
        ahead: Some(&ahead),
    };
    reporter.stage("layers", || package::package(input, &session.store, reporter)).map_err(boxed)
}

/// Says which given secrets no step asks for, and which a file names and nobody gives: either would only show as a
/// refusal of a registry.
fn warn_of_secrets(plan: &Plan, secrets: &Secrets, session: &Session) {
    let wanted: BTreeSet<&str> =
        plan.steps.iter().flat_map(|step| &step.secrets).map(|secret| secret.id.as_str()).collect();
    let wanted_names: Vec<&str> = wanted.iter().copied().collect();
    for id in secrets.keys().filter(|id| !wanted.contains(id.as_str())) {
        let hint = format!("steps of this plan ask for {}", wanted_names.join(", "));
        let hint = (!wanted.is_empty()).then_some(hint.as_str());
        session.reporter.warn("secret/unused", &format!("no step asks for the secret `{id}`"), hint);
    }
    let mut missing = BTreeMap::new();
    for secret in
        plan.steps.iter().flat_map(|step| &step.secrets).filter(|one| !secrets.contains_key(&one.id))
    {
        if let Some(place) = &secret.named_by {
            missing.insert(&secret.id, place);
        }
    }
    for (id, place) in missing {
        let text = format!("{place} names the variable `{id}`, and there is no secret of this name");
        let hint = format!(
            "give it from this shell: `rpack build --secret id={id}`; or from a file: `--secret id={id},src=FILE`; what \
             is no secret is set in rpack.toml: `build.env.{id} = \"…\"`"
        );
        session.reporter.warn("secret/missing", &text, Some(&hint));
    }
}

/// The plan for what the build has made, where that was open.
fn settled(plan: &Plan, work: &Tree, checkout: &Checkout, session: &Session) -> Result<Plan, Error> {
    let settled = package::settle(plan, work, &checkout.source.tree).map_err(boxed)?;
    if let Some(outcome) = &settled.outcome {
        session.reporter.info(&format!("made {}: {} is there", outcome.title, outcome.files.join(", ")));
    }
    Ok(settled)
}

/// The plan and its runtime root with the packages that files of the image need besides those listed; nothing when
/// they need none. `base` is what an image from elsewhere has below the layers.
fn closed(
    plan: &Plan,
    layers: &[package::LayerInput],
    base: Option<&Tree>,
    context: &rootfs::Context,
    session: &Session,
) -> Result<Option<(Plan, Tree)>, Error> {
    let task = session.reporter.task("shared libraries");
    let closure = closure::close(plan, layers, base, context).map_err(boxed)?;
    let names: Vec<&str> = closure.added.iter().map(|added| added.package.name.as_str()).collect();
    task.done(&if names.is_empty() { "complete".to_owned() } else { format!("{} added", names.join(", ")) });
    for notice in &closure.notices {
        session.reporter.info(&notice.text);
    }
    if closure.added.is_empty() {
        return Ok(None);
    }
    let further = closure.added.into_iter().map(|added| added.package);
    let runtime_root = rootfs::extended(&plan.runtime_root, further, context).map_err(boxed)?;
    let tree = rootfs::compose(&runtime_root, Purpose::Runtime, context).map_err(boxed)?;
    Ok(Some((Plan { runtime_root, ..plan.clone() }, tree)))
}

/// Writes the image, or the index, to the asked-for outputs.
pub fn publish(
    product: &Product,
    tags: &[oci::Reference],
    outputs: &[Destination],
    tools: &publish::Tools<'_>,
) -> Result<(), Error> {
    outputs.iter().try_for_each(|output| publish::publish(product, output, tags, tools)).map_err(boxed)
}

/// The image that the app's image is made on, if it is one from elsewhere.
fn base(plan: &Plan, context: &rootfs::Context) -> Result<Option<package::Base>, Error> {
    let Some(image) = &plan.runtime_root.image else { return Ok(None) };
    let base = || -> Result<package::Base, rootfs::image::Error> {
        let files = rootfs::image::tree(image, context)?;
        let config = rootfs::image::config(image, context)?;
        Ok(package::Base { layers: image.layers.clone(), config, files })
    };
    base().map(Some).map_err(boxed)
}

/// The folder of the app, in full.
fn app_folder(checkout: &Checkout) -> PathBuf {
    if checkout.folder.is_empty() {
        checkout.source.root.clone()
    } else {
        checkout.source.root.join(&checkout.folder)
    }
}

fn boxed<E: Diagnose + Send + Sync + 'static>(error: E) -> Error {
    Box::new(error)
}
