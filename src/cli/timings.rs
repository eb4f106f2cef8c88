//! `--timings`: a file that shows where the time went.

use std::path::{Path, PathBuf};
use std::{fs, io};

use clap::Args;

use super::{Failure, boxed};
use crate::pipeline::{Error, Session};
use crate::source::Source;
use crate::timings::{Format, Report};
use crate::ui::Reporter;

/// Where to write what took how long.
#[derive(Args, Debug)]
pub(super) struct TimingsArguments {
    /// Write where the time went, also of a build that fails: a page (.html), or a trace for Perfetto (.json)
    #[arg(long = "timings", value_name = "FILE")]
    file: Option<PathBuf>,
}

impl TimingsArguments {
    /// Does the work of a command, and writes the file whatever becomes of it.
    pub(super) fn of(
        &self,
        session: &Session,
        work: impl FnOnce() -> Result<u8, Error>,
    ) -> Result<u8, Error> {
        let Some(file) = &self.file else { return work() };
        // Before any work: a typo must not be found after the build.
        let format = format(file)?;
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let is_folder = fs::metadata(folder)
            .and_then(|found| if found.is_dir() { Ok(()) } else { Err(io::ErrorKind::NotADirectory.into()) });
        is_folder.map_err(|source| boxed(Failure::Write { path: file.clone(), source }))?;
        let result = work();
        let record = session.reporter.timeline().record();
        let report = Report::new(record, result.is_ok(), session.environment.home());
        if let Err(error) = fs::write(file, report.write(format)) {
            // What was asked for is done, or has failed for a reason that matters more.
            let text = format!("cannot write {}: {error}", file.display());
            session.reporter.warn("timings/write", &text, None);
        }
        result
    }

    /// Warns when the file is a part of the source: it differs each time, and the image would with it.
    pub(super) fn look_for(&self, source: &Source, reporter: &Reporter) {
        if let Some(file) = &self.file {
            warn_of("timings/in-source", file, source, reporter);
        }
    }
}

/// Warns when `file`, which each run writes anew, is a part of the source.
pub(super) fn warn_of(id: &str, file: &Path, source: &Source, reporter: &Reporter) {
    let Ok(path) = file.canonicalize() else { return };
    let Some(relative) = path.strip_prefix(&source.root).ok().and_then(Path::to_str) else { return };
    if source.tree.get(relative).is_some() {
        let text = format!("`{relative}` is a part of the source, so that no two images are alike");
        let hint = format!(
            "write it elsewhere, or leave it out, in `rpack.toml`: `source.exclude = [\"/{relative}\"]`"
        );
        reporter.warn(id, &text, Some(&hint));
    }
}

fn format(file: &Path) -> Result<Format, Error> {
    Format::of(file).ok_or_else(|| {
        boxed(Failure::Argument {
            flag: "--timings",
            value: file.display().to_string(),
            expected: "it takes a file whose name ends in `.html` (a page) or `.json` (a trace)",
        })
    })
}
