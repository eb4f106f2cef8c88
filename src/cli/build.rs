//! `rpack build`

use std::io::Read as _;
use std::path::PathBuf;
use std::{fs, io};

use clap::Args;

use super::app::{AppArguments, JobsArguments};
use super::metadata::{Metadata, MetadataArguments};
use super::secret::SecretArguments;
use super::timings::TimingsArguments;
use super::warm::CacheArguments;
use super::{Failure, boxed, print};
use crate::build::Secrets;
use crate::config::Config;
use crate::oci::Reference;
use crate::package::Product;
use crate::pipeline::{self, App, Error, Running, Session};
use crate::plan::Plan;
use crate::publish::{self, Destination};
use crate::ui::ExitCode;
use crate::unchanged::{self, Answer, Miss, Pending, Question};

/// Build an image from source
///
/// Recognises what the folder holds, installs and compiles in a sandbox, and makes a small non-root image.
/// The image goes to the store under its tag; `rpack run` starts it from there. stdout is the image's digest.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  rpack build                                 build the app in this folder
  rpack build web -t shop/web:1.4 -o oci:out  name it and write an OCI layout as well
  rpack build -t registry.example/app:1 --push  and push it; `rpack login` has been there before
  rpack build -o docker-daemon:               and into docker, which is sent what it lacks
  rpack build -o docker-archive:app.tar       then: docker load -i app.tar
  rpack build --secret id=NPM_TOKEN           with this shell's NPM_TOKEN for the steps that install
  rpack build --timings timings.html          a page that shows where the time went
  rpack build --cache-from c --cache-to c     bring results of earlier builds along
  rpack build --platform linux/arm64          for another architecture; nothing is emulated
  rpack build --platform linux/amd64,linux/arm64  one index with an image for each
  rpack plan --json | rpack build --plan -    the same image from its plan")]
pub(super) struct Arguments {
    #[command(flatten)]
    app: AppArguments,
    /// Build this plan (`-` is stdin) instead of making one; PATH is still the source
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    #[command(flatten)]
    secrets: SecretArguments,
    /// The image's tag; several give it several [default: NAME:latest]
    #[arg(long, short, value_name = "NAME[:TAG]")]
    tag: Vec<Reference>,
    /// Push the image to the registry of each `--tag`
    #[arg(long, requires = "tag")]
    push: bool,
    /// Write the image there too: oci:DIR[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE[:NAME:TAG],
    /// docker-daemon:[NAME:TAG], containers-storage:[NAME:TAG] or docker://NAME:TAG
    #[arg(long, short, value_name = "DESTINATION")]
    output: Vec<String>,
    #[command(flatten)]
    jobs: JobsArguments,
    #[command(flatten)]
    caches: CacheArguments,
    #[command(flatten)]
    metadata: MetadataArguments,
    #[command(flatten)]
    timings: TimingsArguments,
}

impl Arguments {
    /// Those of `tags` that the image is pushed under.
    fn pushed<'a>(&self, tags: &'a [Reference]) -> &'a [Reference] {
        if self.push { tags } else { &[] }
    }
}

/// Runs the command.
pub(super) fn execute(arguments: &Arguments, session: &Session) -> Result<u8, Error> {
    arguments.timings.of(session, || build(arguments, session))
}

fn build(arguments: &Arguments, session: &Session) -> Result<u8, Error> {
    // Before any work: a typo in an output must not be found after the build.
    let outputs: Vec<Destination> =
        arguments.output.iter().map(|text| text.parse().map_err(boxed)).collect::<Result<_, _>>()?;
    arguments.metadata.check()?;
    let secrets = arguments.secrets.read(&session.environment)?;
    let app = arguments.app.app()?;
    let caches = arguments.caches.open(&app, session)?;
    let question = question(&app, &secrets, session);
    // What is written to a cache is what a build uses.
    let question = question.filter(|_| arguments.plan.is_none() && !caches.is_written());
    if let Some(question) = &question {
        let asked = session.reporter.begin("unchanged");
        match unchanged::find(question, &session.environment, &session.store) {
            Ok(answer) => {
                asked.found("nothing changed");
                return answer_again(&answer, arguments, &outputs, &app, session);
            }
            Err(Miss(reason)) => {
                asked.made(&reason);
                session.reporter.detail(&format!("the image is made again: {reason}"));
            }
        }
    }
    let checkout = session.reporter.stage("read source", || pipeline::read(&app, session))?;
    arguments.timings.look_for(&checkout.source, &session.reporter);
    arguments.metadata.look_for(&checkout.source, &session.reporter);
    let pending = question.and_then(|question| Pending::new(&question, &checkout.walks));
    let (plans, context) = if let Some(file) = &arguments.plan {
        let plans = Plan::list_from_json(&read(file)?).map_err(boxed)?;
        (plans, pipeline::rootfs_context(session, &checkout.config)?)
    } else {
        let detection = session.reporter.stage("detect", || pipeline::detect(&checkout, session))?;
        let plan = || {
            let context = pipeline::rootfs_context(session, &checkout.config)?;
            Ok::<_, Error>((pipeline::plans(&app, &checkout, &detection, &context, session)?, context))
        };
        session.reporter.stage("plan", plan)?
    };
    let platforms: Vec<&str> = plans.iter().map(|plan| &*plan.platform).collect();
    let layers: Vec<&str> = plans.iter().flat_map(Plan::layer_types).collect();
    outputs.iter().try_for_each(|output| output.holds(&platforms, &layers)).map_err(boxed)?;
    for plan in &plans {
        super::plan::announce(plan, session);
    }
    let running = Running { secrets: &secrets, jobs: arguments.jobs.count() };
    let product = pipeline::build_all(&plans, &checkout, &context, running, session)?;
    let tag = super::app::tag(&plans[0]);
    let given = if arguments.tag.is_empty() { std::slice::from_ref(&tag) } else { &arguments.tag };
    let everywhere: Vec<Destination> = [Destination::Store].into_iter().chain(outputs).collect();
    let tools = session.tools(&context.registry);
    let publish = || publish_all(&product, given, &everywhere, arguments.push, &tools);
    session.reporter.stage("publish", publish)?;
    session.reporter.info(&summary(&product, given));
    let names = (given, arguments.pushed(given));
    arguments.metadata.write(|| Metadata::of_build(&product, names, &everywhere, false, session))?;
    let status = print_digest(&product)?;
    if caches.is_written() {
        let written = session.reporter.begin("cache");
        caches.write(&plans, session);
        written.done();
    }
    if let Some(pending) = pending {
        let answer = Answer { product, tag, warnings: session.reporter.warnings() };
        let (observer, environment) = (&session.observer, &session.environment);
        let keep = || pending.keep(answer, &checkout.source, observer, environment, &session.store);
        // Without it the next build does its work again, and that is all.
        let _ = session.reporter.stage("remember", keep);
    }
    Ok(status)
}

