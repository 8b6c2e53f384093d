//! The checks of this workspace: `cargo xtask ci` runs all of them, `cargo xtask <step>` runs one.
//!
//! The same command runs on a laptop and in CI. `scripts/setup` installs the tools.

mod api;
mod ci;
mod command;
mod features;
mod figures;
mod instructions;
mod layers;
mod long;
mod msrv;
mod request;
mod size;
mod source;
mod steps;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use request::Request;

fn main() -> ExitCode {
    match answer() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Returning the error from `main` would print a backtrace.
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn answer() -> Result<()> {
    match Request::parse(std::env::args().skip(1))? {
        Request::List => steps::list(),
        Request::Run { steps, keep_going } => ci::run(&steps, keep_going)?,
    }
    Ok(())
}
