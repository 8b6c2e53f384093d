//! How the pictures look. They bring their own ground, so that they can be read on a page of any colour.

/// The colours of a theme.
struct Palette {
    ground: &'static str,
    band: &'static str,
    edge: &'static str,
    text: &'static str,
    pale: &'static str,
    admitted: &'static str,
    refused: &'static str,
}

const LIGHT: Palette = Palette {
    ground: "#ffffff",
    band: "#f4f6f9",
    edge: "#d1d9e0",
    text: "#1f2328",
    pale: "#59636e",
    admitted: "#0969da",
    refused: "#d1242f",
};

const DARK: Palette = Palette {
    ground: "#0d1117",
    band: "#171d26",
    edge: "#3d444d",
    text: "#f0f6fc",
    pale: "#9198a1",
    admitted: "#4493f8",
    refused: "#f47067",
};

const SHAPES: &str = "\
text { font: 12px system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif }
.heading { font-size: 15px; font-weight: 600 }
.name { font-weight: 600 }
.pale { font-size: 11px }
.middle { text-anchor: middle }
.end { text-anchor: end }
.window { stroke-dasharray: 3 3 }
.gauge { fill: none; stroke-width: 1.5 }
.area { opacity: 0.15 }
";

/// The style sheet.
pub(super) fn sheet() -> String {
    format!("{SHAPES}{}@media (prefers-color-scheme: dark) {{\n{}}}\n", LIGHT.rules(), DARK.rules())
}

impl Palette {
    // Plain values rather than variables: more than browsers can show them.
    fn rules(&self) -> String {
        let Self { ground, band, edge, text, pale, admitted, refused } = self;
        format!(
            "\
text {{ fill: {text} }}
.pale, .asked {{ fill: {pale} }}
.ground {{ fill: {ground}; stroke: {edge} }}
.band {{ fill: {band} }}
.edge {{ stroke: {edge} }}
.window {{ stroke: {pale} }}
.admitted, .area {{ fill: {admitted} }}
.refused {{ fill: {ground}; stroke: {refused} }}
.gauge {{ stroke: {admitted} }}
"
        )
    }
}
