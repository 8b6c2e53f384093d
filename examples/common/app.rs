//! Starts this program as another process that serves.

use std::{error::Error, process::Stdio};

use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::timeout,
};

use super::{COMMAND_TIMEOUT, PLENTY, Redis, expect};
use crate::this_program::this_program;

pub(super) struct App {
    pub(super) url: String,
    pub(super) process: u32,
    child: Child,
    /// Kept open, because the app would fail to print to a closed pipe.
    _output: Lines<BufReader<ChildStdout>>,
}

impl App {
    /// Starts an app on a free port, and waits until it listens.
    pub(super) async fn start(redis: &Redis) -> Result<Self, Box<dyn Error>> {
        let command_timeout = COMMAND_TIMEOUT.as_millis().to_string();
        let mut child = this_program(&[&redis.url(), "--port", "0", "--timeout", &command_timeout], TEST, ARGUMENTS)?
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let process = child.id().ok_or("an app ended immediately")?;
        let mut output = BufReader::new(child.stdout.take().ok_or("an app has no output")?).lines();
        let url = timeout(PLENTY, read_url(&mut output)).await??;
        Ok(Self { url, process, child, _output: output })
    }

    /// Sends SIGTERM, as a container runtime does, and waits until the app has ended.
    pub(super) async fn stop(mut self) -> Result<(), Box<dyn Error>> {
        let kill = Command::new("kill").arg(self.process.to_string()).status().await?;
        expect("sending SIGTERM to an app", &kill.success(), &true)?;
        let ended = timeout(PLENTY, self.child.wait()).await??;
        expect("the exit code of an app", &ended.code(), &Some(0))
    }
}

/// Reads the address from the first line of the app's output.
async fn read_url(output: &mut Lines<BufReader<ChildStdout>>) -> Result<String, Box<dyn Error>> {
    while let Some(line) = output.next_line().await? {
        let url = line.split_once("listening on ").and_then(|(_, rest)| rest.split(',').next());
        if let Some(url) = url {
            return Ok(url.to_owned());
        }
    }
    Err("an app ended before it listened".into())
}

/// The test that is this program when the demo runs as a test, and the environment variable with its arguments.
const TEST: &str = "demo::apps::tests::an_app";
const ARGUMENTS: &str = "TRAFFIK_EXAMPLE_REDIS";

#[cfg(test)]
mod tests {
    /// Serves in a process that the demo started. In any other process it does nothing.
    #[tokio::test(flavor = "multi_thread")]
    async fn an_app() {
        if let Ok(arguments) = std::env::var(super::ARGUMENTS) {
            let options = crate::Options::read(arguments.split(' ').map(str::to_owned)).unwrap();
            crate::run(options).await.unwrap();
        }
    }
}
