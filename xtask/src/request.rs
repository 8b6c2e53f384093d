//! Parses the command line: `list`, or `ci`, `long` or names of steps, with `--keep-going`.

use anyhow::{Context, Result, bail};

use crate::steps::{self, Step, When};

/// A parsed command line.
#[derive(Debug)]
pub(crate) enum Request {
    /// Print the steps.
    List,
    /// Run these steps in this order. Continue after a failure only with `--keep-going`.
    Run { steps: Vec<&'static Step>, keep_going: bool },
}

impl Request {
    /// Parses the arguments after the program's name. No arguments mean `list`.
    pub(crate) fn parse(args: impl Iterator<Item = String>) -> Result<Self> {
        let (options, names): (Vec<_>, Vec<_>) = args.partition(|arg| arg.starts_with('-'));
        if let Some(unknown) = options.iter().find(|option| *option != "--keep-going") {
            bail!("unknown option `{unknown}`: the only one is `--keep-going`");
        }

        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let steps = match names.as_slice() {
            [] | ["list"] => return Ok(Self::List),
            ["ci"] => steps::ALL.iter().filter(|step| matches!(step.when, When::Ci { .. })).collect(),
            ["long"] => steps::ALL.iter().filter(|step| step.when == When::Long).collect(),
            names => names.iter().copied().map(named).collect::<Result<_>>()?,
        };
        Ok(Self::Run { steps, keep_going: !options.is_empty() })
    }
}

/// Returns the step of this name, or an error that lists the names.
fn named(name: &str) -> Result<&'static Step> {
    let step = steps::ALL.iter().find(|step| step.name == name);
    step.with_context(|| {
        let known: Vec<&str> = steps::ALL.iter().map(|step| step.name).collect();
        format!("unknown step `{name}`: use ci, long, list, {}", known.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Request> {
        Request::parse(line.split_whitespace().map(str::to_owned))
    }

    fn names_run_by(line: &str) -> Vec<&'static str> {
        match parse(line).unwrap() {
            Request::List => panic!("`{line}` lists"),
            Request::Run { steps, .. } => steps.iter().map(|step| step.name).collect(),
        }
    }

    #[test]
    fn ci_runs_the_steps_with_a_budget() {
        let names = names_run_by("ci");
        assert!(names.contains(&"clippy") && names.contains(&"test"));
        assert!(!names.contains(&"advisories") && !names.contains(&"bless") && !names.contains(&"fuzz"));
    }

    #[test]
    fn long_runs_the_steps_that_take_too_much_time_for_ci() {
        let names = names_run_by("long");
        assert!(names.contains(&"fuzz") && !names.contains(&"test") && !names.contains(&"bless"));
    }

    #[test]
    fn steps_run_in_the_order_given() {
        assert_eq!(names_run_by("doc fmt"), ["doc", "fmt"]);
    }

    #[test]
    fn keep_going_is_accepted_in_any_position() {
        for line in ["--keep-going ci", "ci --keep-going"] {
            assert!(matches!(parse(line).unwrap(), Request::Run { keep_going: true, .. }));
        }
    }

    #[test]
    fn empty_command_line_lists_the_steps() {
        assert!(matches!(parse("").unwrap(), Request::List));
    }

    #[test]
    fn unknown_name_is_an_error_with_the_known_names() {
        let message = parse("lint").unwrap_err().to_string();
        assert!(message.contains("`lint`") && message.contains("clippy, test"), "{message}");
    }

    #[test]
    fn unknown_option_is_an_error() {
        assert!(parse("ci --fast").is_err());
    }
}
