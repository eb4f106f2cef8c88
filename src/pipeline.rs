//! The stages, called in order. Read this first.
//!
//! ```text
//! source ──> facts ──> detection ──> PLAN ──> build ──> package ──> publish
//! ```
//!
//! [`plan`](fn@plan) is the left half, [`build`](fn@build) the right one; between them stands nothing but the [`Plan`] document.

use std::cell::LazyCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::build::{Engine, Host, Toolchain};
use crate::config::{Config, Environment};
use crate::definitions::Definitions;
use crate::detect::Detection;
use crate::package::{Image, Parts};
use crate::plan::lock::{self, Difference, Lock, Locked, Mode, Places};
use crate::plan::{Notice, Plan};
use crate::publish::Destination;
use crate::rootfs::{self, Purpose};
use crate::source::Source;
use crate::store::{self, Store, Tree};
use crate::ui::{Diagnose, Reporter};
use crate::{build, config, detect, http, oci, package, plan, publish, source};

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
}

/// An app to build: its folder and what the command line says about it.
#[derive(Clone, Debug)]
pub struct App {
    /// The folder.
    pub path: PathBuf,
    /// What the command line sets.
    pub flags: Vec<config::Flag>,
    /// `linux/amd64`.
    pub platform: String,
}

/// An app read from disk with its configuration.
#[derive(Debug)]
pub struct Checkout {
    /// The files and the commit.
    pub source: Source,
    /// What was configured, where.
    pub config: Config,
    /// What is locked, if anything.
    pub lock: Option<Lock>,
}

/// Any stage's error.
pub type Error = Box<dyn Diagnose + Send + Sync>;

/// Reads the app: configuration first, because it says what to leave out.
pub fn read(app: &App, session: &Session) -> Result<Checkout, Error> {
    let config = config::load(&app.path, &session.environment, &app.flags).map_err(boxed)?;
    for warning in &config.warnings {
        session.reporter.warn(&warning.id, &warning.text, warning.hint.as_deref());
    }
    let patterns = |list: &[config::Resolved<String>]| list.iter().map(|item| item.value.clone()).collect();
    let options = source::Options { exclude: patterns(&config.exclude), include: patterns(&config.include) };
    let source = source::read(&app.path, &options).map_err(boxed)?;
    let lock = Lock::read(&app.path).map_err(boxed)?;
    Ok(Checkout { source, config, lock })
}

/// Recognises what the app is.
pub fn detect(checkout: &Checkout, session: &Session) -> Result<Detection, Error> {
    detect::detect(&checkout.source, &session.definitions, &checkout.config).map_err(boxed)
}

/// Decides everything: versions, packages, steps, layers, start command. What is locked is used; what is not is
/// resolved with a notice, or is an error when the configuration says `locked`.
pub fn plan(
    app: &App,
    checkout: &Checkout,
    detection: &Detection,
    context: &rootfs::Context,
    session: &Session,
) -> Result<Plan, Error> {
    let is_locked = checkout.config.locked;
    let Some(lock) = &checkout.lock else {
        if is_locked {
            return Err(boxed(lock::Error::Missing));
        }
        return plan_with(context, app, checkout, detection, session);
    };
    session.reporter.info(&lock.summary());
    let mode = if is_locked { Mode::Refuse } else { Mode::Resolve };
    let locked = Locked::new(Some(lock), context, &app.platform, mode);
    let planned = plan_with(&locked, app, checkout, detection, session);
    let mut places = places(&checkout.config);
    let known = locked.known(&places);
    if is_locked && planned.is_err() && !known.is_empty() {
        return Err(boxed(lock::Error::Drift { differences: known }));
    }
    let mut plan = planned?;
    places.add(&plan);
    let wanted = lock::record(&plan, &locked)?;
    let mut differences = lock::compare(&lock.only(&app.platform), &wanted, &places);
    differences.extend(locked.missing(&places));
    if is_locked && !differences.is_empty() {
        return Err(boxed(lock::Error::Drift { differences }));
    }
    if !differences.is_empty() {
        plan.notices.push(outdated(&differences));
    }
    Ok(plan)
}

