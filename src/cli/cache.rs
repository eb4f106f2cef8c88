//! `rpack cache`

use std::fmt::Write as _;

use clap::{Args, Subcommand};

use super::{Failure, boxed, print, print_json};
use crate::cache::{self, Entry, Explained, Freed, Listing};
use crate::pipeline::{Error, Session};
use crate::store;
use crate::ui::{ExitCode, size};

/// The variable that `--max-size` falls back on.
const VARIABLE: &str = "RPACK_CACHE_MAX_SIZE";

/// Look into the store and keep it small
#[derive(Args, Debug)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Ls(Ls),
    Explain(Explain),
    Prune(Prune),
}

/// List what is in the store
///
/// By kind, the last used first: downloads and layers (blobs), unpacked packages and roots (trees), results of steps,
/// package managers' caches, images, metadata. Files with several names are counted once in sums.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  rpack cache ls        everything
  rpack cache ls steps  results of steps only")]
struct Ls {
    /// Only this kind: blobs, trees, steps, caches, images, metadata
    #[arg(value_name = "KIND")]
    kind: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Say what an entry is, what it was made of and who uses it
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  rpack cache explain 1f0c9e      the entry whose key begins so
  rpack cache explain steps/1f0c  among results of steps")]
struct Explain {
    /// The beginning of a key, or an image's tag
    #[arg(value_name = "KEY")]
    key: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Remove what nothing needs, and what was not used for longest
///
/// Always removes what interrupted builds and `rpack run` left behind and blobs of images that have no tag any more.
/// Beyond the size, the least recently used goes first. What a running rpack uses stays, and so do images with a tag.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  rpack cache prune --max-size 10GB  keep at most 10 GB
  rpack cache prune --all            remove everything that no running rpack uses")]
struct Prune {
    /// Keep at most this much, such as 500MB or 10GB [env: `RPACK_CACHE_MAX_SIZE`]
    #[arg(long, value_name = "SIZE")]
    max_size: Option<String>,
    /// Images with a tag may go as well; without a size, everything goes
    #[arg(long)]
    all: bool,
    /// Remove nothing, and say what would go
    #[arg(long)]
    dry_run: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(super) fn execute(arguments: &Arguments, session: &Session) -> Result<u8, Error> {
    match &arguments.command {
        Command::Ls(arguments) => ls(arguments, session)?,
        Command::Explain(arguments) => explain(arguments, session)?,
        Command::Prune(arguments) => prune(arguments, session)?,
    }
    Ok(ExitCode::Done as u8)
}

fn ls(arguments: &Ls, session: &Session) -> Result<(), Error> {
    let mut listing = cache::list(&session.store).map_err(boxed)?;
    if let Some(kind) = &arguments.kind {
        listing.entries.retain(|entry| entry.kind == *kind);
    }
    if arguments.json {
        return print_json(&listing.entries);
    }
    let mut text = table(&listing);
    text.retain(|character| character == '\n' || !character.is_control());
    print(text.as_bytes())
}

fn table(listing: &Listing) -> String {
    let mut text = String::new();
    for (kind, count) in listing.kinds() {
        let bytes = size(listing.size(|entry| entry.kind == kind));
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{kind}  {}, {bytes}", counted(count));
        for entry in listing.entries.iter().filter(|entry| entry.kind == kind) {
            let line = format!(
                "  {:22}{:>8}  {:>8}  {}",
                short(entry),
                size(entry.size),
                age(entry.used),
                entry.about
            );
            let _ = writeln!(text, "{}", line.trim_end());
        }
    }
    let _ = writeln!(text, "all  {}, {}", counted(listing.entries.len()), size(listing.size(|_| true)));
    text
}

fn counted(count: usize) -> String {
    if count == 1 { "1 entry".to_owned() } else { format!("{count} entries") }
}

/// A key without all of its digits: enough to name it.
fn short(entry: &Entry) -> String {
    let is_digest = |part: &str| part.len() == 64 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let part = |part: &str| {
        let name = part.strip_suffix(".json").unwrap_or(part);
        if is_digest(name) { name[..12].to_owned() } else { part.to_owned() }
    };
    let parts = entry.key.split('/').map(|parts| parts.split('-').map(part).collect::<Vec<_>>().join("-"));
    parts.collect::<Vec<_>>().join("/")
}

/// How long ago, in the largest unit.
fn age(time: i64) -> String {
    let seconds = (store::now() - time).max(0);
    match seconds {
        ..3600 => "now".to_owned(),
        3600..86_400 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

fn explain(arguments: &Explain, session: &Session) -> Result<(), Error> {
    let explained = cache::explain(&arguments.key, &session.store).map_err(boxed)?;
    if arguments.json {
        return print_json(&explained);
    }
    let Explained { entry, made_of, used_by } = &explained;
    let about = if entry.about.is_empty() { "unknown" } else { &entry.about };
    let mut text = format!("{about}\n");
    let size = format!("{} in {}", size(entry.size), files(entry.files));
    for (label, value) in
        [("key", format!("{}/{}", entry.kind, entry.key)), ("size", size), ("last use", age(entry.used))]
    {
        let _ = writeln!(text, "  {label:14}  {value}");
    }
    if !made_of.is_empty() {
        text.push_str("made of\n");
    }
    for (label, value) in made_of {
        let _ = writeln!(text, "  {label:14}  {value}");
    }
    if entry.kind != "images" {
        text.push_str(if used_by.is_empty() { "used by nothing that is known\n" } else { "used by\n" });
    }
    for user in used_by {
        let _ = writeln!(text, "  {user}");
    }
    // Names may come from another machine.
    text.retain(|character| character == '\n' || !character.is_control());
    print(text.as_bytes())
}

fn files(count: u64) -> String {
    if count == 1 { "1 file".to_owned() } else { format!("{count} files") }
}

fn prune(arguments: &Prune, session: &Session) -> Result<(), Error> {
    let from_variable = session.environment.get(VARIABLE);
    let max_size = match (&arguments.max_size, from_variable) {
        (Some(text), _) => Some(bytes("--max-size", text)?),
        (None, Some(text)) if !arguments.all => Some(bytes(VARIABLE, text)?),
        _ => None,
    };
    let options = cache::Options { max_size, images: arguments.all, dry_run: arguments.dry_run };
    let freed = cache::prune(&options, &session.store).map_err(boxed)?;
    if arguments.json {
        return print_json(&freed);
    }
    print(report(&freed, arguments.dry_run).as_bytes())
}

fn report(freed: &Freed, dry_run: bool) -> String {
    let mut text = String::new();
    for (kind, count) in &freed.removed {
        let _ =
            writeln!(text, "{kind}  {} {}", counted(*count), if dry_run { "would go" } else { "removed" });
    }
    if freed.in_use > 0 {
        let _ = writeln!(text, "{} in use stay", counted(freed.in_use));
    }
    let verb = if dry_run { "would be freed" } else { "freed" };
    let _ = writeln!(text, "{} {verb}, {} left", size(freed.freed), size(freed.left));
    text
}

/// A size as people write it, in powers of 1000.
fn bytes(flag: &'static str, text: &str) -> Result<u64, Error> {
    let end =
        text.find(|character: char| !character.is_ascii_digit() && character != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let factor = match unit.trim().to_ascii_uppercase().as_str() {
        "" | "B" => Some(1_u64),
        "K" | "KB" => Some(1000),
        "M" | "MB" => Some(1_000_000),
        "G" | "GB" => Some(1_000_000_000),
        "T" | "TB" => Some(1_000_000_000_000),
        _ => None,
    };
    let (whole, rest) = number.split_once('.').unwrap_or((number, ""));
    let value = || {
        let factor = factor?;
        let thousandths = format!("{rest:0<3}").get(..3)?.parse::<u64>().ok()?;
        whole.parse::<u64>().ok()?.checked_mul(factor)?.checked_add(factor.checked_mul(thousandths)? / 1000)
    };
    value().ok_or_else(|| {
        boxed(Failure::Argument {
            flag,
            value: text.to_owned(),
            expected: "it takes a number with a unit, such as `500MB` or `10GB`",
        })
    })
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn sizes_have_units() {
        for (text, expected) in [
            ("0", Some(0)),
            ("10GB", Some(10_000_000_000)),
            ("1.5 g", Some(1_500_000_000)),
            ("500MB", Some(500_000_000)),
            ("2k", Some(2000)),
            ("GB", None),
            ("-1GB", None),
            ("10GiB", None),
            ("99999999999TB", None),
        ] {
            assert_eq!(bytes("--max-size", text).ok(), expected, "{text}");
        }
    }
}
