//! The plan for people: what `rpack plan` prints.

use std::fmt::Write as _;

use super::Plan;

/// A rendering on a few dozen lines; not a format to parse.
pub fn explain(plan: &Plan) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write_plan(plan, &mut text);
    text
}

fn write_plan(plan: &Plan, text: &mut String) -> std::fmt::Result {
    writeln!(text, "{}  {} for {}\n", plan.name, plan.language, plan.platform)?;
    writeln!(text, "versions")?;
    for version in &plan.versions {
        writeln!(
            text,
            "  {:<8} {:<12} {} asks for {}, from {}",
            version.tool, version.version, version.origin, version.requested, version.source
        )?;
    }
    writeln!(text, "\nroots")?;
    for (name, root) in [("build", &plan.build_root), ("runtime", &plan.runtime_root)] {
        writeln!(text, "  {name:<8} {}, {} packages, {}", root.base, root.packages.len(), root.digest)?;
    }
    writeln!(text, "\nsteps")?;
    for step in &plan.steps {
        let network = if step.network { "  (network)" } else { "" };
        writeln!(text, "  {:<16} {}{network}", step.id, step.title)?;
    }
    writeln!(text, "\nlayers")?;
    for layer in &plan.layers {
        writeln!(text, "  {:<16} {}", layer.id, layer.comment)?;
    }
    let image = &plan.image;
    writeln!(text, "\nimage")?;
    writeln!(text, "  start    {}", image.entrypoint.join(" "))?;
    writeln!(text, "           from {}", image.start_origin)?;
    writeln!(text, "  user     {}", image.user)?;
    let ports: Vec<String> = image.ports.iter().map(u16::to_string).collect();
    writeln!(text, "  ports    {}", ports.join(", "))?;
    for variable in &image.env {
        writeln!(text, "  env      {variable}")?;
    }
    for notice in &plan.notices {
        let kind = if notice.warning { "warning" } else { "notice" };
        writeln!(text, "\n{kind}[{}]: {}", notice.id, notice.text)?;
    }
    Ok(())
}
