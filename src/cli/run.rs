//! `rpack run`

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;

use super::app::{JobsArguments, Settings};
use super::secret::SecretArguments;
use super::{Failure, boxed};
use crate::build::sandbox::{Bind, Output, Sandbox, Spec, Stdin};
use crate::interrupt;
use crate::oci::image::user_ids;
use crate::pipeline::{self, Error, Running, Session};
use crate::plan::model::{PROCESSES, Process};
use crate::publish::{self, Destination, Unpacked};
use crate::store::Kind;
use crate::ui::Reporter;
use crate::verify::{forward, listening};

/// How long to wait before it is looked again whether the app listens: each time longer, as a worker never does.
const FIRST_LOOK: Duration = Duration::from_millis(100);
const LAST_LOOK: Duration = Duration::from_secs(2);
/// How long it may take from the first port to the right one.
const PATIENCE: Duration = Duration::from_secs(2);
/// Ports that are tried when none is asked for.
const PORTS: std::ops::RangeInclusive<u16> = 8080..=8179;

/// Start an image, or build a folder and start it
///
/// The image runs in the sandbox as its own user, with a root that is read-only but where the image lets everybody write,
/// and an empty /tmp, on the host's network.
/// PORT is set. Signals go to the app, and its exit status is rpack's.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  rpack run                       build the app in this folder and start it
  rpack run shop/web:1.4          start an image of the store
  rpack run shop/web:1.4 --process release  start another process of it
  rpack run --port 3000 -e DEBUG  with PORT=3000 and this shell's DEBUG")]
pub(super) struct Arguments {
    /// A folder to build, or an image: a tag or digest of the store, docker://NAME:TAG of a registry, oci:DIR[:TAG],
    /// oci-archive:FILE[:TAG], docker-archive:FILE[:NAME:TAG], docker-daemon:NAME:TAG or containers-storage:NAME:TAG
    #[arg(default_value = ".", value_name = "PATH|IMAGE")]
    target: String,
    /// The port the app is told to listen on [default: the image's, or the first free one from 8080 on]
    #[arg(long, short, value_name = "N")]
    port: Option<u16>,
    /// Set an environment variable; without a value it is copied from this shell
    #[arg(long, short, value_name = "NAME[=VALUE]")]
    env: Vec<String>,
    #[command(flatten)]
    secrets: SecretArguments,
    #[command(flatten)]
    jobs: JobsArguments,
    #[command(flatten)]
    settings: Settings,
}

/// Runs the command.
pub(super) fn execute(arguments: &Arguments, session: &Session) -> Result<u8, Error> {
    let image = image(arguments, session)?;
    let port = port(arguments.port, &image)?;
    let mut spec = spec(&image, port, arguments, session);
    if !Path::new(&arguments.target).is_dir()
        && let Some(name) = arguments.settings.process()
    {
        become_process(&mut spec, &image, name)?;
    }
    if let Some(entry) = image.root.parent() {
        session.store.settle(&[entry]).map_err(boxed)?;
    }
    session.reporter.info(&format!("starting on port {port}: http://localhost:{port}/"));
    let mut running = Sandbox::default().spawn(&spec).map_err(boxed)?;
    let _forwarding = interrupt::forward_to(running.handle(), true);
    let reporter = session.reporter.clone();
    thread::spawn(move || watch(port, &reporter));
    let outcome = running.wait().map_err(boxed)?;
    Ok(u8::try_from(outcome.code).unwrap_or(u8::MAX))
}

/// Starts the process `name` of a finished image instead of its default one.
fn become_process(spec: &mut Spec, image: &Unpacked, name: &str) -> Result<(), Error> {
    let label = image.config.config.labels.get(PROCESSES);
    let mut processes: BTreeMap<String, Process> =
        label.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let Some(process) = processes.remove(name) else {
        let known = processes.into_keys().collect();
        return Err(boxed(Failure::NoProcess { name: name.to_owned(), known }));
    };
    spec.argv = process.argv;
    spec.directory = process.directory;
    spec.env.extend(process.env);
    Ok(())
}