/// Makes the lock that the app wants now, for each of `platforms`, with what changed. Nothing is written.
pub fn lock(
    app: &App,
    platforms: &[String],
    mode: &Mode,
    checkout: &Checkout,
    context: &rootfs::Context,
    session: &Session,
) -> Result<(Lock, Vec<Difference>), Error> {
    let detection = detect(checkout, session)?;
    let old = checkout.lock.clone().unwrap_or_default();
    let mut new = Lock { images: old.images.clone(), ..Lock::default() };
    let mut places = places(&checkout.config);
    for platform in platforms {
        let app = App { platform: platform.clone(), ..app.clone() };
        let locked = Locked::new(checkout.lock.as_ref(), context, platform, mode.clone());
        let plan = plan_with(&locked, &app, checkout, &detection, session)?;
        places.add(&plan);
        new = new.with(&lock::record(&plan, &locked)?);
    }
    let differences = lock::compare(&old, &new, &places);
    Ok((new, differences))
}

fn plan_with(
    catalogue: &dyn plan::Catalogue,
    app: &App,
    checkout: &Checkout,
    detection: &Detection,
    session: &Session,
) -> Result<Plan, Error> {
    let options = plan::Options {
        platform: app.platform.clone(),
        source_date_epoch: session.environment.source_date_epoch().map_err(boxed)?,
        folder_name: folder_name(&checkout.source.root),
    };
    let commit = checkout.source.commit.as_ref();
    plan::plan(detection, &checkout.config, commit, &session.definitions, catalogue, &options).map_err(boxed)
}

/// Where the configuration asks for packages.
fn places(config: &Config) -> Places {
    let packages = config.build_packages.iter().chain(&config.runtime_packages);
    let packages = packages.map(|package| (package.value.clone(), package.origin.to_string())).collect();
    Places { packages, ..Places::default() }
}

/// What to say of a lock that the build does not follow in all.
fn outdated(differences: &[Difference]) -> Notice {
    let names: Vec<String> =
        differences.iter().take(5).map(|difference| format!("`{}`", difference.name)).collect();
    let more = match differences.len().saturating_sub(names.len()) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let text = format!(
        "`{}` is out of date: {}{more} differ; `rpack lock` brings it up to date and shows how",
        lock::NAME,
        names.join(", ")
    );
    Notice { id: "lock/outdated".to_owned(), text, warning: true }
}

/// Makes the image that the plan describes, in the store.
pub fn build(
    plan: &Plan,
    checkout: &Checkout,
    context: &rootfs::Context,
    session: &Session,
) -> Result<Image, Error> {
    if let Some(lock) = &checkout.lock {
        context.remember_dates(lock.dates());
    }
    let toolchains = toolchains(plan, context)?;
    let runtime_root = rootfs::compose(&plan.runtime_root, Purpose::Runtime, context).map_err(boxed)?;
    let engine = Engine {
        store: &session.store,
        reporter: &session.reporter,
        build_root: build_root(plan, context)?,
        toolchains: on_disk(&toolchains, session)?,
        // Looking for registries may start clients of the machine.
        host: LazyCell::new(Box::new(|| Host::read(&session.environment, registries(context, plan)))),
        offline: session.offline,
    };
    let work = build::build(plan, &checkout.source, &engine).map_err(boxed)?;
    let trees = toolchains.into_iter().map(|(name, (tree, _))| (name, tree)).collect();
    let parts = Parts { runtime_root: &runtime_root, toolchains: &trees, work: &work.tree };
    let layers = package::assemble(plan, parts).map_err(boxed)?;
    let input = package::Input { platform: &plan.platform, layers, image: &plan.image };
    package::package(input, &session.store, &session.reporter).map_err(boxed)
}

