//! The local engine: each step in a sandbox on this machine, those that do not see each other at the same time.
//!
//! Results are laid over each other in the order of the plan, whatever the order in which they were made.

mod incremental;
mod output;
mod schedule;

use std::collections::BTreeMap;
use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Once};
use std::time::Instant;

use super::key::{Lowers, key};
use super::made::{self, Made};
use super::sandbox::{Bind, Outcome, Sandbox, SecretFiles, Spec};
use super::secret::{self, Hidden, Secrets};
use super::{Ended, Error, Halt, Host, Listener, StepResult, Work};
use crate::interrupt;
use crate::oci::Digest;
use crate::plan::model::Step;
use crate::plan::{Failed, Plan, needs};
use crate::source::{Fingerprints, Selection, Source, snapshot};
use crate::store::history::History;
use crate::store::{self, Content, Entry, Kind, Store, Tree};
use crate::ui::Reporter;
use incremental::Incremental;
pub use incremental::KEPT;
use schedule::Kept;

/// Where the app lives, at build time as at run time, without the leading slash.
const APP: &str = "app";

/// Marks a cache that steps with secrets have used, and that may hold one: it stays on this machine.
pub const PRIVATE: &str = ".rpack-private";

/// What names the machine itself: builders start servers and ask them. Without network there is no other file for it.
const HOSTS: (&str, &str) = ("/etc/hosts", "127.0.0.1 localhost\n::1 localhost\n");

/// What all steps stand on, on disk.
#[derive(Clone, Debug)]
pub struct Ground {
    /// The build root.
    pub root: PathBuf,
    /// For each toolchain a directory that holds it at its target (`opt/node/bin/node`).
    pub toolchains: Vec<PathBuf>,
}

/// Runs steps on this machine.
pub struct Engine<'a> {
    /// Where results are kept.
    pub store: &'a Store,
    /// Where progress goes.
    pub reporter: &'a Reporter,
    /// Makes what steps stand on; asked only when a step has to run.
    pub ground: Box<dyn Fn() -> Result<Ground, Error> + Sync + 'a>,
    /// By name, the identity of the contents of each toolchain.
    pub toolchains: BTreeMap<String, Digest>,
    /// What steps with network see of the machine; found out when the first of them runs.
    pub host: LazyLock<Host, Box<dyn FnOnce() -> Host + Send + 'a>>,
    /// Whether the network is off for all steps.
    pub offline: bool,
    /// What steps may see that their plan names it for.
    pub secrets: &'a Secrets,
    /// What the app's steps were made of the last time.
    pub history: &'a History,
    /// How many steps run at once.
    pub jobs: NonZeroUsize,
    /// Ends them when something else has failed.
    pub halt: &'a Halt,
    /// Told of the steps that have ended whenever one was run while others have not ended, in the order of the plan.
    pub ended: Box<Listener<'a>>,
}

/// A step with all that its result depends on.
struct Job<'a> {
    step: &'a Step,
    key: Digest,
    /// Ids of the earlier steps that it sees.
    before: Vec<&'a str>,
    lowers: Lowers<'a>,
    selection: Selection,
}

/// What all jobs have in common.
struct Whole<'a> {
    plan: &'a Plan,
    source: &'a Source,
    fingerprints: Fingerprints,
}

