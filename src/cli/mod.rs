//! The command line: one file per command. Arguments in, an options struct out; stdout is data.

mod app;
mod build;
mod cache;
mod copy;
mod detect;
mod diff;
mod doctor;
mod explain;
mod export;
mod init;
mod inspect;
mod lock;
mod login;
mod logout;
mod metadata;
mod plan;
mod rebase;
mod run;
mod secret;
mod timings;
mod warm;

use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::Environment;
use crate::definitions::Definitions;
use crate::interrupt;
use crate::observe::Observer;
use crate::oci::to_canonical_json;
use crate::pipeline::{Error, Session};
use crate::store::Store;
use crate::ui::{self, Diagnose, ExitCode, Progress, Reporter};

const EXIT_CODES: &str = "\
Exit status:
  0    done
  1    failed
  2    the command line, the environment or rpack.toml is wrong
  3    nothing detected, or several ecosystems that cannot be told apart
  4    a build step failed
  5    a registry or the network refused
  75   a passing fault: worth retrying
  130  interrupted
`rpack run` returns the status of the app.";

/// Build small, non-root, reproducible OCI images from source, without a Dockerfile and without a daemon
#[derive(Debug, Parser)]
#[command(
    name = "rpack",
    version,
    propagate_version = true,
    disable_help_subcommand = true,
    help_expected = true
)]
#[command(after_help = EXIT_CODES, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every command understands.
#[derive(Args, Debug)]
#[command(next_help_heading = "Global options")]
struct Global {
    /// Print errors only
    #[arg(long, short, global = true)]
    quiet: bool,
    /// Show details: why each step and layer is made again, and the key of each that is not
    #[arg(long, short, global = true, conflicts_with = "quiet")]
    verbose: bool,
    /// How to show progress; the default is `tty` on a terminal and `plain` elsewhere
    #[arg(long, global = true, value_enum, value_name = "STYLE")]
    progress: Option<ProgressStyle>,
    /// Use no network: everything must be in the store
    #[arg(long, global = true)]
    offline: bool,
    /// Keep downloads, results and images in DIR [env: `RPACK_STORE`] [default: `$XDG_CACHE_HOME/rpack`]
    #[arg(long, global = true, value_name = "DIR")]
    store: Option<PathBuf>,
    /// Read detectors, buildpacks and bases from DIR as well; its files replace the built-in ones
    #[arg(long, global = true, value_name = "DIR")]
    definitions: Option<PathBuf>,
}

/// The styles of `--progress`.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum ProgressStyle {
    /// Moving bars
    Tty,
    /// One line per event
    Plain,
    /// One JSON object per line
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    Build(Box<build::Arguments>),
    Init(init::Arguments),
    Run(run::Arguments),
    Detect(detect::Arguments),
    Plan(plan::Arguments),
    Explain(explain::Arguments),
    Lock(lock::Arguments),
    Rebase(rebase::Arguments),
    Copy(copy::Arguments),
    Inspect(inspect::Arguments),
    Diff(diff::Arguments),
    Export(export::Arguments),
    Login(login::Arguments),
    Logout(logout::Arguments),
    Cache(cache::Arguments),
    Doctor(doctor::Arguments),
}

/// Runs the command that the arguments name and returns the exit status.
pub fn main() -> u8 {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return refuse(&error),
    };
    let environment = Environment::from_process();
    let reporter = reporter(&cli.global, &environment);
    match start(cli, environment, &reporter) {
        Ok(status) => status,
        Err(error) => {
            if interrupt::requested() {
                reporter.info("interrupted");
                return ExitCode::Interrupted as u8;
            }
            reporter.error(&*error);
            error.exit() as u8
        }
    }
}

/// Help goes to stdout with status 0, anything else to stderr with the status for wrong usage.
fn refuse(error: &clap::Error) -> u8 {
    // A closed terminal must not turn help into a failure.
    let _ = error.print();
    if error.use_stderr() { ExitCode::Usage as u8 } else { ExitCode::Done as u8 }
}

fn reporter(global: &Global, environment: &Environment) -> Reporter {
    let flag = global.progress.map(|style| match style {
        ProgressStyle::Tty => Progress::Tty,
        ProgressStyle::Plain => Progress::Plain,
        ProgressStyle::Json => Progress::Json,
    });
    Reporter::auto(flag, global.quiet, io::stderr().is_terminal(), environment).with_details(global.verbose)
}

