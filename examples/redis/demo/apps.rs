//! This program once more, as a process that serves.

use std::{error::Error, io, process::Stdio};

use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::timeout,
};

use super::{COMMAND_TIMEOUT, PLENTY, Redis, expect};

pub(super) struct App {
    pub(super) url: String,
    pub(super) process: u32,
    child: Child,
    /// Nobody reads on, but what it prints has to go somewhere.
    _output: Lines<BufReader<ChildStdout>>,
}

impl App {
    /// Starts one on a port that is free, and waits until it listens.
    pub(super) async fn start(redis: &Redis) -> Result<Self, Box<dyn Error>> {
        let command_timeout = COMMAND_TIMEOUT.as_millis().to_string();
        let mut child = this_program(&[&redis.url(), "--port", "0", "--timeout", &command_timeout])?
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let process = child.id().ok_or("an app ended at once")?;
        let mut output = BufReader::new(child.stdout.take().ok_or("the output of an app is not to be had")?).lines();
        let url = timeout(PLENTY, read_url(&mut output)).await??;
        Ok(Self { url, process, child, _output: output })
    }

    /// Asks it to stop, as a container is, and waits until it did.
    pub(super) async fn stop(mut self) -> Result<(), Box<dyn Error>> {
        let asked = Command::new("kill").arg(self.process.to_string()).status().await?;
        expect("asking an app to stop", &asked.success(), &true)?;
        let ended = timeout(PLENTY, self.child.wait()).await??;
        expect("how an app stopped", &ended.code(), &Some(0))
    }
}

/// It says where it listens.
async fn read_url(output: &mut Lines<BufReader<ChildStdout>>) -> Result<String, Box<dyn Error>> {
    while let Some(line) = output.next_line().await? {
        let url = line.split_once("listening on ").and_then(|(_, rest)| rest.split(',').next());
        if let Some(url) = url {
            return Ok(url.to_owned());
        }
    }
    Err("an app ended before it listened".into())
}

#[cfg(not(test))]
fn this_program(args: &[&str]) -> io::Result<Command> {
    let mut program = Command::new(std::env::current_exe()?);
    program.args(args);
    Ok(program)
}

/// Where the demo is run as a test, the program is a collection of tests, one of which is the app.
#[cfg(test)]
fn this_program(args: &[&str]) -> io::Result<Command> {
    let mut program = Command::new(std::env::current_exe()?);
    program.args(["--exact", "demo::apps::tests::an_app", "--nocapture"]).env(tests::ARGUMENTS, args.join(" "));
    Ok(program)
}

#[cfg(test)]
mod tests {
    /// The arguments of the app, in the environment, since those of the process are for the tests.
    pub(super) const ARGUMENTS: &str = "TRAFFIK_EXAMPLE_REDIS";

    /// Serves in a process that the demo started, and has nothing to do in any other.
    #[tokio::test(flavor = "multi_thread")]
    async fn an_app() {
        if let Ok(arguments) = std::env::var(ARGUMENTS) {
            let options = crate::Options::read(arguments.split(' ').map(str::to_owned)).unwrap();
            crate::run(options).await.unwrap();
        }
    }
}
