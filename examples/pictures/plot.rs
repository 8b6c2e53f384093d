//! Time from left to right, and requests as dots that stand on each other.

use std::{collections::HashMap, time::Duration};

use super::{
    arrivals::{SPAN, windows},
    course::{Course, Request},
    svg::{Point, Svg, WIDTH},
};

/// Requests of one column stand on each other.
const COLUMN: Duration = Duration::from_secs(3);

/// Where time is on the page.
pub(super) struct Plot {
    pub(super) left: f64,
    /// The width of a column, which is the room of a dot.
    pub(super) column: f64,
}

impl Plot {
    pub(super) fn x(&self, at: Duration) -> f64 {
        self.left + at.saturating_sub(SPAN.start).as_secs_f64() / COLUMN.as_secs_f64() * self.column
    }

    /// A band for every other window, and below them the time.
    pub(super) fn windows(&self, svg: &mut Svg, top: f64, bottom: f64) {
        for (i, window) in windows().enumerate() {
            let end = self.x(window.end);
            if i % 2 == 1 {
                svg.rect("band", (self.x(window.start), top), (end, bottom));
            }
            svg.text("pale middle", (end, bottom + 16.0), minutes(window.end));
        }
    }

    /// The ground that something stands on, and the edges of the windows up to `top`.
    pub(super) fn axes(&self, svg: &mut Svg, top: f64, bottom: f64) {
        for window in windows().skip(1) {
            let x = self.x(window.start);
            svg.line("window", (x, top), (x, bottom));
        }
        svg.line("edge", (self.left, bottom), (self.x(SPAN.end), bottom));
    }

    /// Requests before they were decided.
    pub(super) fn arrivals(&self, svg: &mut Svg, course: &Course, bottom: f64) {
        self.axes(svg, bottom - self.stack(), bottom);
        let dots = self.stacked(&course.requests, bottom);
        svg.dots("asked", self.radius(), dots.into_iter().map(|(_, point)| point));
    }

    /// The admitted as filled dots, the refused as hollow ones, and below them what was admitted in each window.
    pub(super) fn requests(&self, svg: &mut Svg, course: &Course, bottom: f64) {
        self.axes(svg, bottom - self.stack(), bottom);
        let dots = self.stacked(&course.requests, bottom);
        for (class, admitted) in [("admitted", true), ("refused", false)] {
            let chosen = dots.iter().filter(|(request, _)| request.admitted == admitted);
            svg.dots(class, self.radius(), chosen.map(|&(_, point)| point));
        }
        for window in windows() {
            let middle = (self.x(window.start) + self.x(window.end)) / 2.0;
            svg.text("pale middle", (middle, bottom + 13.0), format_args!("{} admitted", course.admitted_in(&window)));
        }
    }

    /// The admitted once more, each where it goes on.
    pub(super) fn departures(&self, svg: &mut Svg, course: &Course, bottom: f64) {
        self.axes(svg, bottom - self.column * 1.4, bottom);
        let admitted = course.requests.iter().filter(|request| request.admitted);
        let place = |request: &Request| (self.x(request.at + request.delay), bottom - self.column * 0.6);
        svg.dots("admitted", self.radius(), admitted.map(place));
    }

    pub(super) fn legend(&self, svg: &mut Svg, y: f64) {
        for (class, x) in [("admitted", WIDTH - 156.0), ("refused", WIDTH - 72.0)] {
            svg.dots(class, self.radius(), [(x, y - 4.0)]);
            svg.text("pale", (x + 9.0, y), class);
        }
    }

    /// The height of the highest stack, and a bit.
    pub(super) fn stack(&self) -> f64 {
        self.column * 10.4
    }

    fn radius(&self) -> f64 {
        self.column * 0.36
    }

    /// Each request with its place, the first of a column at its foot.
    fn stacked(&self, requests: &[Request], bottom: f64) -> Vec<(Request, Point)> {
        let mut heights = HashMap::new();
        let place = |&request: &Request| {
            let column = request.at.as_secs() / COLUMN.as_secs();
            let below = heights.entry(column).and_modify(|height| *height += 1.0).or_insert(0.0);
            let x = self.x(COLUMN * u32::try_from(column).unwrap_or(u32::MAX)) + self.column / 2.0;
            (request, (x, bottom - self.column * (*below + 0.6)))
        };
        requests.iter().map(place).collect()
    }
}

/// As on a clock.
pub(super) fn minutes(time: Duration) -> String {
    format!("{}:{:02}", time.as_secs() / 60, time.as_secs() % 60)
}
