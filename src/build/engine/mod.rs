//! The local engine: steps one after the other, each in a sandbox on this machine.

mod output;

use std::cell::LazyCell;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::time::Instant;

use super::key::{Lowers, key};
use super::made::{self, Made};
use super::sandbox::{Bind, Outcome, Sandbox, SecretFiles, Spec};
use super::secret::{self, Hidden, Secrets};
use super::{Error, Host, StepResult, Work};
use crate::interrupt;
use crate::oci::Digest;
use crate::plan::model::Step;
use crate::plan::{Failed, Plan};
use crate::rootfs;
use crate::source::{Fingerprints, Selection, Source, snapshot};
use crate::store::history::History;
use crate::store::{self, Content, Entry, Kind, Store, Tree};
use crate::ui::Reporter;

/// Where the app lives, at build time as at run time, without the leading slash.
const APP: &str = "app";

/// What names the machine itself: builders start servers and ask them. Without network there is no other file for it.
const HOSTS: (&str, &str) = ("/etc/hosts", "127.0.0.1 localhost\n::1 localhost\n");

/// A toolchain on disk.
#[derive(Clone, Debug)]
pub struct Toolchain {
    /// A directory that holds the toolchain at its target (`opt/node/bin/node`).
    pub root: PathBuf,
    /// Identity of its contents.
    pub digest: Digest,
}

/// Runs steps on this machine.
pub struct Engine<'a> {
    /// Where results are kept.
    pub store: &'a Store,
    /// Where progress goes.
    pub reporter: &'a Reporter,
    /// The build root on disk; asked for only when a step has to run.
    pub build_root: Box<dyn Fn() -> Result<PathBuf, rootfs::Error> + 'a>,
    /// By name.
    pub toolchains: BTreeMap<String, Toolchain>,
    /// What steps with network see of the machine; found out when the first of them runs.
    pub host: LazyCell<Host, Box<dyn FnOnce() -> Host + 'a>>,
    /// Whether the network is off for all steps.
    pub offline: bool,
    /// What steps may see that their plan names it for.
    pub secrets: &'a Secrets,
    /// What the app's steps were made of the last time.
    pub history: &'a History,
}

/// A step with all that its result depends on.
struct Job<'a> {
    step: &'a Step,
    plan: &'a Plan,
    source: &'a Source,
    view: &'a View,
    key: Digest,
    lowers: Lowers<'a>,
    selection: Selection,
    fingerprints: &'a Fingerprints,
}

/// The growing view: what the next step stands on.
struct View {
    /// Directories of finished steps, latest first.
    lowers: Vec<PathBuf>,
    keys: Vec<Digest>,
    tree: Tree,
}

impl Engine<'_> {
    pub(super) fn run(&self, plan: &Plan, source: &Source) -> Result<Work, Error> {
        let digests = self.toolchains.iter().map(|(name, tool)| (name.clone(), tool.digest)).collect();
        let mut view = View { lowers: Vec::new(), keys: Vec::new(), tree: below_app(&source.tree) };
        let fingerprints = Fingerprints::open(self.store, source);
        let mut steps = Vec::new();
        for step in &plan.steps {
            let selection = source.select(&step.inputs, &fingerprints)?;
            let lowers = Lowers {
                root: plan.build_root.digest,
                toolchains: &digests,
                steps: &view.keys,
                inputs: selection.digest,
            };
            let key = key(step, &lowers);
            let (view_now, fingerprints) = (&view, &fingerprints);
            let job = Job { step, plan, source, view: view_now, key, lowers, selection, fingerprints };
            let (entry, cached) = self.result(&job)?;
            view.tree.apply(read_result(self.store, &entry)?);
            view.lowers.insert(0, entry.join("fs"));
            view.keys.push(key);
            steps.push(StepResult { id: step.id.clone(), key, cached });
        }
        fingerprints.save()?;
        Ok(Work { tree: view.tree, steps })
    }

    /// The job's kept result, made now if it is not there. Two builds of the same step wait for each other.
    fn result(&self, job: &Job<'_>) -> Result<(PathBuf, bool), Error> {
        let Job { step, source, key, .. } = job;
        let task = self.reporter.task(&format!("{}  {}", step.id, step.title));
        let started = Instant::now();
        let _lock = self.store.lock(&key.hex())?;
        if let Some(entry) = self.store.entry("steps", &key.hex()) {
            task.found("unchanged");
            made::remember_found(self.history, &step.id, key, &entry);
            self.reporter.detail(&format!("{}  found {}", step.id, key.short()));
            return Ok((entry, true));
        }
        let made = Made::of(step, job.plan, &job.lowers, &job.selection, job.fingerprints);
        if self.reporter.is_verbose() {
            let reason = made::reason(self.history, &made, key);
            self.reporter.detail(&format!("{}  runs: {reason}", step.id));
        }
        let temporary = self.store.temporary_folder()?;
        let lowers = self.lowers(step, &job.selection, job.view)?;
        let seen = secret::of_step(step, self.secrets);
        let hidden = Hidden::new(&seen);
        let spec = self.spec(step, lowers, temporary.path(), &seen)?;
        let mut running = Sandbox::default().spawn(&spec)?;
        if let Some(text) = running.tier.announcement() {
            self.announce(text);
        }
        let forwarding = interrupt::forward_to(running.handle(), false);
        let (outcome, tail) = output::follow(&mut running, &step.id, self.reporter, &hidden)?;
        drop(forwarding);
        if interrupt::requested() {
            return Err(Error::Interrupted { step: step.id.clone() });
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
        let upper = temporary.path().join("fs");
        forget(step.files.keys(), &upper)?;
        if let Some((id, path)) = hidden.find(&upper).map_err(store::Error::io("read", &upper))? {
            return Err(Error::SecretKept { step: step.id.clone(), id, path });
        }
        let work = temporary.path().join("work");
        store::remove_all(&work).map_err(store::Error::io("remove", &work))?;
        made.write(temporary.path());
        store::instance::write(temporary.path())?;
        let entry = self.store.keep_entry("steps", &key.hex(), temporary)?;
        self.history.remember("step", &step.id, key, &made);
        task.made(&format!("{:.1} s", started.elapsed().as_secs_f64()));
        Ok((entry, false))
    }

    /// Says once that the isolation is weaker than it should be.
    fn announce(&self, text: &str) {
        static ANNOUNCED: Once = Once::new();
        ANNOUNCED.call_once(|| self.reporter.warn("sandbox/weak", text, Some("`rpack doctor` shows why")));
    }

    /// Topmost first: results, source, toolchains, root.
    fn lowers(&self, step: &Step, selection: &Selection, view: &View) -> Result<Vec<PathBuf>, Error> {
        let mut lowers = Vec::new();
        if !step.files.is_empty() {
            lowers.push(self.files(&step.files)?);
        }
        lowers.extend(view.lowers.iter().cloned());
        lowers.push(snapshot(selection, self.store, APP)?);
        lowers.extend(self.toolchains.values().map(|tool| tool.root.clone()));
        lowers.push(self.files(&BTreeMap::from([(HOSTS.0.to_owned(), HOSTS.1.to_owned())]))?);
        lowers.push((self.build_root)()?);
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
            binds.push(Bind { source: self.store.cache(id)?, target: target.clone(), read_only: false });
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
