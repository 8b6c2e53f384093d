//! The recorded figures: one line per path, with the number of its instructions.

use std::{collections::BTreeMap, fmt};

use anyhow::{Context, Result};

/// The beginning of the line that names the compiler.
const COMPILER: &str = "# compiler: ";

/// The number of instructions of each path, for one compiler.
#[derive(Debug, PartialEq)]
pub(crate) struct Figures {
    pub(crate) compiler: String,
    pub(crate) paths: BTreeMap<String, u64>,
}

impl Figures {
    /// Reads what [`Display`](fmt::Display) writes.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let compiler =
            text.lines().find_map(|line| line.strip_prefix(COMPILER)).context("no line names the compiler")?;
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let path = |line: &str| {
            let (name, figure) = line.split_once(' ')?;
            Some((name.to_owned(), figure.trim().parse().ok()?))
        };
        let paths = lines.map(|line| path(line).with_context(|| format!("`{line}` is not a path and its figure")));
        Ok(Self { compiler: compiler.to_owned(), paths: paths.collect::<Result<_>>()? })
    }

    /// Returns a line for each path: its figure, and the change since `kept`.
    pub(crate) fn changes(&self, kept: &Self) -> Vec<String> {
        let change = |name, now: u64| match kept.paths.get(name) {
            Some(&before) => format!("{:+.1} %", (now as f64 / before as f64 - 1.0) * 100.0),
            None => "new".to_owned(),
        };
        let lines = self.paths.iter().map(|(name, &now)| format!("{name:<30} {now:>6} {:>9}", change(name, now)));
        let gone = kept.paths.keys().filter(|name| !self.paths.contains_key(*name));
        lines.chain(gone.map(|name| format!("{name:<30} {:>6} {:>9}", "-", "gone"))).collect()
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "# The instructions of each hot path, by callgrind: `cargo xtask instructions` prints how they have"
        )?;
        writeln!(f, "# changed, `cargo xtask bless` writes this file.")?;
        writeln!(f, "{COMPILER}{}", self.compiler)?;
        self.paths.iter().try_for_each(|(name, figure)| writeln!(f, "{name:<30} {figure:>6}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(paths: &[(&str, u64)]) -> Figures {
        let paths = paths.iter().map(|&(name, figure)| (name.to_owned(), figure)).collect();
        Figures { compiler: "rustc 1.95.0".to_owned(), paths }
    }

    #[test]
    fn written_figures_are_read_back() {
        let figures = figures(&[("hit", 1234), ("refused/with-a-name-that-is-rather-long", 7)]);
        assert_eq!(Figures::parse(&figures.to_string()).unwrap(), figures);
    }

    #[test]
    fn line_without_a_figure_is_an_error() {
        assert!(Figures::parse("hit 1234\n").is_err());
        let message = Figures::parse("# compiler: rustc\nhit many\n").unwrap_err().to_string();
        assert!(message.contains("`hit many`"), "{message}");
    }

    #[test]
    fn each_path_has_a_line_with_its_change() {
        let kept = figures(&[("less", 1000), ("more", 1000), ("none", 1000), ("removed", 1)]);
        let now = figures(&[("added", 1), ("less", 900), ("more", 1040), ("none", 1000)]);
        let lines = now.changes(&kept);
        let words: Vec<_> = lines.iter().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(
            words,
            ["added 1 new", "less 900 -10.0 %", "more 1040 +4.0 %", "none 1000 +0.0 %", "removed - gone"]
        );
    }
}
