//! The figures that are kept in the repository: a line for each path, with how many instructions it takes.

use std::{collections::BTreeMap, fmt};

use anyhow::{Context, Result};

/// So many percent more is worse, and so many less is better. What chance does to the figures is below 1 %.
const TOLERANCE: f64 = 3.0;

/// What marks the line that tells the compiler.
const COMPILER: &str = "# compiler: ";

/// How many instructions each path takes, in what some compiler made of it.
#[derive(Debug, PartialEq)]
pub(crate) struct Figures {
    pub(crate) compiler: String,
    pub(crate) paths: BTreeMap<String, u64>,
}

impl Figures {
    /// Reads what [`Display`](fmt::Display) writes.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let compiler =
            text.lines().find_map(|line| line.strip_prefix(COMPILER)).context("no line tells the compiler")?;
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let path = |line: &str| {
            let (name, figure) = line.split_once(' ')?;
            Some((name.to_owned(), figure.trim().parse().ok()?))
        };
        let paths = lines.map(|line| path(line).with_context(|| format!("`{line}` is no path and its figure")));
        Ok(Self { compiler: compiler.to_owned(), paths: paths.collect::<Result<_>>()? })
    }

    /// What differs from the figures that are kept, as far as it matters: what is wrong, and what is better.
    pub(crate) fn differences(&self, kept: &Self) -> Differences {
        let mut differences = Differences::default();
        for (name, &now) in &self.paths {
            match kept.paths.get(name) {
                None => differences.wrong.push(format!("{name} is new")),
                Some(&before) => {
                    let line =
                        format!("{name} takes {now} instructions, {before} before ({:+.1} %)", percent(before, now));
                    match percent(before, now) {
                        more if more > TOLERANCE => differences.wrong.push(line),
                        less if less < -TOLERANCE => differences.better.push(line),
                        _ => {}
                    }
                }
            }
        }
        let gone = kept.paths.keys().filter(|name| !self.paths.contains_key(*name));
        differences.wrong.extend(gone.map(|name| format!("{name} is gone")));
        differences
    }
}

/// See [`Figures::differences`].
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Differences {
    pub(crate) wrong: Vec<String>,
    pub(crate) better: Vec<String>,
}

/// How many percent more there are than before.
fn percent(before: u64, now: u64) -> f64 {
    (now as f64 / before as f64 - 1.0) * 100.0
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "# How many instructions each hot path takes, by callgrind: `cargo xtask instructions` counts them"
        )?;
        writeln!(f, "# again and compares, `cargo xtask bless` writes this file.")?;
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
    fn what_is_written_is_read() {
        let figures = figures(&[("hit", 1234), ("refused/with-a-name-that-is-rather-long", 7)]);
        assert_eq!(Figures::parse(&figures.to_string()).unwrap(), figures);
    }

    #[test]
    fn a_line_that_is_none_is_an_error() {
        assert!(Figures::parse("hit 1234\n").is_err());
        let message = Figures::parse("# compiler: rustc\nhit many\n").unwrap_err().to_string();
        assert!(message.contains("`hit many`"), "{message}");
    }

    #[test]
    fn a_little_more_or_less_is_the_same() {
        let kept = figures(&[("a", 1000), ("b", 1000)]);
        assert_eq!(figures(&[("a", 1029), ("b", 971)]).differences(&kept), Differences::default());
    }

    #[test]
    fn more_is_wrong_and_less_is_better() {
        let kept = figures(&[("a", 1000), ("b", 1000)]);
        let differences = figures(&[("a", 1040), ("b", 900)]).differences(&kept);
        assert_eq!(differences.wrong, ["a takes 1040 instructions, 1000 before (+4.0 %)"]);
        assert_eq!(differences.better, ["b takes 900 instructions, 1000 before (-10.0 %)"]);
    }

    #[test]
    fn the_paths_have_to_be_the_same() {
        let differences = figures(&[("a", 1)]).differences(&figures(&[("b", 1)]));
        assert_eq!(differences.wrong, ["a is new", "b is gone"]);
    }
}