impl Engine<'_> {
    pub(super) fn run(&self, plan: &Plan, source: &Source) -> Result<Work, Error> {
        let whole = Whole { plan, source, fingerprints: Fingerprints::open(self.store, source) };
        let seen = needs::seen(&plan.steps);
        let mut jobs: Vec<Job<'_>> = Vec::new();
        for (step, seen) in plan.steps.iter().zip(&seen) {
            let selection = source.select(&step.inputs, &whole.fingerprints)?;
            let lowers = Lowers {
                root: plan.build_root.digest,
                toolchains: &self.toolchains,
                steps: seen.iter().map(|earlier| jobs[*earlier].key).collect(),
                inputs: selection.digest,
            };
            let before = seen.iter().map(|earlier| plan.steps[*earlier].id.as_str()).collect();
            jobs.push(Job { step, key: key(step, &lowers), before, lowers, selection });
        }
        whole.fingerprints.save()?;
        let mut kept = jobs.iter().map(|job| self.found(job)).collect::<Result<Vec<_>, _>>()?;
        if kept.iter().any(Option::is_none) {
            let ground = (self.ground)()?;
            let work = |index: usize, entries| self.made(&jobs[index], &whole, &ground, entries);
            let ended = |kept: &[Option<Kept>]| {
                let ended = jobs.iter().zip(kept).filter_map(|(job, kept)| {
                    let Kept { cached, tree, .. } = kept.as_ref()?;
                    Some(Ended { id: job.step.id.clone(), cached: *cached, tree: Arc::clone(tree) })
                });
                (self.ended)(&ended.collect::<Vec<_>>());
            };
            let made = schedule::run(&seen, kept, self.jobs, self.halt, &work, &ended);
            let stopped = || Error::Interrupted { step: plan.steps[0].id.clone() };
            kept = made.map_err(|error| error.unwrap_or_else(stopped))?.into_iter().map(Some).collect();
        }
        let mut results = Vec::new();
        let mut steps = Vec::new();
        for (job, kept) in jobs.iter().zip(kept.into_iter().flatten()) {
            results.push(kept.tree);
            steps.push(StepResult { id: job.step.id.clone(), key: job.key, cached: kept.cached });
        }
        Ok(Work { tree: laid(&source.tree, results), steps })
    }

    /// The job's kept result.
    fn found(&self, job: &Job<'_>) -> Result<Option<Kept>, Error> {
        let Some(entry) = self.store.entry("steps", &job.key.hex()) else { return Ok(None) };
        let step = job.step;
        self.reporter.task(&label(step)).found("unchanged");
        made::remember_found(self.history, &step.id, &job.key, &entry);
        self.reporter.detail(&format!("{}  found {}", step.id, job.key.short()));
        let tree = read_result(self.store, &entry)?;
        Ok(Some(Kept { entry, cached: true, tree: Arc::new(tree) }))
    }

    /// The job's result, over those `entries` of earlier ones. Two builds of the same step wait for each other.
    fn made(
        &self,
        job: &Job<'_>,
        whole: &Whole<'_>,
        ground: &Ground,
        entries: Vec<PathBuf>,
    ) -> Result<Kept, Error> {
        let Job { step, key, .. } = job;
        let _lock = self.store.lock(&key.hex())?;
        if let Some(kept) = self.found(job)? {
            return Ok(kept);
        }
        let task = self.reporter.task(&label(step));
        let started = Instant::now();
        let made = Made::of(step, whole.plan, &job.before, &job.lowers, &job.selection, &whole.fingerprints);
        if self.reporter.is_verbose() {
            let reason = made::reason(self.history, &made, key);
            self.reporter.detail(&format!("{}  runs: {reason}", step.id));
        }
        let temporary = self.store.temporary_folder()?;
        let lowers = self.lowers(job, entries, ground)?;
        let kept = Incremental::of(step, (self.history.app(), &whole.plan.name), self.store);
        self.execute(step, lowers, temporary.path(), (whole.source, &kept))?;
        made.write(temporary.path());
        store::instance::write(temporary.path())?;
        let entry = self.store.keep_entry("steps", &key.hex(), temporary)?;
        self.history.remember("step", &step.id, key, &made);
        let tree = read_result(self.store, &entry)?;
        task.made(&format!("{:.1} s", started.elapsed().as_secs_f64()));
        Ok(Kept { entry, cached: false, tree: Arc::new(tree) })
    }

    /// Runs the step; what it writes is in `fs` of `folder` then.
    fn execute(
        &self,
        step: &Step,
        lowers: Vec<PathBuf>,
        folder: &Path,
        (source, incremental): (&Source, &Incremental<'_>),
    ) -> Result<(), Error> {
        let seen = secret::of_step(step, self.secrets);
        let hidden = Hidden::new(&seen);
        let spec = self.spec(step, lowers, folder, &seen)?;
        let stopped = || Error::Interrupted { step: step.id.clone() };
        if interrupt::requested() {
            return Err(stopped());
        }
        let upper = folder.join("fs");
        incremental.restore(&upper);
        let mut running = Sandbox::default().spawn(&spec)?;
        if let Some(text) = running.tier.announcement() {
            self.announce(text);
        }
        let forwarding = interrupt::forward_to(running.handle(), false);
        let watched = self.halt.watch(running.handle());
        let followed = output::follow(&mut running, &step.id, self.reporter, &hidden);
        drop((forwarding, watched));
        let is_done = followed.as_ref().is_ok_and(|(outcome, _)| outcome.code == 0);
        if interrupt::requested() || (self.halt.is_set() && !is_done) {
            return Err(stopped());
        }
        let (outcome, tail) = followed?;
        if outcome.signal.is_none() {
            incremental.keep(&upper, &hidden)?;
        }
        if outcome.code != 0 {
            return Err(Error::Step {
                command: shown(&step.argv),
                ended: ended(outcome),
                failed: Box::new(Failed {
                    step: step.id.clone(),
                    code: outcome.code,
                    network: step.network,
                    output: tail,
                }),
                source_root: source.root.clone().into(),
                advised: Box::default(),
            });
        }
        forget(step.files.keys(), &upper)?;
        if let Some((id, path)) = hidden.find(&upper).map_err(store::Error::io("read", &upper))? {
            return Err(Error::SecretKept { step: step.id.clone(), id, path });
        }
        let work = folder.join("work");
        store::remove_all(&work).map_err(store::Error::io("remove", &work))?;
        Ok(())
    }

    /// Says once that the isolation is weaker than it should be.
    fn announce(&self, text: &str) {
        static ANNOUNCED: Once = Once::new();
        ANNOUNCED.call_once(|| self.reporter.warn("sandbox/weak", text, Some("`rpack doctor` shows why")));
    }

    /// Topmost first: the plan's own files, results, source, toolchains, root.
    fn lowers(&self, job: &Job<'_>, entries: Vec<PathBuf>, ground: &Ground) -> Result<Vec<PathBuf>, Error> {
        let mut lowers = Vec::new();
        if !job.step.files.is_empty() {
            lowers.push(self.files(&job.step.files)?);
        }
        lowers.extend(entries.into_iter().map(|entry| entry.join("fs")));
        lowers.push(snapshot(&job.selection, self.store, APP)?);
        lowers.extend(ground.toolchains.iter().cloned());
        lowers.push(self.files(&BTreeMap::from([(HOSTS.0.to_owned(), HOSTS.1.to_owned())]))?);
        lowers.push(ground.root.clone());
        Ok(lowers)
    }

    /// The plan's own files as a lower.
    fn files(&self, files: &BTreeMap<String, String>) -> Result<PathBuf, Error> {
        let mut tree = Tree::new();
        for (path, text) in files {
            tree.insert(path.trim_start_matches('/'), Entry::bytes(text.as_bytes()));
        }
        tree.add_parents();
        let bytes = crate::oci::to_canonical_json(files).expect("a map of strings always serialises");
        let key = format!("files-{}", Digest::of(&bytes).hex());
        let folder = self.store.materialise(&key, &tree)?;
        let names = || files.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        self.store.describe("trees", &key, || format!("the plan's {}", names()));
        Ok(folder)
    }

    fn spec(&self, step: &Step, lowers: Vec<PathBuf>, folder: &Path, seen: &Secrets) -> Result<Spec, Error> {
        let (upper, work) = (folder.join("fs"), folder.join("work"));
        for path in [&upper, &work] {
            fs::create_dir(path).map_err(store::Error::io("create", path))?;
        }
        let mut env = step.env.clone();
        let mut binds = Vec::new();
        let network = step.network && !self.offline;
        if network {
            binds.extend_from_slice(self.host.binds());
            for (name, value) in self.host.env() {
                env.entry(name.clone()).or_insert_with(|| value.clone());
            }
        }
        for (id, target) in &step.caches {
            let source = self.store.cache(id)?;
            if !seen.is_empty() {
                let mark = source.join(PRIVATE);
                fs::write(&mark, "").map_err(store::Error::io("write", &mark))?;
            }
            binds.push(Bind { source, target: target.clone(), read_only: false });
        }
        env.extend(secret::variables(step, seen)?);
        let files = seen.iter().map(|(id, secret)| (id.clone(), secret.bytes().to_vec())).collect();
        Ok(Spec {
            secrets: SecretFiles { folder: secret::FOLDER.to_owned(), files },
            upper: Some(upper),
            work: Some(work),
            binds,
            env,
            directory: step.directory.clone(),
            network,
            ..Spec::new(lowers, step.argv.clone())
        })
    }
}

