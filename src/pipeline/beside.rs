//! Which layers are written while steps run, and when.
//!
//! A layer is due as soon as nothing comes to it any more: the steps that make what it has of the work have ended, it is
//! the same in every outcome of the plan, and packages that files turn out to need go to another one. What an earlier
//! build of the app has written is not looked at, so that a build of which little changed does nothing twice.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::build::{self, Ended};
use crate::closure;
use crate::package::{self, Ahead, Parts};
use crate::plan::Plan;
use crate::plan::model::{Contents, Layer};
use crate::prune;
use crate::source::Source;
use crate::store::Tree;
use crate::store::history::History;

/// Takes what layers are made of, as it comes, and hands layers on that are due.
pub(super) struct Beside<'a> {
    plan: &'a Plan,
    source: &'a Source,
    history: &'a History,
    ahead: &'a Ahead,
    is_on: bool,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    runtime_root: Option<Arc<Tree>>,
    /// There when steps run.
    toolchains: Option<Arc<BTreeMap<String, Tree>>>,
    ended: Vec<Ended>,
    /// How many layers were due the last time.
    due: usize,
}

impl<'a> Beside<'a> {
    /// For the image of `plan`. With one job, one thing is done after the other.
    pub(super) fn new(
        plan: &'a Plan,
        source: &'a Source,
        history: &'a History,
        jobs: NonZeroUsize,
        ahead: &'a Ahead,
    ) -> Self {
        // On an image from elsewhere, its files decide where ours go.
        let is_on = jobs.get() > 1 && plan.runtime_root.image.is_none();
        Self { plan, source, history, ahead, is_on, known: Mutex::default() }
    }

    /// The plan's runtime root is there.
    pub(super) fn composed(&self, runtime_root: &Arc<Tree>) {
        let mut known = self.known();
        known.runtime_root = Some(Arc::clone(runtime_root));
        self.hand_on(&mut known);
    }

    /// Steps begin to run. `toolchains` are those of the image's platform.
    pub(super) fn steps_run(&self, toolchains: BTreeMap<String, Tree>) {
        let mut known = self.known();
        known.toolchains = Some(Arc::new(toolchains));
        self.hand_on(&mut known);
    }

    /// These steps have ended.
    pub(super) fn ended(&self, steps: &[Ended]) {
        let mut known = self.known();
        known.ended = steps.to_vec();
        self.hand_on(&mut known);
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has all layers written that are due, when there is a new one among them.
    fn hand_on(&self, known: &mut Known) {
        let (true, Some(root), Some(tools)) = (self.is_on, &known.runtime_root, &known.toolchains) else {
            return;
        };
        let due = self.plan.layers.iter().filter(|layer| self.is_due(layer, &known.ended));
        let due: Vec<Layer> = due.cloned().collect();
        if due.len() <= known.due {
            return;
        }
        known.due = due.len();
        let (plan, root, tools) = (self.plan.clone(), Arc::clone(root), Arc::clone(tools));
        let results = known.ended.iter().map(|step| Arc::clone(&step.tree)).collect();
        let work = due.iter().any(has_work).then(|| (self.source.tree.clone(), results));
        self.ahead.write(move || {
            let mut tree = work.map_or_else(Tree::new, |(source, results)| build::laid(&source, results));
            prune::take_out(&plan, &mut tree).ok()?;
            let parts = Parts { runtime_root: &root, toolchains: &tools, work: &tree, base: None };
            package::foresee(&plan, &due, parts).ok()
        });
    }

    fn is_due(&self, layer: &Layer, ended: &[Ended]) -> bool {
        let found = |id: &String| ended.iter().find(|step| step.id == *id);
        let is_there = if has_work(layer) {
            layer.after.iter().all(|id| found(id).is_some())
                && layer.after.iter().any(|id| found(id).is_some_and(|step| !step.cached))
        } else {
            !package::is_known(layer, self.history)
        };
        let is_site = |contents: &Contents| matches!(contents, Contents::Site(_));
        let is_certain = layer.id != closure::growing(self.plan) && !layer.contents.iter().any(is_site);
        is_there && is_certain && self.is_in_all(layer)
    }

    /// Whether the image has the layer however the build turns out.
    fn is_in_all(&self, layer: &Layer) -> bool {
        let has_packages = layer.contents.contains(&Contents::RuntimeRoot {});
        self.plan.alternatives.iter().all(|one| {
            one.layers.as_ref().is_none_or(|layers| layers.contains(layer))
                && (one.runtime_root.is_none() || !has_packages)
        })
    }
}

fn has_work(layer: &Layer) -> bool {
    layer.contents.iter().any(|contents| matches!(contents, Contents::Work { .. } | Contents::Site(_)))
}
