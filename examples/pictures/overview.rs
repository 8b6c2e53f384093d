//! Draws one row per strategy, below the requests.

use std::time::Duration;

use super::{
    arrivals::{PHASES, RATE, SPAN},
    course::Course,
    plot::Plot,
    strategies::Subject,
    svg::{Svg, WIDTH},
};

const PLOT: Plot = Plot { left: 160.0, column: 6.8 };
const LEFT: f64 = 20.0;
const HEADING: f64 = 31.0;
const TOP: f64 = 48.0;
/// The height of a row: the highest stack of dots, and a line of text below.
const ROW: f64 = 92.0;
const FOOT: f64 = 18.0;

/// The columns at the right: the admitted requests, in all and the most within a time.
const NUMBERS: [(f64, &str, Duration); 3] = [
    (WIDTH - 110.0, "in all", SPAN.end),
    (WIDTH - 64.0, "in 60 s", Duration::from_secs(60)),
    (WIDTH - LEFT, "in 10 s", Duration::from_secs(10)),
];

pub(super) fn draw(courses: &[(Subject, Course)]) -> String {
    let mut svg = Svg::default();
    svg.text("heading", (LEFT, HEADING), format_args!("The same requests under each strategy, at {RATE}"));
    PLOT.legend(&mut svg, HEADING);

    let row = |i: usize| TOP + ROW * i as f64;
    let bottom = row(courses.len() + 1) + 4.0;
    PLOT.windows(&mut svg, TOP, bottom);
    if let Some((_, course)) = courses.first() {
        asked(&mut svg, course, row(1) - FOOT);
    }
    for (i, (subject, course)) in courses.iter().enumerate() {
        answered(&mut svg, subject, course, row(i + 2) - FOOT);
    }

    let counts = courses.iter().map(|(subject, course)| format!("{} {}", subject.heading, course.admitted()));
    let counts: Vec<_> = counts.collect();
    svg.finish(
        bottom + 30.0,
        format_args!("The same requests under each strategy, at {RATE}"),
        format_args!("Admitted in all: {}.", counts.join("; ")),
    )
}

/// Draws the requests, their phases, and the headings of the numbers.
fn asked(svg: &mut Svg, course: &Course, foot: f64) {
    svg.text("name", (LEFT, foot - 6.0), format_args!("{} requests", course.requests.len()));
    PLOT.arrivals(svg, course, foot);
    for phase in &PHASES {
        svg.text("pale middle", (PLOT.x(phase.middle()), foot + 13.0), phase.label);
    }
    for ((x, of, _), above) in NUMBERS.into_iter().zip(["admitted", "at most", "at most"]) {
        svg.text("pale end", (x, foot - 20.0), above);
        svg.text("pale end", (x, foot - 6.0), of);
    }
}

fn answered(svg: &mut Svg, subject: &Subject, course: &Course, foot: f64) {
    let (name, setting) = subject.heading.split_once(", ").unwrap_or((subject.heading, ""));
    svg.text("name", (LEFT, foot - if setting.is_empty() { 6.0 } else { 22.0 }), name);
    if !setting.is_empty() {
        svg.text("pale", (LEFT, foot - 6.0), setting);
    }
    PLOT.requests(svg, course, foot);
    for (x, _, length) in NUMBERS {
        svg.text("end", (x, foot - 6.0), course.most_in(length));
    }
}
