//! The page: a chart of all spans, and below it the same as a table with numbers.
//!
//! Everything is made here, so that the page needs no script and no other file. The template escapes every text.

use std::time::Duration;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior};
use serde::Serialize;

use super::{Report, shown};
use crate::ui::{Cache, Kind, Span, shorten, size};

/// The place of labels left of the bars, and the width of the bars, in pixels.
const LABELS: f64 = 300.0;
const BARS: f64 = 860.0;
/// Right of the bars, for the time of the last of them and the last number of the axis.
const MARGIN: f64 = 70.0;
/// The height of a row of the chart, and of the axis above them.
const ROW: f64 = 20.0;
const AXIS: f64 = 24.0;
/// What fits left of the bars.
const LABEL: usize = 44;
/// A bar that is too narrow to see is drawn this wide.
const NARROWEST: f64 = 1.5;
/// At most so many lines divide the axis.
const TICKS: u32 = 10;

/// What the template is filled with.
#[derive(Serialize)]
struct Page {
    version: &'static str,
    succeeded: bool,
    total: String,
    results: usize,
    hits: usize,
    downloaded: String,
    kept: String,
    width: String,
    height: String,
    ticks: Vec<Tick>,
    rows: Vec<Row>,
}

/// A line across the chart.
#[derive(Serialize)]
struct Tick {
    x: String,
    time: String,
}

/// A span.
#[derive(Serialize)]
struct Row {
    label: String,
    short: String,
    depth: usize,
    kind: Kind,
    /// Which colour it has.
    class: &'static str,
    indent: String,
    y: String,
    text_y: String,
    x: String,
    width: String,
    time_x: String,
    start: String,
    time: String,
    share: String,
    bytes: String,
    cache: &'static str,
    outcome: String,
}

/// Writes the page.
pub(super) fn page(report: &Report) -> String {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    let mut syntax = SyntaxConfig::builder();
    syntax.trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true);
    environment.set_syntax(syntax.build().expect("its marks are the usual ones"));
    // Its ending turns escaping on.
    environment.add_template("page.html", include_str!("page.html")).expect("the template is tested");
    let template = environment.get_template("page.html").expect("it was added above");
    template.render(Serde(Page::of(report))).expect("the template is tested with every kind of row")
}

impl Page {
    fn of(report: &Report) -> Self {
        let (spans, end) = (&report.record.spans, report.record.end);
        let rows: Vec<Row> = spans
            .iter()
            .zip(report.depths())
            .scan(AXIS, |y, (span, depth)| {
                let row = Row::of(span, depth, *y, end);
                *y += ROW;
                Some(row)
            })
            .collect();
        let count = |wanted: &dyn Fn(&Span) -> bool| spans.iter().filter(|span| wanted(span)).count();
        let bytes = |cache: Cache| {
            spans
                .iter()
                .filter(|span| span.cache == Some(cache))
                .filter_map(|span| span.bytes)
                .fold(0, u64::saturating_add)
        };
        let is_result = |span: &Span| span.kind == Kind::Task && span.cache.is_some();
        Self {
            version: env!("CARGO_PKG_VERSION"),
            succeeded: report.succeeded,
            total: shown(end),
            results: count(&is_result),
            hits: count(&|span| is_result(span) && span.cache == Some(Cache::Hit)),
            downloaded: size(bytes(Cache::Miss)),
            kept: size(bytes(Cache::Hit)),
            width: pixels(LABELS + BARS + MARGIN),
            height: pixels(rows.iter().fold(AXIS, |height, _| height + ROW)),
            ticks: ticks(end),
            rows,
        }
    }
}

impl Row {
    fn of(span: &Span, depth: usize, y: f64, total: Duration) -> Self {
        let time = span.end.saturating_sub(span.start);
        let x = LABELS + share(span.start, total) * BARS;
        let width = (share(time, total) * BARS).max(NARROWEST);
        let indent = f64::from(u8::try_from(depth.min(8)).expect("it is at most 8")) * 12.0;
        Self {
            label: span.label.clone(),
            short: shorten(&span.label, LABEL.saturating_sub(2 * depth.min(8))),
            depth,
            kind: span.kind,
            class: class(span),
            indent: pixels(indent),
            y: pixels(y + 2.0),
            text_y: pixels(y + 14.0),
            x: pixels(x),
            width: pixels(width),
            time_x: pixels(x + width + 4.0),
            start: shown(span.start),
            time: shown(time),
            share: format!("{:.1} %", share(time, total) * 100.0),
            bytes: span.bytes.map(size).unwrap_or_default(),
            cache: match span.cache {
                Some(Cache::Hit) => "hit",
                Some(Cache::Miss) => "miss",
                None => "",
            },
            outcome: match &span.outcome {
                Some(outcome) => outcome.clone(),
                None if span.finished => String::new(),
                None => "not finished".to_owned(),
            },
        }
    }
}

fn class(span: &Span) -> &'static str {
    match (span.finished, span.cache, span.kind) {
        (false, ..) => "unfinished",
        (true, Some(Cache::Hit), _) => "hit",
        (true, _, Kind::Download) => "download",
        (true, _, Kind::Stage) => "stage",
        (true, _, Kind::Task) => "task",
    }
}

/// How much of `total` this is, from 0 to 1.
fn share(time: Duration, total: Duration) -> f64 {
    if total.is_zero() { 0.0 } else { time.as_secs_f64() / total.as_secs_f64() }
}

/// Lines at round times: 1, 2 or 5 with noughts behind, in nanoseconds.
fn ticks(total: Duration) -> Vec<Tick> {
    let mut steps = (0..10).flat_map(|power| [1, 2, 5].map(|digit| digit * 10_u64.pow(power + 3)));
    let step = steps.find(|step| Duration::from_nanos(*step) * TICKS >= total);
    let step = Duration::from_nanos(step.unwrap_or(5_000_000_000_000));
    (0..=TICKS)
        .map(|count| step * count)
        .take_while(|time| *time <= total)
        .map(|time| Tick { x: pixels(LABELS + share(time, total) * BARS), time: shown(time) })
        .collect()
}

fn pixels(number: f64) -> String {
    format!("{number:.1}")
}
