//! What each style writes, completely.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use super::terminal::printable;
use super::{Progress, Reporter, TAIL_LINES};
use crate::store;

/// What a reporter has written.
#[derive(Clone, Default)]
pub(crate) struct Written(Arc<Mutex<Vec<u8>>>);

impl Written {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Everything that a small build says, in the given style.
fn session(progress: Progress, colour: bool) -> String {
    let written = Written::default();
    let reporter = Reporter::to(progress, colour, written.clone());
    reporter.info("rpack 0.1.0");
    reporter.detail("nobody asked for details");
    reporter.warn("plan/eol", "node 18 gets no fixes", Some("use node 24"));
    let transfer = reporter.transfer("debian packages", 12_345_678);
    transfer.clone().advance(12_000_000);
    transfer.advance(345_678);
    transfer.finish();
    let task = reporter.task("node/install  npm ci");
    reporter.output("node/install", "\u{1b}[1madded 3 packages\u{1b}[0m");
    task.done("3.2 s");
    reporter.error(&store::Error::Damaged { path: "/s/index".into(), reason: "it is empty".to_owned() });
    written.text()
}

#[test]
fn plain_is_one_line_per_event() {
    assert_eq!(
        session(Progress::Plain, false),
        "rpack 0.1.0\n\
         warning[plan/eol]: node 18 gets no fixes\n\
         hint: use node 24\n\
         debian packages  (12.3 MB)\n\
         debian packages  12.3 MB\n\
         node/install  npm ci\n  \
         node/install | added 3 packages\n\
         node/install  npm ci  3.2 s\n\
         error[store/damaged]: /s/index in the store is damaged: it is empty\n\
         \n\
         hint: remove it, it will be made again: `rm -r /s/index`\n"
    );
}

#[test]
fn json_is_one_object_per_event() {
    let written = session(Progress::Json, false);
    let (events, error) = written.trim_end().rsplit_once('\n').unwrap();
    assert_eq!(
        events,
        r#"{"event":"info","text":"rpack 0.1.0"}
{"event":"warning","id":"plan/eol","text":"node 18 gets no fixes","hint":"use node 24"}
{"event":"transfer","label":"debian packages","total":12345678}
{"event":"transfer-done","label":"debian packages","bytes":12345678}
{"event":"task","label":"node/install  npm ci"}
{"event":"output","step":"node/install","line":"added 3 packages"}
{"event":"task-done","label":"node/install  npm ci","outcome":"3.2 s"}"#
    );
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(error).unwrap(),
        serde_json::json!({
            "event": "error",
            "id": "store/damaged",
            "exit": 1,
            "message": "/s/index in the store is damaged: it is empty",
            "location": null,
            "detail": null,
            "causes": [],
            "hints": ["remove it, it will be made again: `rm -r /s/index`"],
        })
    );
}

#[test]
fn details_are_for_those_who_ask() {
    let written = |progress| {
        let written = Written::default();
        let reporter = Reporter::to(progress, false, written.clone()).with_details(true);
        assert_eq!(reporter.is_verbose(), progress != Progress::Quiet);
        reporter.detail("node/install  runs: never built here");
        written.text()
    };
    assert_eq!(written(Progress::Plain), "node/install  runs: never built here\n");
    assert_eq!(
        written(Progress::Json),
        "{\"event\":\"detail\",\"text\":\"node/install  runs: never built here\"}\n"
    );
    assert_eq!(written(Progress::Quiet), "");
}

#[test]
fn quiet_shows_errors_only() {
    assert_eq!(
        session(Progress::Quiet, false),
        "error[store/damaged]: /s/index in the store is damaged: it is empty\n\
         \n\
         hint: remove it, it will be made again: `rm -r /s/index`\n"
    );
}

#[test]
fn colour_adds_only_escape_sequences() {
    let coloured = session(Progress::Plain, true);
    assert!(coloured.contains("\u{1b}[1;33mwarning[plan/eol]\u{1b}[0m: node 18 gets no fixes\n"));
    let stripped: Vec<String> = coloured.lines().map(printable).collect();
    assert_eq!(stripped, session(Progress::Plain, false).lines().collect::<Vec<_>>());
}

#[test]
fn the_last_lines_of_a_step_are_kept_even_when_quiet() {
    let reporter = Reporter::new(Progress::Quiet);
    for line in 0..TAIL_LINES + 2 {
        reporter.output("a", &format!("line {line}"));
    }
    reporter.output("b", "other");
    let tail = reporter.tail("a");
    assert_eq!((tail.len(), tail[0].as_str(), tail[TAIL_LINES - 1].as_str()), (100, "line 2", "line 101"));
    assert_eq!(reporter.tail("b"), ["other"]);
    assert_eq!(reporter.tail("c"), Vec::<String>::new());
}

#[test]
fn the_style_follows_flags_then_the_terminal_then_ci() {
    let style = |flag, quiet, terminal, variables: &[(&str, &str)]| {
        let reporter = Reporter::auto(flag, quiet, terminal, &variables.iter().copied().collect());
        (reporter.progress(), reporter.colour())
    };
    let none: &[(&str, &str)] = &[];
    assert_eq!(style(None, false, true, none), (Progress::Tty, true));
    assert_eq!(style(None, false, false, none), (Progress::Plain, false));
    assert_eq!(style(None, false, true, &[("NO_COLOR", "1")]), (Progress::Tty, false));
    assert_eq!(style(None, false, true, &[("CI", "true")]), (Progress::Plain, true));
    assert_eq!(style(None, false, true, &[("TERM", "dumb")]), (Progress::Plain, false));
    assert_eq!(style(Some(Progress::Json), false, true, none), (Progress::Json, true));
    assert_eq!(style(Some(Progress::Json), true, true, none), (Progress::Quiet, true));
}