/// Takes the plan's own files out of a result: the next step sees the source's again, even when a tool rewrote them.
fn forget<'a>(files: impl Iterator<Item = &'a String>, upper: &Path) -> Result<(), Error> {
    for file in files {
        let mut path = upper.to_owned();
        let mut parts = file.trim_start_matches('/').split('/').peekable();
        while let Some(part) = parts.next() {
            path.push(part);
            let Ok(found) = fs::symlink_metadata(&path) else { break };
            if parts.peek().is_none() && !found.is_dir() {
                fs::remove_file(&path).map_err(store::Error::io("remove", &path))?;
            } else if !found.is_dir() {
                // The step put something else there; a link may lead anywhere.
                break;
            }
        }
    }
    Ok(())
}

/// The source as it lies in the image, with `results` over it in their order.
pub fn laid(source: &Tree, results: Vec<Arc<Tree>>) -> Tree {
    let mut tree = below_app(source);
    for result in results {
        tree.apply(Arc::unwrap_or_clone(result));
    }
    tree
}

/// The source as it lies in the image.
fn below_app(source: &Tree) -> Tree {
    let mut tree: Tree =
        source.iter().map(|(path, entry)| (format!("{APP}/{path}"), entry.clone())).collect();
    tree.insert(APP, Entry::directory());
    tree
}

