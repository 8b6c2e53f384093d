//! Draws one strategy: its requests, what remained, and when requests leave if it holds them.

use std::time::Duration;

use super::{
    arrivals::{RATE, SPAN, windows},
    course::Course,
    plot::{Plot, minutes},
    strategies::Subject,
    svg::Svg,
};

const PLOT: Plot = Plot { left: 92.0, column: 9.8 };
const LEFT: f64 = 20.0;
const LABELS: f64 = PLOT.left - 12.0;
const HEADING: f64 = 31.0;
const REQUESTS: f64 = 152.0;
const GAUGE: (f64, f64) = (182.0, 242.0);
/// The bottom of the last row, for a strategy that holds requests.
const DEPARTURES: f64 = 274.0;
/// The height below the last row.
const FOOT: f64 = 32.0;

pub(super) fn draw(subject: &Subject, course: &Course) -> String {
    let mut svg = Svg::default();
    svg.text("heading", (LEFT, HEADING), format_args!("{} at {RATE}", subject.heading));
    PLOT.legend(&mut svg, HEADING);

    let bottom = if course.longest_delay().is_some() { DEPARTURES } else { GAUGE.1 };
    PLOT.windows(&mut svg, REQUESTS - PLOT.stack(), bottom);
    svg.text("end", (LABELS, REQUESTS - 2.0), "requests");
    PLOT.requests(&mut svg, course, REQUESTS);
    gauge(&mut svg, subject, course);
    if course.longest_delay().is_some() {
        svg.text("end", (LABELS, DEPARTURES - 2.0), "leave");
        PLOT.departures(&mut svg, course, DEPARTURES);
    }
    svg.finish(bottom + FOOT, format_args!("{} at {RATE}: what it admits over time", subject.heading), in_words(course))
}

/// Draws what remains as a step function.
fn gauge(svg: &mut Svg, subject: &Subject, course: &Course) {
    let (top, bottom) = GAUGE;
    let capacity = course.capacity();
    let shown = |remaining: u64| if subject.shows_level { capacity - remaining } else { remaining };
    let y = |remaining| bottom - (bottom - top) * shown(remaining) as f64 / capacity.max(1) as f64;

    let mut stairs = String::new();
    for &(at, remaining) in &course.remaining {
        let (x, y) = (PLOT.x(at), y(remaining));
        stairs += &if stairs.is_empty() { format!("M{x:.1} {y:.1}") } else { format!("H{x:.1}V{y:.1}") };
    }
    let (left, right) = (PLOT.left, PLOT.x(SPAN.end));
    svg.path("area", format_args!("{stairs}H{right:.1}V{bottom:.1}H{left:.1}z"));
    PLOT.axes(svg, top, bottom);
    svg.path("gauge", format_args!("{stairs}H{right:.1}"));

    svg.text("pale end", (LABELS, top + 4.0), capacity);
    svg.text("end", (LABELS, (top + bottom) / 2.0 + 4.0), if subject.shows_level { "level" } else { "remaining" });
    svg.text("pale end", (LABELS, bottom + 4.0), 0);
}

fn in_words(course: &Course) -> String {
    let counts = windows().map(|window| format!("{} up to {}", course.admitted_in(&window), minutes(window.end)));
    let held = course.longest_delay().map(|longest| format!(" They are held for up to {} seconds.", longest.as_secs()));
    format!(
        "Of {} requests {} are admitted: {}. At most {} of them come within 10 seconds.{}",
        course.requests.len(),
        course.admitted(),
        counts.collect::<Vec<_>>().join(", "),
        course.most_in(Duration::from_secs(10)),
        held.unwrap_or_default()
    )
}
