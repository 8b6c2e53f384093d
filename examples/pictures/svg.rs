//! Writes the shapes of the pictures as text.

use std::fmt::{Arguments, Display};

/// The colours of both themes. A picture has a background, so it is readable on a page of any colour. The values are plain,
/// because not every program that shows the pictures supports variables.
const STYLE: &str = include_str!("style.css");

/// The width of a page on GitHub.
pub(super) const WIDTH: f64 = 800.0;

pub(super) type Point = (f64, f64);

/// A picture that is being drawn.
#[derive(Default)]
pub(super) struct Svg(String);

impl Svg {
    fn element(&mut self, element: Arguments<'_>) {
        self.0.push_str(&format!("{element}\n"));
    }

    /// Adds a text of this program, which needs no escaping.
    pub(super) fn text(&mut self, class: &str, (x, y): Point, text: impl Display) {
        self.element(format_args!(r#"<text class="{class}" x="{x:.1}" y="{y:.1}">{text}</text>"#));
    }

    pub(super) fn line(&mut self, class: &str, (x1, y1): Point, (x2, y2): Point) {
        self.path(class, format_args!("M{x1:.1} {y1:.1}L{x2:.1} {y2:.1}"));
    }

    pub(super) fn rect(&mut self, class: &str, (x1, y1): Point, (x2, y2): Point) {
        self.path(class, format_args!("M{x1:.1} {y1:.1}H{x2:.1}V{y2:.1}H{x1:.1}z"));
    }

    pub(super) fn path(&mut self, class: &str, d: impl Display) {
        self.element(format_args!(r#"<path class="{class}" d="{d}"/>"#));
    }

    pub(super) fn dots(&mut self, class: &str, radius: f64, centres: impl IntoIterator<Item = Point>) {
        self.element(format_args!(r#"<g class="{class}">"#));
        for (x, y) in centres {
            self.element(format_args!(r#"<circle cx="{x:.1}" cy="{y:.1}" r="{radius:.1}"/>"#));
        }
        self.element(format_args!("</g>"));
    }

    /// Returns the file. Screen readers read the description.
    pub(super) fn finish(self, height: f64, title: impl Display, description: impl Display) -> String {
        let (card_width, card_height) = (WIDTH - 1.0, height - 1.0);
        format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img" aria-labelledby="title desc">
<title id="title">{title}</title>
<desc id="desc">{description}</desc>
<style>
{STYLE}</style>
<rect class="ground" x="0.5" y="0.5" width="{card_width}" height="{card_height}" rx="8"/>
{}</svg>
"#,
            self.0
        )
    }
}
