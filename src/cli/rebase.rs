//! `rpack rebase`

use std::fmt::Write as _;

use clap::Args;
use serde::Serialize;

use super::{Failure, boxed, print, print_json};
use crate::oci::{Digest, Reference};
use crate::package::{self, Image, Product};
use crate::pipeline::{self, Error, Session};
use crate::publish::{self, Destination};
use crate::rebase::{self, Changed, Rebased, Replaced};
use crate::ui::ExitCode;
use crate::{config, rootfs};

/// Put a finished image on the base's packages of today, without its source
///
/// Layers with Debian packages are composed again from the newest versions of the same packages; the blobs of all other
/// layers stay. Whatever the image found before (libraries, interpreters, its start command) must still be there.
/// stdout is what changed. docs/rebase.md describes it.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  rpack rebase shop/web:1.4                   under the same tag of the store
  rpack rebase shop/web:1.4 --dry-run         what would change
  rpack rebase shop/web:1.4 -t shop/web:1.4.1 under another tag
  rpack rebase oci:out -o oci:out             an OCI layout, in place
  rpack rebase oci:out --json                 for a machine")]
pub(super) struct Arguments {
    /// A tag or digest of the store, docker://NAME:TAG of a registry, oci:DIR[:TAG], oci-archive:FILE[:TAG],
    /// docker-archive:FILE[:NAME:TAG], docker-daemon:NAME:TAG or containers-storage:NAME:TAG
    #[arg(value_name = "IMAGE")]
    image: String,
    /// The tag of the new image [default: that of IMAGE]
    #[arg(long, short, value_name = "NAME[:TAG]")]
    tag: Option<Reference>,
    /// Write the image there too: docker://NAME:TAG, oci:DIR[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE[:NAME:TAG],
    /// docker-daemon:[NAME:TAG] or containers-storage:[NAME:TAG]
    #[arg(long, short, value_name = "DESTINATION")]
    output: Vec<String>,
    /// Give no tag and write no image, and show what would change
    #[arg(long)]
    dry_run: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What changed.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Report<'a> {
    image: &'a str,
    from: Digest,
    to: Digest,
    changed: bool,
    written: bool,
    platforms: Vec<Part<'a>>,
}

/// What changed in the image for one platform.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Part<'a> {
    platform: String,
    from: Digest,
    to: Digest,
    packages: &'a [Changed],
    layers: &'a [Replaced],
    dropped: &'a [String],
}

/// Runs the command.
pub(super) fn execute(arguments: &Arguments, session: &Session) -> Result<u8, Error> {
    let outputs: Vec<Destination> =
        arguments.output.iter().map(|text| text.parse().map_err(boxed)).collect::<Result<_, _>>()?;
    let config = config::of_environment(&session.environment).map_err(boxed)?;
    let context = pipeline::rootfs_context(session, &config)?;
    let tools = session.tools(&context.registry);
    let (old, reference) = publish::find_all(&arguments.image, &tools).map_err(boxed)?;
    let tag = arguments.tag.clone().or(reference);
    let tag = tag.ok_or_else(|| boxed(Failure::Untagged { image: arguments.image.clone() }))?;
    check(&old, &outputs)?;
    let created = session.environment.source_date_epoch().map_err(boxed)?;
    let rebased = old
        .images
        .iter()
        .map(|image| one(image, arguments, created, &context))
        .collect::<Result<Vec<Rebased>, Error>>()?;
    let images: Vec<Image> = rebased.iter().map(|rebased| rebased.image.clone()).collect();
    let new = if images == old.images {
        old.clone()
    } else {
        package::index_again(&old, images, &session.store).map_err(boxed)?
    };
    if !arguments.dry_run {
        let everywhere: Vec<Destination> = [Destination::Store].into_iter().chain(outputs).collect();
        pipeline::publish(&new, std::slice::from_ref(&tag), &everywhere, &tools)?;
    }
    let written = !arguments.dry_run;
    report(arguments, &old, &new, &rebased, written)?;
    session.reporter.info(&summary(&tag, &old, &rebased, written));
    Ok(ExitCode::Done as u8)
}

/// Before any work: what is asked for must be able to hold the image.
fn check(product: &Product, outputs: &[Destination]) -> Result<(), Error> {
    let platforms: Vec<String> = product.images.iter().map(|image| image.platform.to_string()).collect();
    let platforms: Vec<&str> = platforms.iter().map(String::as_str).collect();
    let layers = product.images.iter().flat_map(|image| &image.layers);
    let layers: Vec<&str> = layers.map(|layer| layer.media_type.as_str()).collect();
    outputs.iter().try_for_each(|output| output.holds(&platforms, &layers)).map_err(boxed)
}

fn one(
    image: &Image,
    arguments: &Arguments,
    created: Option<i64>,
    context: &rootfs::Context,
) -> Result<Rebased, Error> {
    rebase::rebase(image, &arguments.image, created, context).map_err(boxed)
}

fn report(
    arguments: &Arguments,
    old: &Product,
    new: &Product,
    rebased: &[Rebased],
    written: bool,
) -> Result<(), Error> {
    let (from, to) = (old.root.digest, new.root.digest);
    if !arguments.json {
        return print(table(old, new, rebased).as_bytes());
    }
    let parts = old.images.iter().zip(rebased).map(|(image, rebased)| Part {
        platform: image.platform.to_string(),
        from: image.manifest.digest,
        to: rebased.image.manifest.digest,
        packages: &rebased.packages,
        layers: &rebased.layers,
        dropped: &rebased.dropped,
    });
    print_json(&Report {
        image: &arguments.image,
        from,
        to,
        changed: from != to,
        written,
        platforms: parts.collect(),
    })
}

/// A line for each package, and one with the digests.
fn table(old: &Product, new: &Product, rebased: &[Rebased]) -> String {
    let mut text = String::new();
    for (image, rebased) in old.images.iter().zip(rebased) {
        let platform = if old.is_index() { format!("{}  ", image.platform) } else { String::new() };
        for changed in &rebased.packages {
            let Changed { name, from, to, layer, archive } = changed;
            let security = if archive == "security" { "  security" } else { "" };
            let _ = writeln!(text, "{platform}{name}  {from} → {to}  {layer}{security}");
        }
        for module in &rebased.dropped {
            let _ = writeln!(text, "{platform}{module}  left out: its source changed");
        }
    }
    let (from, to) = (old.root.digest, new.root.digest);
    let _ = if from == to {
        writeln!(text, "{from}  nothing changed")
    } else {
        writeln!(text, "{from} → {to}")
    };
    text
}

fn summary(tag: &Reference, old: &Product, rebased: &[Rebased], written: bool) -> String {
    let replaced: usize = rebased.iter().map(|rebased| rebased.layers.len()).sum();
    let layers: usize = old.images.iter().map(|image| image.layers.len()).sum();
    let state = match (replaced, written) {
        (0, _) => "nothing changed".to_owned(),
        (replaced, true) => format!("{replaced} of {layers} layers replaced"),
        (replaced, false) => format!("{replaced} of {layers} layers would be replaced"),
    };
    format!("{}  {state}", tag.familiar())
}
