//! What an image is made of, at the same time: toolchains, both roots, the results of the steps.
//!
//! The build root and the toolchains are there before the first step starts. Nothing of the steps waits for the runtime
//! root, which is composed beside them.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, OnceLock};
use std::thread;

use super::{Beside, Checkout, Error, Running, Session, boxed};
use crate::build::{Engine, Ground, Halt, Host, Work};
use crate::oci::Digest;
use crate::plan::model::Toolchain;
use crate::plan::{self, Plan};
use crate::rootfs::{self, Purpose};
use crate::store::Tree;
use crate::store::history::History;
use crate::threads::joined;
use crate::ui::Diagnose as _;
use crate::{build, oci};

/// What an image is made of.
pub(super) struct Made {
    /// What the steps made.
    pub(super) work: Work,
    /// The toolchains of the image's platform, by name.
    pub(super) toolchains: BTreeMap<String, Tree>,
    /// The plan's own runtime root, which another outcome may not need.
    pub(super) runtime_root: Result<Arc<Tree>, rootfs::Error>,
}

/// Toolchains of a plan in its order, each with its tree.
type Trees<'a> = Vec<(&'a Toolchain, Tree)>;

/// Fetches and composes what the plan names, and runs its steps. Of several failures the first counts in this order:
/// toolchains, build root, steps, runtime root.
pub(super) fn make(
    plan: &Plan,
    checkout: &Checkout,
    context: &rootfs::Context,
    running: Running<'_>,
    history: &History,
    (session, beside): (&Session, &Beside<'_>),
) -> Result<Made, Error> {
    let halt = Halt::default();
    let fetched = OnceLock::new();
    let compose = || {
        let runtime_root = || rootfs::compose(&plan.runtime_root, Purpose::Runtime, context);
        let composed = session.reporter.stage("runtime root", runtime_root).map(Arc::new);
        if let Ok(tree) = &composed {
            beside.composed(tree);
        }
        if composed.is_err() && plan.alternatives.is_empty() {
            context.client.stop();
            halt.set();
        }
        composed
    };
    let engine = Engine {
        store: &session.store,
        reporter: &session.reporter,
        ground: Box::new(|| {
            let ground = ground(plan, &fetched, context, session)?;
            beside.steps_run(shipped(plan, fetched.get().into_iter().flatten().cloned()));
            Ok(ground)
        }),
        toolchains: of_platform(plan, &plan.build_platform)
            .map(|one| (one.name.clone(), digest(one)))
            .collect(),
        // Looking for registries may start clients of the machine.
        host: LazyLock::new(Box::new(|| Host::read(&session.environment, registries(context, plan)))),
        offline: session.offline,
        secrets: running.secrets,
        history,
        jobs: running.jobs,
        halt: &halt,
        ended: Box::new(|steps| beside.ended(steps)),
    };
    let advice = |failed: &plan::Failed| plan::advise(&session.definitions, &plan.language, failed);
    let (made, runtime_root) = thread::scope(|scope| {
        let runtime_root = scope.spawn(compose);
        let steps = || build::build(plan, &checkout.source, &engine);
        let made = session.reporter.stage("steps", steps).and_then(|work| {
            if fetched.get().is_none() {
                let _ = fetched.set(toolchains(plan, context)?);
            }
            Ok(work)
        });
        if made.is_err() {
            context.client.stop();
        }
        (made, joined(runtime_root))
    });
    drop(engine);
    let work = match (made, runtime_root.is_err()) {
        // Both follow from what happened to the runtime root.
        (Err(error), true) if matches!(error.id(), "build/interrupted" | "network/stopped") => {
            return Err(runtime_root.map_or_else(boxed, |_| boxed(error)));
        }
        (made, _) => made.map_err(|error| boxed(error.with_advice(advice)))?,
    };
    let toolchains = shipped(plan, fetched.into_inner().unwrap_or_default());
    Ok(Made { work, toolchains, runtime_root })
}

/// Those for the image's platform, by name.
fn shipped<'a>(
    plan: &Plan,
    fetched: impl IntoIterator<Item = (&'a Toolchain, Tree)>,
) -> BTreeMap<String, Tree> {
    let ships = fetched.into_iter().filter(|(one, _)| one.platform == plan.platform);
    ships.map(|(one, tree)| (one.name.clone(), tree)).collect()
}

/// What steps stand on: fetches all toolchains, also those that only ship, while the build root is composed.
fn ground<'a>(
    plan: &'a Plan,
    fetched: &OnceLock<Trees<'a>>,
    context: &rootfs::Context,
    session: &Session,
) -> Result<Ground, build::Error> {
    let stopping = |is_err: bool| {
        if is_err {
            context.client.stop();
        }
    };
    let (trees, root) = thread::scope(|scope| {
        let root = scope.spawn(|| {
            let root = || rootfs::directory(&plan.build_root, Purpose::Build, context);
            let root = session.reporter.stage("build root", root);
            stopping(root.is_err());
            root
        });
        let trees = session.reporter.stage("toolchains", || toolchains(plan, context));
        (trees, joined(root))
    });
    let (trees, root) = match (trees, root) {
        (Err(trees), Err(root)) if trees.id() == "network/stopped" => return Err(root.into()),
        (trees, root) => (trees?, root?),
    };
    let of_steps = trees.iter().filter(|(one, _)| one.platform == plan.build_platform);
    let toolchains = of_steps.map(|(one, tree)| {
        let key = format!("toolchain-{}", digest(one).hex());
        let root = session.store.materialise(&key, tree)?;
        session.store.describe("trees", &key, || format!("toolchain {}", one.name));
        Ok((one.name.as_str(), root))
    });
    // In the order of their names, in which their identities are part of keys.
    let toolchains: BTreeMap<&str, _> = toolchains.collect::<Result<_, build::Error>>()?;
    let toolchains = toolchains.into_values().collect();
    let _ = fetched.set(trees);
    Ok(Ground { root, toolchains })
}

