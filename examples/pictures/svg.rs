//! The few shapes that the pictures are made of, as text.

use std::fmt::{self, Display};

use super::style;

/// As wide as GitHub shows a page.
pub(super) const WIDTH: f64 = 800.0;

pub(super) type Point = (f64, f64);

/// A picture in the making.
#[derive(Default)]
pub(super) struct Svg(String);

impl Svg {
    fn element(&mut self, element: fmt::Arguments<'_>) {
        self.0.push_str(&format!("{element}\n"));
    }

    /// Words of this program: nothing in them needs to be escaped.
    pub(super) fn text(&mut self, class: &str, (x, y): Point, text: impl Display) {
        let (x, y) = (Short(x), Short(y));
        self.element(format_args!(r#"<text class="{class}" x="{x}" y="{y}">{text}</text>"#));
    }

    pub(super) fn line(&mut self, class: &str, (x1, y1): Point, (x2, y2): Point) {
        self.path(class, format_args!("M{} {}L{} {}", Short(x1), Short(y1), Short(x2), Short(y2)));
    }

    pub(super) fn rect(&mut self, class: &str, (x1, y1): Point, (x2, y2): Point) {
        self.path(class, format_args!("M{} {}H{}V{}H{0}z", Short(x1), Short(y1), Short(x2), Short(y2)));
    }

    pub(super) fn path(&mut self, class: &str, d: impl Display) {
        self.element(format_args!(r#"<path class="{class}" d="{d}"/>"#));
    }

    pub(super) fn dots(&mut self, class: &str, radius: f64, centres: impl IntoIterator<Item = Point>) {
        self.element(format_args!(r#"<g class="{class}">"#));
        for (x, y) in centres {
            let (x, y, radius) = (Short(x), Short(y), Short(radius));
            self.element(format_args!(r#"<circle cx="{x}" cy="{y}" r="{radius}"/>"#));
        }
        self.element(format_args!("</g>"));
    }

    /// The whole file. The description is for those who cannot see it.
    pub(super) fn finish(self, height: f64, title: impl Display, description: impl Display) -> String {
        let (card_width, card_height) = (WIDTH - 1.0, height - 1.0);
        let (style, shapes) = (style::sheet(), self.0);
        format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img" aria-labelledby="title desc">
<title id="title">{title}</title>
<desc id="desc">{description}</desc>
<style>
{style}</style>
<rect class="ground" x="0.5" y="0.5" width="{card_width}" height="{card_height}" rx="8"/>
{shapes}</svg>
"#
        )
    }
}

/// A number with one digit after the point at most.
pub(super) struct Short(pub(super) f64);

impl Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        ((self.0 * 10.0).round() / 10.0).fmt(f)
    }
}
