//! Starts the program of an example again, as another process.

use std::io;

use tokio::process::Command;

/// Returns a command that runs this program with other arguments.
///
/// When a demo runs as a test, the executable contains tests. Then it runs the test of the given name, which reads the
/// arguments from an environment variable, because the process arguments belong to the test runner.
#[cfg_attr(not(test), expect(unused_variables, reason = "only tests need another way"))]
pub(crate) fn this_program(args: &[&str], test: &str, variable: &str) -> io::Result<Command> {
    let mut program = Command::new(std::env::current_exe()?);
    #[cfg(not(test))]
    program.args(args);
    #[cfg(test)]
    program.args(["--exact", test, "--nocapture"]).env(variable, args.join(" "));
    Ok(program)
}