/// The trees of the toolchains of steps and of those that ship, fetched at the same time. The first failure in the order
/// of the plan counts, among those that no other one has caused.
fn toolchains<'a>(plan: &'a Plan, context: &rootfs::Context) -> Result<Trees<'a>, rootfs::Error> {
    let wanted = plan.toolchains.iter();
    let wanted = wanted.filter(|one| one.platform == plan.platform || one.platform == plan.build_platform);
    let fetch = |one: &Toolchain| {
        let tree = rootfs::toolchain(one, context);
        if tree.is_err() {
            context.client.stop();
        }
        tree
    };
    let fetched: Vec<_> = thread::scope(|scope| {
        let running: Vec<_> = wanted.map(|one| (one, scope.spawn(move || fetch(one)))).collect();
        running.into_iter().map(|(one, thread)| (one, joined(thread))).collect()
    });
    let (mut trees, mut failed) = (Vec::new(), Vec::new());
    for (one, tree) in fetched {
        match tree {
            Ok(tree) => trees.push((one, tree)),
            Err(error) => failed.push(error),
        }
    }
    failed.sort_by_key(|error| error.id() == "network/stopped");
    failed.into_iter().next().map_or(Ok(trees), Err)
}

fn of_platform<'a>(plan: &'a Plan, platform: &str) -> impl Iterator<Item = &'a Toolchain> {
    plan.toolchains.iter().filter(move |one| one.platform == platform)
}

/// The identity of a toolchain: its definition.
fn digest(toolchain: &Toolchain) -> Digest {
    Digest::of(&oci::to_canonical_json(toolchain).expect("a toolchain always serialises"))
}

/// What npm, pnpm from 11 on, yarn from 2 on and bun read.
const NPM_REGISTRY: [&str; 4] =
    ["npm_config_registry", "pnpm_config_registry", "YARN_NPM_REGISTRY_SERVER", "BUN_CONFIG_REGISTRY"];

/// Variables that tell clients inside a step where this machine's registries are. Where the machine says nothing,
/// nothing is said, and the client inside uses its own default.
fn registries(context: &rootfs::Context, plan: &Plan) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    if plan.toolchains.iter().any(|toolchain| toolchain.ecosystem == "npm")
        && let Ok(endpoint) = context.endpoints.find("npm")
    {
        for variable in NPM_REGISTRY {
            variables.insert(variable.to_owned(), endpoint.url.clone());
        }
    }
    for (ecosystem, variable) in [("pypi", "PIP_INDEX_URL"), ("pypi", "UV_DEFAULT_INDEX"), ("go", "GOPROXY")]
    {
        if let Some(endpoint) = context.endpoints.stated(ecosystem) {
            variables.insert(variable.to_owned(), endpoint.url);
        }
    }
    variables
}