/// What decides which image is made, as far as the command line says it. None when the folder is not there, which is
/// for the build to say.
fn question<'a>(app: &'a App, secrets: &'a Secrets, session: &'a Session) -> Option<Question<'a>> {
    Some(Question {
        path: app.path.canonicalize().ok()?,
        app: app.app.as_deref(),
        flags: &app.flags,
        platforms: &app.platforms,
        secrets: secrets.keys().map(String::as_str).collect(),
        definitions: session.definitions.folder(),
        offline: session.offline,
    })
}

/// Says again what was said when it was built.
fn answer_again(
    answer: &Answer,
    arguments: &Arguments,
    outputs: &[Destination],
    app: &App,
    session: &Session,
) -> Result<u8, Error> {
    for warning in &answer.warnings {
        session.reporter.warn(&warning.id, &warning.text, warning.hint.as_deref());
    }
    let platforms: Vec<String> =
        answer.product.images.iter().map(|image| image.platform.to_string()).collect();
    let platforms: Vec<&str> = platforms.iter().map(String::as_str).collect();
    let layers = answer.product.images.iter().flat_map(|image| &image.layers);
    let layers: Vec<&str> = layers.map(|layer| layer.media_type.as_str()).collect();
    outputs.iter().try_for_each(|output| output.holds(&platforms, &layers)).map_err(boxed)?;
    let tags = if arguments.tag.is_empty() { std::slice::from_ref(&answer.tag) } else { &arguments.tag };
    let publish = || {
        for tag in tags {
            publish::tag(&answer.product, tag, &session.store).map_err(boxed)?;
        }
        let goes_far =
            arguments.push || outputs.iter().any(|output| matches!(output, Destination::Registry(_)));
        // What is configured about registries stands beside the source, and is needed for them alone.
        let config = if goes_far { pipeline::read(app, session)?.config } else { Config::default() };
        let registry = pipeline::registry(session, &config);
        publish_all(&answer.product, tags, outputs, arguments.push, &session.tools(&registry))
    };
    session.reporter.stage("publish", publish)?;
    session.reporter.info(&format!("{}  nothing changed", summary(&answer.product, tags)));
    let (names, product) = ((tags, arguments.pushed(tags)), &answer.product);
    arguments.metadata.write(|| Metadata::of_build(product, names, outputs, true, session))?;
    print_digest(&answer.product)
}

/// Puts the image to all outputs and, if that is wanted, to the registries of its tags.
fn publish_all(
    product: &Product,
    tags: &[Reference],
    outputs: &[Destination],
    push: bool,
    tools: &publish::Tools<'_>,
) -> Result<(), Error> {
    pipeline::publish(product, tags, outputs, tools)?;
    if push { publish::push(product, tags, tools).map_err(boxed) } else { Ok(()) }
}

/// Prints what stdout is for.
fn print_digest(product: &Product) -> Result<u8, Error> {
    print(format!("{}\n", product.root.digest).as_bytes())?;
    Ok(ExitCode::Done as u8)
}

/// The tags, and for each image the number of layers and what a registry would store. The platform is named where it
/// is not this machine's alone.
fn summary(product: &Product, tags: &[Reference]) -> String {
    let names: Vec<String> = tags.iter().map(Reference::familiar).collect();
    let names = names.join(", ");
    let images = product.images.iter().map(|image| {
        let bytes: u64 = image.layers.iter().map(|layer| layer.size).sum();
        #[expect(clippy::cast_precision_loss, reason = "megabytes with one digit")]
        let megabytes = bytes as f64 / 1e6;
        let platform = image.platform.to_string();
        let platform = if platform == pipeline::machine() && !product.is_index() {
            String::new()
        } else {
            format!("  {platform}")
        };
        format!("{names}{platform}  {} layers, {megabytes:.1} MB", image.layers.len())
    });
    images.collect::<Vec<_>>().join("\n")
}

fn read(file: &PathBuf) -> Result<Vec<u8>, Error> {
    let failed = |source| boxed(Failure::Read { path: file.clone(), source });
    if file.as_os_str() == "-" {
        let mut bytes = Vec::new();
        io::stdin().lock().read_to_end(&mut bytes).map_err(failed)?;
        return Ok(bytes);
    }
    fs::read(file).map_err(failed)
}