/// The image to start: a folder is built first.
fn image(arguments: &Arguments, session: &Session) -> Result<Unpacked, Error> {
    let path = Path::new(&arguments.target);
    if path.is_dir() {
        let app = arguments.settings.app(PathBuf::from(path))?;
        let checkout = pipeline::read(&app, session)?;
        let detection = pipeline::detect(&checkout, session)?;
        let context = pipeline::rootfs_context(session, &checkout.config)?;
        let plan = pipeline::plan(&app, pipeline::machine(), &checkout, &detection, &context, session)?;
        super::plan::announce(&plan, session);
        let secrets = arguments.secrets.read(&session.environment)?;
        let running = Running { secrets: &secrets, jobs: arguments.jobs.count() };
        let image = pipeline::build(&plan, &checkout, &context, running, session)?;
        let (tag, tools) = (super::app::tag(&plan), session.tools(&context.registry));
        let product = image.clone().into();
        publish::publish(&product, &Destination::Store, &[tag], &tools).map_err(boxed)?;
        publish::complete(&product, &tools).map_err(boxed)?;
        return publish::unpack(&image, &session.store).map_err(boxed);
    }
    let registry = session.registry()?;
    let tools = session.tools(&registry);
    let image = publish::find(&arguments.target, pipeline::machine(), &tools).map_err(boxed)?;
    publish::unpack(&image, &session.store).map_err(boxed)
}

/// The asked-for port, if it is free, or the first free one, beginning with that of the image.
fn port(asked: Option<u16>, image: &Unpacked) -> Result<u16, Error> {
    let free = |port: &u16| TcpListener::bind((Ipv4Addr::UNSPECIFIED, *port)).is_ok();
    match asked {
        Some(port) if free(&port) => Ok(port),
        Some(port) => Err(boxed(Failure::PortTaken { port })),
        None => {
            let exposed = image.config.config.exposed_ports.keys();
            let own = exposed.filter_map(|port| port.split('/').next()?.parse().ok());
            own.chain(PORTS).find(free).ok_or_else(|| boxed(Failure::PortTaken { port: *PORTS.start() }))
        }
    }
}

/// Looks where the app listens until it does. An app that listens elsewhere than it is told is reached all the same, as
/// with the `-p` of container engines; one that only its own machine reaches is not.
fn watch(port: u16, reporter: &Reporter) {
    let own = i32::try_from(std::process::id()).unwrap_or_default();
    let mut elsewhere = None;
    let mut pause = FIRST_LOOK;
    loop {
        thread::sleep(pause);
        pause = (pause * 2).min(LAST_LOOK);
        let found = listening(own);
        if found.has(port) {
            return;
        }
        if found.is_empty() {
            continue;
        }
        let since = *elsewhere.get_or_insert_with(Instant::now);
        if since.elapsed() < PATIENCE {
            continue;
        }
        let text = format!("the app was told to listen on port {port} (`PORT`), and listens on {found}");
        if let Some((to, Ok(()))) = found.first().map(|to| (to, forward(port, to))) {
            let hint =
                format!("port {port} leads to {to} here; platforms such as Cloud Run ask on `PORT` alone");
            reporter.warn("verify/other-port", &text, Some(&hint));
        } else {
            let hint = "let it listen on `0.0.0.0` and on the port of the variable `PORT`";
            reporter.warn("verify/no-listen", &text, Some(hint));
        }
        return;
    }
}

fn spec(image: &Unpacked, port: u16, arguments: &Arguments, session: &Session) -> Spec {
    let config = &image.config.config;
    let mut env: BTreeMap<String, String> = config
        .env
        .iter()
        .filter_map(|variable| variable.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    env.insert("PORT".to_owned(), port.to_string());
    for variable in &arguments.env {
        if let Some((name, value)) = variable.split_once('=') {
            env.insert(name.to_owned(), value.to_owned());
        } else if let Some(value) = session.environment.get(variable) {
            env.insert(variable.clone(), value.to_owned());
        }
    }
    let mut binds = Vec::new();
    for target in ["/etc/resolv.conf", "/etc/hosts"] {
        if let Ok(source) = Path::new(target).canonicalize() {
            binds.push(Bind { source, target: target.to_owned(), read_only: true });
        }
    }
    // The app may write where everybody may; /tmp is always there.
    let writable = image.tree.iter().filter(|(path, entry)| {
        *path != "tmp" && entry.mode & 0o1777 == 0o1777 && matches!(entry.kind, Kind::Directory { .. })
    });
    let writable = writable.map(|(path, _)| format!("/{path}")).collect();
    // An image without a user runs as root.
    let (uid, gid) = user_ids(&config.user);
    let argv = config.entrypoint.iter().chain(&config.cmd).flatten().cloned().collect();
    Spec {
        binds,
        writable,
        env,
        directory: config.working_dir.clone(),
        uid: uid.unwrap_or(0),
        gid: gid.unwrap_or(0),
        network: true,
        pid_one: true,
        stdin: Stdin::Inherit,
        output: Output::Inherit,
        ..Spec::new(vec![image.root.clone()], argv)
    }
}
