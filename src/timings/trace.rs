//! The trace: spans as complete events, for Perfetto and `chrome://tracing`.
//!
//! Viewers draw what lies within another event of its lane below that event. So each lane is a stack: a span stands in
//! the lane of its parent, or in another one when a sibling still runs there.

use serde::Serialize;
use serde_json::{Value, json};

use super::Report;
use crate::ui::{Cache, Span};

/// There is one process, and its number on this machine says nothing.
const PROCESS: u32 = 1;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Trace {
    display_time_unit: &'static str,
    other_data: Value,
    #[serde(rename = "traceEvents")]
    events: Vec<Value>,
}

#[derive(Serialize)]
struct Arguments<'a> {
    finished: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache: Option<Cache>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
}

/// Writes the trace.
pub(super) fn trace(report: &Report) -> String {
    let spans = &report.record.spans;
    let lanes = lanes(spans);
    let mut events = vec![named("process_name", 0, "rpack build")];
    for lane in 0..lanes.iter().max().map_or(0, |last| last + 1) {
        let name = if lane == 0 { "main".to_owned() } else { format!("parallel {lane}") };
        events.push(named("thread_name", lane, &name));
    }
    events.extend(spans.iter().zip(lanes).map(|(span, lane)| event(span, lane)));
    let trace = Trace {
        display_time_unit: "ms",
        other_data: json!({
            "rpack": env!("CARGO_PKG_VERSION"),
            "succeeded": report.succeeded,
            "duration": report.record.end.as_micros(),
        }),
        events,
    };
    let mut text = serde_json::to_string_pretty(&trace).expect("texts and numbers always serialise");
    text.push('\n');
    text
}

fn named(what: &str, lane: usize, name: &str) -> Value {
    json!({ "name": what, "ph": "M", "pid": PROCESS, "tid": lane, "args": { "name": name } })
}

fn event(span: &Span, lane: usize) -> Value {
    // Both ends are cut to microseconds, so that what lies within another still does.
    let (start, end) = (span.start.as_micros(), span.end.as_micros());
    let arguments = Arguments {
        finished: span.finished,
        outcome: span.outcome.as_deref(),
        cache: span.cache,
        bytes: span.bytes,
    };
    json!({
        "name": span.label,
        "cat": span.kind,
        "ph": "X",
        "ts": start,
        "dur": end - start,
        "pid": PROCESS,
        "tid": lane,
        "args": arguments,
    })
}

/// The lane of each span.
fn lanes(spans: &[Span]) -> Vec<usize> {
    let mut stacks: Vec<Vec<usize>> = Vec::new();
    let mut lanes: Vec<usize> = Vec::new();
    for (index, span) in spans.iter().enumerate() {
        let first = span.parent.map_or(0, |parent| lanes[parent]);
        let is_free = |stack: &mut Vec<usize>| {
            while stack.last().is_some_and(|top| Some(*top) != span.parent && spans[*top].end <= span.start) {
                stack.pop();
            }
            stack.last().is_none_or(|top| Some(*top) == span.parent && span.end <= spans[*top].end)
        };
        let free = stacks.iter_mut().skip(first).position(is_free).map(|place| first + place);
        let lane = free.unwrap_or(stacks.len());
        if lane == stacks.len() {
            stacks.push(Vec::new());
        }
        stacks[lane].push(index);
        lanes.push(lane);
    }
    lanes
}