/// The tree of a kept step; its listing is kept beside it, so that an unchanged build walks nothing.
fn read_result(store: &Store, entry: &Path) -> Result<Tree, Error> {
    let (root, listing) = (entry.join("fs"), entry.join("entries.json"));
    if let Some(mut tree) =
        fs::read(&listing).ok().and_then(|bytes| serde_json::from_slice::<Tree>(&bytes).ok())
    {
        for (_, entry) in tree.iter_mut() {
            if let Kind::File { content: Content::Path(path), .. } = &mut entry.kind {
                *path = root.join(&*path);
            }
        }
        return Ok(tree);
    }
    let tree = store.read_directory(&root)?;
    let mut relative = tree.clone();
    for (path, entry) in relative.iter_mut() {
        if let Kind::File { content, .. } = &mut entry.kind {
            *content = Content::Path(PathBuf::from(path));
        }
    }
    let bytes = serde_json::to_vec(&relative).expect("trees always serialise");
    let mut file = store.temporary_file()?;
    std::io::Write::write_all(&mut file, &bytes).map_err(store::Error::io("write", &listing))?;
    file.persist(&listing).map_err(|error| store::Error::io("create", &listing)(error.error))?;
    Ok(tree)
}

/// How a step is called on its line.
fn label(step: &Step) -> String {
    format!("{}  {}", step.id, step.title)
}

/// How a command ended, in words.
fn ended(outcome: Outcome) -> String {
    match outcome.signal {
        Some(signal) => format!("was ended by signal {signal}"),
        None => format!("exited with status {}", outcome.code),
    }
}

/// A command as one would type it.
fn shown(argv: &[String]) -> String {
    let plain = |word: &str| {
        !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_./=:@%+,".contains(&b))
    };
    let words = argv
        .iter()
        .map(|word| if plain(word) { word.clone() } else { format!("'{}'", word.replace('\'', r"'\''")) });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn commands_are_shown_as_one_would_type_them() {
        let argv = ["sh", "-c", "echo it's", ""].map(str::to_owned);
        assert_eq!(shown(&argv), r"sh -c 'echo it'\''s' ''");
    }
}
