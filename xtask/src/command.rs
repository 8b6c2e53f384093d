//! Runs commands for the steps: from the workspace's root, printed first. A command that fails is an error.

use std::{
    env,
    ffi::{OsStr, OsString},
    io::{self, ErrorKind},
    iter,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
};

use anyhow::{Context, Error, Result, anyhow, bail};

/// Returns the full path of a file, given its path from the workspace's root.
pub(crate) fn in_workspace(path: &str) -> PathBuf {
    // Replaces the name of this crate's directory by the path.
    Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name(path)
}

/// Calls the cargo that runs this program.
pub(crate) fn cargo(args: &str) -> Call {
    let program = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    Call::new(program, format!("cargo {args}"))
}

/// Calls a program that is not part of cargo. `scripts/setup` installs it into `.tools/bin`, which comes before `PATH`.
pub(crate) fn tool(name: &str, args: &str) -> Call {
    Call::new(name.into(), format!("{name} {args}"))
}

/// Calls a program of this workspace.
pub(crate) fn program(path: &Path) -> Call {
    Call::new(path.into(), path.display().to_string())
}

/// A command, not yet run.
#[derive(Debug)]
#[must_use]
pub(crate) struct Call {
    command: Command,
    line: String,
}

impl Call {
    /// Splits `line` at spaces. Its arguments contain none.
    fn new(program: OsString, line: String) -> Self {
        let mut command = Command::new(program);
        command.args(line.split_whitespace().skip(1)).current_dir(in_workspace(""));
        Self { command, line }
    }

    /// Adds an argument, which may contain spaces.
    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(&arg);
        self.line = format!("{} {}", self.line, arg.as_ref().to_string_lossy());
        self
    }

    pub(crate) fn env(mut self, key: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(key, &value);
        self.line = format!("{key}={:?} {}", value.as_ref(), self.line);
        self
    }

    /// Prints the command and runs it.
    pub(crate) fn run(mut self) -> Result<()> {
        println!("$ {}", self.line.trim_end());
        let status = self.with_tools()?.status().map_err(|error| self.not_started(error))?;
        self.succeeded(status)
    }

    /// Runs the command without printing it, and returns its standard output.
    pub(crate) fn read(mut self) -> Result<String> {
        let output = self.with_tools()?.stderr(Stdio::inherit()).output().map_err(|error| self.not_started(error))?;
        self.succeeded(output.status)?;
        String::from_utf8(output.stdout).with_context(|| format!("the output of `{}` is not UTF-8", self.line))
    }

    fn with_tools(&mut self) -> Result<&mut Command> {
        let path = env::var_os("PATH").unwrap_or_default();
        let path = env::join_paths(iter::once(in_workspace(".tools/bin")).chain(env::split_paths(&path)))?;
        Ok(self.command.env("PATH", path))
    }

    fn not_started(&self, error: io::Error) -> Error {
        let line = self.line.trim_end();
        match error.kind() {
            ErrorKind::NotFound => {
                anyhow!("cannot run `{line}`: it is not installed; run `scripts/setup`")
            }
            _ => Error::new(error).context(format!("cannot run `{line}`")),
        }
    }

    fn succeeded(&self, status: ExitStatus) -> Result<()> {
        if !status.success() {
            bail!("`{}` failed: {status}", self.line.trim_end());
        }
        Ok(())
    }
}
