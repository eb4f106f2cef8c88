//! The plan for people: what `rpack plan` prints without `--json`.

use std::fmt::Write as _;

use super::model::{Contents, Image, Plan, Process, Root, Statement, Step, Verdict};
use crate::ui::columns::{quoted, section, table};

/// Renders the plan as text, with a line end behind every line.
pub fn explain(plan: &Plan) -> String {
    let mut text = format!("{}  {} for {}\n", plan.name, plan.language, plan.platform);
    if plan.platform != plan.build_platform {
        let _ = writeln!(text, "steps run on {}", plan.build_platform);
    }
    section(&mut text, "versions", versions(plan));
    section(&mut text, "roots", vec![root("build", &plan.build_root), root("runtime", &plan.runtime_root)]);
    section(&mut text, "steps", table(&plan.steps.iter().map(step).collect::<Vec<_>>()));
    section(
        &mut text,
        "layers",
        table(
            &plan
                .layers
                .iter()
                .map(|layer| layer_row(&layer.id, &layer.comment, &layer.contents))
                .collect::<Vec<_>>(),
        ),
    );
    let alternatives = plan.alternatives.iter().flat_map(|one| {
        let mut lines =
            vec![format!("{} if the build makes {}", one.outcome.title, one.outcome.files.join(", "))];
        lines.extend(start(&one.image).into_iter().map(|line| format!("  {line}")));
        lines
    });
    let own = start(&plan.image);
    let own = match &plan.outcome {
        Some(outcome) if outcome.files.is_empty() => indented("otherwise", own),
        Some(outcome) => {
            indented(&format!("{} if the build makes {}", outcome.title, outcome.files.join(", ")), own)
        }
        None => own,
    };
    section(&mut text, "start", alternatives.chain(own).collect());
    section(&mut text, "processes", processes(&plan.image));
    let notices = plan.notices.iter().map(|notice| {
        let kind = if notice.warning { "warning" } else { "note" };
        format!("{kind}[{}]: {}", notice.id, notice.text)
    });
    section(&mut text, "notices", notices.collect());
    text
}

/// A line for each tool, and below it who asked for what.
fn versions(plan: &Plan) -> Vec<String> {
    let heads = plan.versions.iter().map(|version| {
        vec![format!("{} {}", version.tool, version.version), version.source.clone(), version.line.clone()]
    });
    let heads = table(&heads.collect::<Vec<_>>());
    let mut lines = Vec::new();
    for (version, head) in plan.versions.iter().zip(heads) {
        lines.push(head);
        let rows: Vec<Vec<String>> = version.statements.iter().map(statement).collect();
        lines.extend(table(&rows).into_iter().map(|row| format!("  {row}")));
        if version.candidates.len() > 1 {
            lines.push(format!("  candidates: {}", version.candidates.join(", ")));
        }
    }
    lines
}

fn statement(statement: &Statement) -> Vec<String> {
    let verdict = match statement.verdict {
        Verdict::Decides => "decides",
        Verdict::Admits => "fits as well",
        Verdict::Refuses => "does not fit",
        Verdict::Unused => "not used",
    };
    vec![statement.origin.clone(), statement.value.clone(), verdict.to_owned()]
}

fn root(name: &str, root: &Root) -> String {
    #[expect(clippy::cast_precision_loss, reason = "a size for people, with one decimal")]
    let megabytes = root.packages.iter().map(|package| package.size).sum::<u64>() as f64 / 1e6;
    let image = root
        .image
        .as_ref()
        .map_or_else(String::new, |image| format!(", on {} ({})", image.reference, image.digest));
    format!(
        "{name:<7}  {} {}, {} Debian packages, {megabytes:.1} MB to fetch{image}",
        root.base,
        root.architecture,
        root.packages.len()
    )
}

fn step(step: &Step) -> Vec<String> {
    let network = if step.network { "network" } else { "" };
    vec![step.id.clone(), step.title.clone(), network.to_owned()]
}

fn layer_row(id: &str, comment: &str, contents: &[Contents]) -> Vec<String> {
    let parts = contents.iter().map(|part| match part {
        Contents::RuntimeRoot {} => "packages".to_owned(),
        Contents::Toolchain { name, .. } => format!("toolchain {name}"),
        Contents::Work { include, .. } if include.len() > 2 => format!("{} patterns", include.len()),
        Contents::Work { include, .. } => include.join(" "),
        Contents::Init {} => "rpack-init".to_owned(),
        Contents::Site(site) => format!("site in {}", site.roots.join(" or ")),
        Contents::SiteServer {} => "rpack-site".to_owned(),
        Contents::Files { files, links } => {
            files.keys().chain(links.keys()).cloned().collect::<Vec<_>>().join(" ")
        }
    });
    vec![id.to_owned(), comment.to_owned(), parts.collect::<Vec<_>>().join(", ")]
}

/// The processes besides the one that is started.
fn processes(image: &Image) -> Vec<String> {
    let others = image.processes.iter().filter(|(_, process)| process.argv != image.entrypoint);
    let row = |(name, process): (&String, &Process)| {
        let argv: Vec<String> = process.argv.iter().map(|word| quoted(word)).collect();
        vec![name.clone(), argv.join(" "), format!("({})", process.origin)]
    };
    table(&others.map(row).collect::<Vec<_>>())
}

fn indented(title: &str, lines: Vec<String>) -> Vec<String> {
    let lines = lines.into_iter().map(|line| format!("  {line}"));
    std::iter::once(title.to_owned()).chain(lines).collect()
}

fn start(image: &Image) -> Vec<String> {
    let ports: Vec<String> = image.ports.iter().map(u16::to_string).collect();
    let command: Vec<String> = image.entrypoint.iter().chain(&image.cmd).map(|word| quoted(word)).collect();
    let mut lines = vec![
        format!("{}  ({})", command.join(" "), image.start_origin),
        format!("in {} as {}, port {}", image.working_directory, image.user, ports.join(", ")),
    ];
    lines.extend(
        image.writable.iter().map(|place| format!("may write to {}  ({})", place.path, place.origin)),
    );
    lines
}