fn start(cli: Cli, environment: Environment, reporter: &Reporter) -> Result<u8, Error> {
    interrupt::watch().map_err(|source| Box::new(Failure::Signals { source }) as Error)?;
    let session = reporter.stage("start", || session(&cli.global, environment, reporter))?;
    match cli.command {
        Command::Build(arguments) => build::execute(&arguments, &session),
        Command::Run(arguments) => run::execute(&arguments, &session),
        Command::Init(arguments) => init::execute(&arguments, &session),
        Command::Detect(arguments) => detect::execute(&arguments, &session),
        Command::Plan(arguments) => plan::execute(&arguments, &session),
        Command::Explain(arguments) => explain::execute(&arguments, &session),
        Command::Lock(arguments) => lock::execute(&arguments, &session),
        Command::Rebase(arguments) => rebase::execute(&arguments, &session),
        Command::Copy(arguments) => copy::execute(&arguments, &session),
        Command::Inspect(arguments) => inspect::execute(&arguments, &session),
        Command::Diff(arguments) => diff::execute(&arguments, &session),
        Command::Export(arguments) => export::execute(&arguments, &session),
        Command::Login(arguments) => login::execute(&arguments, &session),
        Command::Logout(arguments) => logout::execute(&arguments, &session),
        Command::Cache(arguments) => cache::execute(&arguments, &session),
        Command::Doctor(arguments) => doctor::execute(&arguments, &session),
    }
}

fn session(global: &Global, environment: Environment, reporter: &Reporter) -> Result<Session, Error> {
    let observer = Observer::default();
    if let Some(folder) = &global.definitions {
        let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.clone());
        walkdir::WalkDir::new(folder).into_iter().flatten().for_each(|entry| observer.file(entry.path()));
    }
    let definitions = match &global.definitions {
        Some(folder) => Definitions::with_folder(folder).map_err(boxed)?,
        None => Definitions::embedded(),
    };
    let root = match &global.store {
        Some(root) => root.clone(),
        None => environment.store().map_err(boxed)?,
    };
    Ok(Session {
        definitions,
        store: Store::open(root).map_err(boxed)?,
        reporter: reporter.clone(),
        offline: global.offline,
        environment,
        observer,
    })
}

