//! Runs steps one after the other, and prints their times and results.

use std::{
    fmt,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

use crate::steps::Step;

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
            Self::Passed(took) => write!(f, "passed {:>7.1} s", took.as_secs_f64()),
            Self::Failed(took) => write!(f, "FAILED {:>7.1} s", took.as_secs_f64()),
            Self::NotRun => write!(f, "not run"),
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
        outcomes.push((step.name, outcome));
    }

    println!();
    for (name, outcome) in outcomes {
        println!("{name:<12} {outcome}");
    }
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    Ok(())
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