/// Gives the image its tag in the store and writes the asked-for outputs.
pub fn publish(
    image: &Image,
    tag: &oci::Reference,
    outputs: &[Destination],
    session: &Session,
) -> Result<(), Error> {
    for destination in std::iter::once(&Destination::Store).chain(outputs) {
        publish::publish(image, destination, tag, &session.store, &session.reporter).map_err(boxed)?;
    }
    Ok(())
}

/// Everything that `rootfs` needs, with the endpoints of this machine. One serves planning and building, so that
/// no client on the machine is asked twice where its registry is.
pub fn rootfs_context(session: &Session, config: &Config) -> Result<rootfs::Context, Error> {
    let client = http::Client::new(http::Options { offline: session.offline, ..http::Options::default() })
        .map_err(boxed)?;
    let machine = rootfs::Machine {
        root: PathBuf::from("/"),
        home: session.environment.home().map(Path::to_owned),
        environment: texts(&session.environment),
    };
    let endpoints = rootfs::Endpoints::new(machine, &config.mirrors, &session.definitions).map_err(boxed)?;
    let (store, reporter) = (session.store.clone(), session.reporter.clone());
    Ok(rootfs::Context::new(store, client, reporter, session.definitions.clone(), endpoints, store::now()))
}

/// Variables that tell clients inside a step where this machine's registries are. Where the machine says nothing,
/// nothing is said, and the client inside uses its own default.
fn registries(context: &rootfs::Context, plan: &Plan) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    if plan.toolchains.iter().any(|toolchain| toolchain.ecosystem == "npm")
        && let Ok(endpoint) = context.endpoints.find("npm")
    {
        variables.insert("npm_config_registry".to_owned(), endpoint.url);
    }
    for (ecosystem, variable) in [("pypi", "PIP_INDEX_URL"), ("pypi", "UV_DEFAULT_INDEX"), ("go", "GOPROXY")]
    {
        if let Ok(endpoint) = context.endpoints.find(ecosystem) {
            variables.insert(variable.to_owned(), endpoint.url);
        }
    }
    variables
}

/// Toolchains as trees with the digest of their definition.
type Toolchains = BTreeMap<String, (Tree, oci::Digest)>;

fn toolchains(plan: &Plan, context: &rootfs::Context) -> Result<Toolchains, Error> {
    plan.toolchains
        .iter()
        .map(|toolchain| {
            let tree = rootfs::toolchain(toolchain, context).map_err(boxed)?;
            let definition = oci::to_canonical_json(toolchain).expect("a toolchain always serialises");
            Ok((toolchain.name.clone(), (tree, oci::Digest::of(&definition))))
        })
        .collect()
}

fn on_disk(toolchains: &Toolchains, session: &Session) -> Result<BTreeMap<String, Toolchain>, Error> {
    toolchains
        .iter()
        .map(|(name, (tree, digest))| {
            let key = format!("toolchain-{}", digest.hex());
            let root = session.store.materialise(&key, tree).map_err(boxed)?;
            Ok((name.clone(), Toolchain { root, digest: *digest }))
        })
        .collect()
}

/// The build root on disk; an image without steps needs none.
fn build_root(plan: &Plan, context: &rootfs::Context) -> Result<Option<PathBuf>, Error> {
    if plan.steps.is_empty() {
        return Ok(None);
    }
    rootfs::directory(&plan.build_root, Purpose::Build, context).map(Some).map_err(boxed)
}

/// The variables that are UTF-8; addresses and names of files are.
fn texts(environment: &Environment) -> BTreeMap<String, String> {
    let text = |(name, value): (&std::ffi::OsStr, &std::ffi::OsStr)| {
        Some((name.to_str()?.to_owned(), value.to_str()?.to_owned()))
    };
    environment.iter().filter_map(text).collect()
}

/// The name of the folder, also for `.`.
fn folder_name(root: &Path) -> String {
    let absolute = root.canonicalize().unwrap_or_else(|_| root.to_owned());
    absolute.file_name().map_or_else(|| "app".to_owned(), |name| name.to_string_lossy().into_owned())
}

fn boxed<E: Diagnose + Send + Sync + 'static>(error: E) -> Error {
    Box::new(error)
}