/// Failures of the command line itself.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// The system refused signal handlers.
    #[error("cannot wait for signals")]
    Signals {
        /// The system's answer.
        source: io::Error,
    },
    /// stdout cannot be written.
    #[error("cannot write to standard output")]
    Output {
        /// The system's answer.
        source: io::Error,
    },
    /// A file named on the command line cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// There is a configuration already.
    #[error("{} is there already", path.display())]
    InitExists {
        /// The file.
        path: PathBuf,
    },
    /// An argument is not what its flag takes.
    #[error("`{flag} {value}` is not understood: {expected}")]
    Argument {
        /// The flag.
        flag: &'static str,
        /// What was given.
        value: String,
        /// What it takes.
        expected: &'static str,
    },
    /// The lock is not what `rpack lock` would write.
    #[error("`{}` is out of date", crate::plan::lock::NAME)]
    LockOutdated,
    /// A secret comes from a variable that is not set.
    #[error("the secret `{id}` comes from the variable `{name}`, which is not set")]
    NoVariable {
        /// The secret.
        id: String,
        /// The variable.
        name: String,
    },
    /// An image of a layout or archive has no name.
    #[error("`{image}` does not say what the image is called")]
    Untagged {
        /// As it was named.
        image: String,
    },
    /// An image of a layout or archive has no name, and the place it goes to needs one.
    #[error("`{image}` does not say what the image is called")]
    Unnamed {
        /// As it was named.
        image: String,
    },
    /// An archive would be written to a terminal.
    #[error("the files of `{image}` are not written to a terminal")]
    Terminal {
        /// As it was named.
        image: String,
    },
    /// The image has no such process.
    #[error("the image has no process `{name}`")]
    NoProcess {
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// The name of a registry is none.
    #[error("`{text}` cannot be logged in to: {reason}")]
    Registry {
        /// What was typed.
        text: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// User or password are none.
    #[error("cannot log in: {reason}")]
    NoCredential {
        /// What is wrong.
        reason: String,
    },
    /// There is nobody to ask.
    #[error("cannot ask for user and password on a terminal")]
    NobodyToAsk {
        /// The system's answer.
        source: io::Error,
    },
    /// All ports are taken.
    #[error("port {port} is in use")]
    PortTaken {
        /// The port.
        port: u16,
    },
}

impl Diagnose for Failure {
    fn id(&self) -> &'static str {
        match self {
            Self::Signals { .. } => "cli/signals",
            Self::Output { .. } => "cli/output",
            Self::Read { .. } => "cli/read",
            Self::Argument { .. } => "cli/argument",
            Self::LockOutdated => "lock/outdated",
            Self::Write { .. } => "cli/write",
            Self::NoVariable { .. } => "secret/no-variable",
            Self::InitExists { .. } => "init/exists",
            Self::NoProcess { .. } => "start/no-process",
            Self::Untagged { .. } => "rebase/no-tag",
            Self::Unnamed { .. } => "copy/no-name",
            Self::Terminal { .. } => "export/terminal",
            Self::Registry { .. } => "login/registry",
            Self::NoCredential { .. } => "login/credential",
            Self::NobodyToAsk { .. } => "login/terminal",
            Self::PortTaken { .. } => "run/port-taken",
        }
    }

    fn exit(&self) -> ExitCode {
        match self {
            Self::Signals { .. } | Self::Output { .. } | Self::LockOutdated | Self::PortTaken { .. } => {
                ExitCode::Failed
            }
            Self::Read { .. }
            | Self::Write { .. }
            | Self::InitExists { .. }
            | Self::NoVariable { .. }
            | Self::Argument { .. }
            | Self::NoProcess { .. }
            | Self::Unnamed { .. }
            | Self::Registry { .. }
            | Self::NoCredential { .. }
            | Self::Terminal { .. }
            | Self::NobodyToAsk { .. }
            | Self::Untagged { .. } => ExitCode::Usage,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::LockOutdated => vec!["bring it up to date and commit it: `rpack lock`".to_owned()],
            Self::NoVariable { id, .. } => {
                vec![format!("set it, or name a file: `--secret id={id},src=FILE`")]
            }
            Self::InitExists { .. } => vec![
                "print what it would be: `rpack init --dry-run`".to_owned(),
                "replace it: `rpack init --force`".to_owned(),
            ],
            Self::NoProcess { known, .. } if known.is_empty() => {
                vec!["it was built from an app with one process; leave out `--process`".to_owned()]
            }
            Self::NoProcess { known, .. } => vec![format!("it has {}", known.join(", "))],
            Self::Untagged { image } => vec![format!("name it: `rpack rebase {image} --tag NAME:TAG`")],
            Self::Unnamed { image } => {
                vec![format!("give it a name in the store first: `rpack copy {image} NAME:TAG`")]
            }
            Self::Terminal { image } => {
                vec![format!("name a file, or a program that reads it: `rpack export {image} -o files.tar`")]
            }
            Self::Registry { .. } => vec!["name its host: `rpack login registry.example:5000`".to_owned()],
            Self::NoCredential { .. } | Self::NobodyToAsk { .. } => vec![
                "give it in a pipeline: `printf %s \"$TOKEN\" | rpack login REGISTRY -u USER --password-stdin`"
                    .to_owned(),
            ],
            Self::PortTaken { .. } => vec!["choose another: `rpack run --port 8081`".to_owned()],
            _ => Vec::new(),
        }
    }
}

/// Writes a document to stdout as canonical JSON with a line end.
fn print_json<T: serde::Serialize>(document: &T) -> Result<(), Error> {
    let mut bytes = to_canonical_json(document).expect("documents of commands have string keys only");
    bytes.push(b'\n');
    print(&bytes)
}

/// Writes data to stdout. A reader that has gone away (`| head`) is no failure.
fn print(bytes: &[u8]) -> Result<(), Error> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(source) if source.kind() != io::ErrorKind::BrokenPipe => Err(boxed(Failure::Output { source })),
        _ => Ok(()),
    }
}

fn boxed<E: ui::Diagnose + Send + Sync + 'static>(error: E) -> Error {
    Box::new(error)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn every_flag_has_help_and_no_two_clash() {
        super::Cli::command().debug_assert();
    }
}
