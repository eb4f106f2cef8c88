//! Bars and spinners on a terminal.
//!
//! A running task is one line with its elapsed time, and below it, dimmed, the last lines that its step printed.
//! Lines that stay are printed above all bars. A bar goes away when it is dropped.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::terminal::{Style, paint, shorten, width};

/// How many lines of a running step are shown below it.
const OUTPUT_LINES: usize = 4;

/// All bars of the terminal at stderr.
#[derive(Debug)]
pub(super) struct Live {
    bars: MultiProgress,
    colour: bool,
    running: Arc<Mutex<Vec<(String, ProgressBar)>>>,
}

/// One bar.
#[derive(Debug)]
pub(super) struct Bar {
    bar: ProgressBar,
    running: Arc<Mutex<Vec<(String, ProgressBar)>>>,
}

impl Live {
    pub(super) fn stderr(colour: bool) -> Self {
        Self::new(ProgressDrawTarget::stderr(), colour)
    }

    fn new(target: ProgressDrawTarget, colour: bool) -> Self {
        Self { bars: MultiProgress::with_draw_target(target), colour, running: Arc::default() }
    }

    /// A spinner.
    pub(super) fn task(&self, label: &str) -> Bar {
        let bar = self.add(label, ProgressBar::no_length(), "{spinner} {prefix}  {elapsed}{msg}");
        self.running.lock().unwrap_or_else(PoisonError::into_inner).push((label.to_owned(), bar.bar.clone()));
        bar
    }

    /// A bar over bytes, or a spinner with a count when `total` is 0.
    pub(super) fn transfer(&self, label: &str, total: u64) -> Bar {
        if total == 0 {
            let template = "{spinner} {prefix}  {decimal_bytes}  {decimal_bytes_per_sec}";
            return self.add(label, ProgressBar::no_length(), template);
        }
        let template =
            "{spinner} {prefix}  [{bar:24}] {decimal_bytes}/{decimal_total_bytes}  {decimal_bytes_per_sec}";
        self.add(label, ProgressBar::new(total), template)
    }

    fn add(&self, label: &str, bar: ProgressBar, template: &str) -> Bar {
        let style = ProgressStyle::with_template(template)
            .expect("the templates above are valid")
            .tick_chars("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ ")
            .progress_chars("=> ");
        let bar = self.bars.add(bar.with_style(style).with_prefix(label.to_owned()));
        bar.enable_steady_tick(Duration::from_millis(100));
        Bar { bar, running: Arc::clone(&self.running) }
    }

    /// Shows the end of `tail` below the task of `step`: the one whose label is the step's id, alone or followed
    /// by more words. False when no such task runs.
    pub(super) fn output(&self, step: &str, tail: &VecDeque<String>) -> bool {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let belongs = |label: &str| {
            label
                .strip_prefix(step)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace))
        };
        let Some((_, bar)) = running.iter().rev().find(|(label, _)| belongs(label)) else {
            return false;
        };
        let room = width().saturating_sub(5);
        let mut message = String::new();
        for line in tail.iter().skip(tail.len().saturating_sub(OUTPUT_LINES)) {
            // Writing to a String cannot fail.
            let _ = write!(message, "\n    {}", paint(Style::Dim, &shorten(line, room), self.colour));
        }
        bar.set_message(message);
        true
    }

    /// Prints a line that stays.
    pub(super) fn line(&self, text: &str) {
        let _ = self.bars.println(text);
    }
}

impl Bar {
    pub(super) fn advance(&self, bytes: u64) {
        self.bar.inc(bytes);
    }

    pub(super) fn retract(&self, bytes: u64) {
        self.bar.dec(bytes);
    }

    pub(super) fn expect(&self, bytes: u64) {
        self.bar.set_length(bytes);
    }

    pub(super) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.retain(|(label, bar)| *label != self.bar.prefix() || !bar.is_finished());
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use indicatif::ProgressDrawTarget;

    use super::Live;

    #[test]
    fn output_goes_below_the_task_of_its_step_while_it_runs() {
        let live = Live::new(ProgressDrawTarget::hidden(), false);
        let task = live.task("node/install  npm ci");
        let other = live.task("node/install-tools  npm ci");
        let tail: VecDeque<String> = ["1", "2", "3", "4", "5"].map(str::to_owned).into();
        assert!(live.output("node/install", &tail));
        assert_eq!(task.bar.message(), "\n    2\n    3\n    4\n    5");
        assert_eq!(other.bar.message(), "");
        drop(task);
        assert!(!live.output("node/install", &tail));
        assert!(live.output("node/install-tools", &tail));
    }
}
