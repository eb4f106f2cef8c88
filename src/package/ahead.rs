//! Layers that are written while steps run.
//!
//! What some layers are made of is known before the last step has ended. [`Ahead`] writes them beside the steps, and
//! [`package`](super::package) finds their blobs under the keys that any layer has: there is one way to make a layer,
//! and the image is the same whatever was written here. A failure is left to packaging, which meets it again and says
//! so; a layer that turns out to be made of something else costs time and nothing more.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::{fmt, mem};

use super::{Error, LayerInput, Packing, Parts, Time, cache, contents, layers, made, write};
use crate::interrupt;
use crate::oci::Digest;
use crate::plan::Plan;
use crate::plan::model::{Image, Layer};
use crate::store::history::History;
use crate::store::{Store, Tree};
use crate::ui::Reporter;

/// How much the thread steps back behind others, as in `nice`: steps are what is waited for.
const NICE: i32 = 5;

/// Finds out what layers are made of.
type Foresight = Box<dyn FnOnce() -> Option<Vec<LayerInput>> + Send>;

/// Writes layers of an image beside whatever else makes it. Nothing is started before there is something to write.
/// Dropping it ends what is under way.
#[derive(Debug)]
pub struct Ahead {
    shared: Arc<Shared>,
}

struct Shared {
    app: String,
    platform: String,
    image: Image,
    store: Store,
    reporter: Reporter,
    board: Mutex<Board>,
}

#[derive(Default)]
struct Board {
    next: Option<Foresight>,
    thread: Option<JoinHandle<()>>,
    is_running: bool,
    /// The keys of all layers of the image, as soon as they are known: others are not wanted.
    wanted: Option<BTreeSet<Digest>>,
    /// Keys of layers that were written, each with its blob.
    written: BTreeMap<Digest, Digest>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("app", &self.app).finish_non_exhaustive()
    }
}

impl Ahead {
    /// For the image of `plan`.
    pub fn new(plan: &Plan, store: &Store, reporter: &Reporter) -> Self {
        let shared = Shared {
            app: plan.name.clone(),
            platform: plan.platform.clone(),
            image: plan.image.clone(),
            store: store.clone(),
            reporter: reporter.clone(),
            board: Mutex::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Writes the layers that `foresight` tells. It takes the place of one that was not begun yet.
    pub fn write(&self, foresight: impl FnOnce() -> Option<Vec<LayerInput>> + Send + 'static) {
        let mut board = self.shared.board();
        board.next = Some(Box::new(foresight));
        if !board.is_running {
            board.is_running = true;
            let shared = Arc::clone(&self.shared);
            board.thread = Some(thread::spawn(move || shared.work_off()));
        }
    }

    /// Waits until those of the layers `wanted` are written that are begun, and ends everything else. The keys of those
    /// that were written here.
    pub(super) fn finish(&self, wanted: BTreeSet<Digest>) -> BTreeSet<Digest> {
        if let Some(Err(panic)) = self.end(wanted).map(JoinHandle::join) {
            std::panic::resume_unwind(panic);
        }
        let mut board = self.shared.board();
        let wanted = board.wanted.take().unwrap_or_default();
        let (ours, others) =
            mem::take(&mut board.written).into_iter().partition(|(key, _)| wanted.contains(key));
        self.shared.give_up(&others);
        BTreeMap::into_keys(ours).collect()
    }

    fn end(&self, wanted: BTreeSet<Digest>) -> Option<JoinHandle<()>> {
        let mut board = self.shared.board();
        board.next = None;
        board.wanted = Some(wanted);
        board.thread.take()
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        // What has panicked has said so.
        let _ = self.end(BTreeSet::new()).map(JoinHandle::join);
    }
}

impl Shared {
    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes until nothing is left.
    fn work_off(&self) {
        // It would only be less polite.
        let _ = rustix::process::setpriority_process(None, NICE);
        loop {
            let mut board = self.board();
            let Some(foresight) = board.next.take() else {
                board.is_running = false;
                return;
            };
            drop(board);
            for layer in foresight().unwrap_or_default() {
                if self.board().wanted.is_some() {
                    // What is left is for packaging, which writes several at once.
                    break;
                }
                // Packaging meets the same failure, and says it.
                let _ = self.layer(&layer);
            }
        }
    }

    fn layer(&self, layer: &LayerInput) -> Result<(), Error> {
        let key = cache::key(layer, self.image.compression, &self.store)?;
        let stop = || {
            let board = self.board();
            interrupt::requested()
                || board.wanted.as_ref().is_some_and(|wanted| !wanted.contains(&key.digest()))
        };
        if stop() || cache::find(&key, &layer.id, self.image.compression, &self.store).is_some() {
            return Ok(());
        }
        let packing = Packing {
            threads: write::threads(),
            app: &self.app,
            platform: &self.platform,
            image: &self.image,
            history: None,
            ahead: None,
            store: &self.store,
            reporter: &self.reporter,
        };
        let written = packing.write_unless(layer, &key, &stop)?;
        self.board().written.insert(key.digest(), written.digest);
        Ok(())
    }

    /// Layers that the image does not have are nothing that this build has used.
    fn give_up(&self, layers: &BTreeMap<Digest, Digest>) {
        for (key, blob) in layers {
            self.store.release(&self.store.blob_path(blob));
            self.store.release(&cache::record_path(key, &self.store));
        }
    }
}

/// Whether an earlier build of the app had a layer of this name.
pub fn is_known(layer: &Layer, history: &History) -> bool {
    history.knows(made::LAYER, &layer.id)
}

/// What the `due` layers of `plan` are made of, as far as nothing else comes to them: steps that are still to run, or
/// packages that files turn out to need.
///
/// # Errors
/// When the layers contradict each other.
pub fn foresee(plan: &Plan, due: &[Layer], parts: Parts<'_>) -> Result<Vec<LayerInput>, Error> {
    let mut taken = BTreeSet::new();
    let mut inputs = Vec::new();
    for layer in due {
        inputs.push(contents::assemble_one(plan, layer, parts, &mut taken)?);
    }
    inputs.retain(|layer| !layer.tree.is_empty());
    // Folders that no layer has go to the last, which is the app's.
    let (id, comment) = (String::new(), String::new());
    inputs.push(LayerInput { id, comment, tree: Tree::new(), time: Time::Source });
    let mut inputs = layers::normalise(inputs, &plan.image, parts.base)?;
    inputs.pop();
    Ok(inputs)
}
