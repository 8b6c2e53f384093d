//! Runs steps one after the other, and prints their times and results.

use std::{
    fmt,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

use crate::steps::{Step, When};

/// The result of a step.
#[derive(Debug)]
enum Outcome {
    Passed(Duration),
    Failed(Duration),
    NotRun,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed(took) => f.pad(&format!("passed {:>7.1} s", took.as_secs_f64())),
            Self::Failed(took) => f.pad(&format!("FAILED {:>7.1} s", took.as_secs_f64())),
            Self::NotRun => f.pad("not run"),
        }
    }
}

/// Runs the steps up to the first that fails, or all steps with `keep_going`.
pub(crate) fn run(steps: &[&Step], keep_going: bool) -> Result<()> {
    let mut outcomes = Vec::new();
    let mut failed = Vec::new();
    for step in steps {
        let outcome = if failed.is_empty() || keep_going { attempt(step) } else { Outcome::NotRun };
        if let Outcome::Failed(_) = outcome {
            failed.push(step.name);
        }
        outcomes.push((step, outcome));
    }

    println!();
    for (step, outcome) in &outcomes {
        println!("{:<12} {outcome:<17} {}", step.name, remark(step, outcome));
    }
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    Ok(())
}

/// Returns the budget of a step, and a warning if the step took longer.
fn remark(step: &Step, outcome: &Outcome) -> String {
    let When::Ci { budget } = step.when else { return String::new() };
    match outcome {
        Outcome::Passed(took) | Outcome::Failed(took) if took.as_secs() >= budget => {
            format!("WARNING: longer than its budget of {budget} s")
        }
        _ => format!("of {budget} s"),
    }
}

/// Runs one step. Prints the reason of a failure next to the step's output.
fn attempt(step: &Step) -> Outcome {
    println!("\n== {}: {}", step.name, step.purpose);
    let started = Instant::now();
    let result = (step.run)();
    let took = started.elapsed();
    match result {
        Ok(()) => {
            println!("-- {} passed in {:.1} s", step.name, took.as_secs_f64());
            Outcome::Passed(took)
        }
        Err(error) => {
            println!("-- {} failed in {:.1} s: {error:#}", step.name, took.as_secs_f64());
            Outcome::Failed(took)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn step_beyond_its_budget_has_a_warning() {
        let step = Step { name: "test", purpose: "", when: When::Ci { budget: 10 }, run: || Ok(()) };
        let after = |seconds| remark(&step, &Outcome::Passed(Duration::from_secs(seconds)));
        assert_eq!([after(9), after(10)], ["of 10 s", "WARNING: longer than its budget of 10 s"]);
        assert_eq!(remark(&step, &Outcome::NotRun), "of 10 s");
    }
}
