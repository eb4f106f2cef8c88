//! What the files say of a small build by a clock that stands still, and that nothing in a label is more than text.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

use super::{Format, Report};
use crate::ui::{Progress, Record, Reporter, Timeline};

/// A reporter by a clock of which each look takes `step`.
fn reporter(step: Duration) -> Reporter {
    let looks = AtomicU64::new(0);
    let clock = move || step * u32::try_from(looks.fetch_add(1, Ordering::Relaxed)).unwrap();
    Reporter::to(Progress::Quiet, false, std::io::sink()).with_timeline(Timeline::with_clock(clock))
}

/// A build with every kind of span, which fails in its last stage.
fn build(step: Duration) -> Record {
    let reporter = reporter(step);
    reporter.begin("unchanged").made("server.js changed");
    reporter
        .stage("steps", || {
            reporter.task("node/install  npm ci").found("unchanged");
            let task = reporter.task("node/build  npm run build");
            reporter.found("debian packages", 1_500_000);
            let transfer = reporter.transfer("debian packages", 12_000);
            transfer.advance(12_000);
            transfer.finish();
            task.made("0.3 s");
            Ok::<_, ()>(())
        })
        .unwrap();
    let failed = reporter.stage("layers", || {
        let first = Arc::new(Mutex::new(Some(reporter.task("layer base"))));
        let handle = Arc::clone(&first);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let second = reporter.task("layer app");
                // It ends while the other layer is being written.
                handle.lock().unwrap().take().unwrap().found("cached");
                drop(second);
            });
        });
        Err::<(), _>("no space")
    });
    assert_eq!(failed, Err("no space"));
    reporter.task("publish to oci:/home/alice/out").done("sha256:12");
    reporter.timeline().record()
}

fn report() -> Report {
    Report::new(build(Duration::from_millis(30)), false, Some(Path::new("/home/alice")))
}

#[test]
fn a_trace() {
    insta::assert_snapshot!(report().write(Format::Trace));
}

#[test]
fn a_page() {
    insta::assert_snapshot!(report().write(Format::Page));
}

#[test]
fn nothing_ran() {
    let record = Timeline::with_clock(|| Duration::ZERO).record();
    let report = Report::new(record, true, None);
    let trace: Value = serde_json::from_str(&report.write(Format::Trace)).unwrap();
    assert_eq!(trace["traceEvents"].as_array().unwrap().len(), 1);
    assert!(report.write(Format::Page).contains("<dt>time</dt><dd>0.0 ms</dd>"));
}

/// Whether the events of each lane lie beside or within each other.
fn nest(trace: &Value) -> bool {
    let number = |event: &Value, key: &str| event[key].as_u64().unwrap();
    let events: Vec<(u64, u64, u64)> = trace["traceEvents"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|event| event["ph"] == "X")
        .map(|event| {
            let start = number(event, "ts");
            (number(event, "tid"), start, start + number(event, "dur"))
        })
        .collect();
    events.iter().enumerate().all(|(index, (lane, start, end))| {
        events[..index].iter().filter(|other| other.0 == *lane).all(|(_, earlier_start, earlier_end)| {
            earlier_end <= start || (earlier_start <= start && end <= earlier_end)
        })
    })
}

#[test]
fn events_nest_whatever_runs_at_the_same_time() {
    // With 700 ns, several fall into one microsecond.
    for step in [0, 700, 1_000, 30_000] {
        let reporter = reporter(Duration::from_nanos(step));
        std::thread::scope(|scope| {
            let stage = reporter.begin("steps");
            for thread in 0..4 {
                let reporter = &reporter;
                scope.spawn(move || {
                    for task in 0..5 {
                        let outer = reporter.task(&format!("{thread} {task}"));
                        let inner = reporter.transfer("inner", 0);
                        if task % 2 == 0 {
                            outer.done("before what it began");
                            inner.finish();
                        } else {
                            inner.finish();
                            outer.done("after it");
                        }
                    }
                });
            }
            stage.done();
        });
        let report = Report::new(reporter.timeline().record(), true, None);
        let trace: Value = serde_json::from_str(&report.write(Format::Trace)).unwrap();
        assert!(nest(&trace), "{trace:#}");
    }
}

#[test]
fn labels_are_text() {
    let reporter = reporter(Duration::from_millis(1));
    let hostile = "a  </title><script>alert('1')</script> \" onload=\"x {{ 7 * 7 }}\u{1b}[31m &amp;\u{0}";
    reporter.task(hostile).done(hostile);
    reporter.task(&"long".repeat(1000)).done("");
    let report = Report::new(reporter.timeline().record(), true, None);
    let page = report.write(Format::Page);
    let escaped = "a  &lt;&#x2f;title&gt;&lt;script&gt;alert(&#x27;1&#x27;)&lt;&#x2f;script&gt; &quot; onload=&quot;x \
         {{ 7 * 7 }} &amp;amp;";
    // The hint, its outcome there, the label and the outcome in the table; the chart has the beginning of it.
    assert_eq!(page.matches(escaped).count(), 4, "{page}");
    assert_eq!(page.matches("<script").count(), 0);
    assert_eq!(page.matches(&"long".repeat(50)).count(), 0);
    let trace: Value = serde_json::from_str(&report.write(Format::Trace)).unwrap();
    assert_eq!(
        trace["traceEvents"][2]["name"],
        "a  </title><script>alert('1')</script> \" onload=\"x {{ 7 * 7 }} &amp;"
    );
}

#[test]
fn the_page_is_well_formed_and_asks_for_nothing() {
    let page = report().write(Format::Page);
    // The names of elements with an end, in XML and in HTML alike, but for `meta`.
    let closed = page.replace("<!DOCTYPE html>\n", "").lines().fold(String::new(), |mut text, line| {
        let line = if line.starts_with("<meta") { line.replace("\">", "\"/>") } else { line.to_owned() };
        text.push_str(&line);
        text.push('\n');
        text
    });
    let document = roxmltree::Document::parse(&closed).unwrap();
    let asks = |attribute: &roxmltree::Attribute<'_, '_>| {
        ["src", "href", "srcset", "action", "data"].contains(&attribute.name())
            || attribute.name().starts_with("on")
    };
    let asking: Vec<_> = document.descendants().flat_map(|node| node.attributes()).filter(asks).collect();
    assert_eq!(asking.len(), 0, "{asking:?}");
    let rows = document.descendants().filter(|node| node.has_tag_name("tr")).count();
    let bars = document.descendants().filter(|node| node.has_tag_name("rect")).count();
    assert_eq!((rows, bars), (11, 10));
}
