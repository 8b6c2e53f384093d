//! Draws time from left to right, and requests as stacked dots.

use std::{collections::HashMap, time::Duration};

use super::{
    arrivals::{SPAN, windows},
    course::{Course, Request},
    svg::{Point, Svg, WIDTH},
};

/// The time of a column. Its requests are stacked.
const COLUMN: Duration = Duration::from_secs(3);

/// Maps time to a place on the page.
pub(super) struct Plot {
    pub(super) left: f64,
    /// The width of a column, which holds one dot.
    pub(super) column: f64,
}

impl Plot {
    pub(super) fn x(&self, at: Duration) -> f64 {
        self.left + at.saturating_sub(SPAN.start).as_secs_f64() / COLUMN.as_secs_f64() * self.column
    }

    /// Draws a band for every other window, and the time below.
    pub(super) fn windows(&self, svg: &mut Svg, top: f64, bottom: f64) {
        for (i, window) in windows().enumerate() {
            let end = self.x(window.end);
            if i % 2 == 1 {
                svg.rect("band", (self.x(window.start), top), (end, bottom));
            }
            svg.text("pale middle", (end, bottom + 16.0), minutes(window.end));
        }
    }

    /// Draws the base line, and the window boundaries up to `top`.
    pub(super) fn axes(&self, svg: &mut Svg, top: f64, bottom: f64) {
        for window in windows().skip(1) {
            let x = self.x(window.start);
            svg.line("window", (x, top), (x, bottom));
        }
        svg.line("edge", (self.left, bottom), (self.x(SPAN.end), bottom));
    }

    /// Draws requests without their decisions.
    pub(super) fn arrivals(&self, svg: &mut Svg, course: &Course, bottom: f64) {
        self.axes(svg, bottom - self.stack(), bottom);
        let dots = self.stacked(&course.requests, bottom);
        svg.dots("asked", self.radius(), dots.into_iter().map(|(_, point)| point));
    }

    /// Draws admitted requests as filled dots, refused ones as hollow dots, and below them the number admitted in each window.
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

    /// Draws the admitted requests at the times when they leave.
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

    /// Returns the height of the highest stack, with a margin.
    pub(super) fn stack(&self) -> f64 {
        self.column * 10.4
    }

    fn radius(&self) -> f64 {
        self.column * 0.36
    }

    /// Returns each request with its place, the first of a column at the bottom.
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

/// Formats a time as minutes and seconds.
pub(super) fn minutes(time: Duration) -> String {
    format!("{}:{:02}", time.as_secs() / 60, time.as_secs() % 60)
}
