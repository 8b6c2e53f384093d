//! Starts the program of an example as other processes that serve.

use std::{error::Error, process::Stdio};

use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::timeout,
};

use crate::redis_server::{PLENTY, Redis};

pub(crate) struct App {
    pub(crate) url: String,
    pub(crate) process: u32,
    child: Child,
    /// Kept open, because the app would fail to print to a closed pipe.
    _output: Lines<BufReader<ChildStdout>>,
}

impl App {
    /// Starts an app, and waits until it listens.
    pub(crate) async fn start(mut program: Command) -> Result<Self, Box<dyn Error>> {
        let mut child = program.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        let process = child.id().ok_or("an app ended immediately")?;
        let mut output = BufReader::new(child.stdout.take().ok_or("an app has no output")?).lines();
        let url = timeout(PLENTY, read_url(&mut output)).await??;
        Ok(Self { url, process, child, _output: output })
    }

    /// Sends SIGTERM, as a container runtime does, and waits until the app has ended.
    pub(crate) async fn stop(mut self) -> Result<(), Box<dyn Error>> {
        let kill = Command::new("kill").arg(self.process.to_string()).status().await?;
        if !kill.success() {
            return Err("an app cannot be sent SIGTERM".into());
        }
        let ended = timeout(PLENTY, self.child.wait()).await??;
        if ended.success() { Ok(()) } else { Err(format!("an app ended with {ended}").into()) }
    }
}

/// Prints where two apps and their server are.
pub(crate) fn introduce(redis: &Redis, apps: &[App; 2]) {
    println!("A Redis server runs at {}, and two apps keep their limits there:\n", redis.url());
    for (number, app) in (1..).zip(apps) {
        println!("  app {number}  {}  process {}", app.url, app.process);
    }
}

pub(crate) fn heading(text: &str) {
    println!("\n{text}\n{}\n", "-".repeat(text.len()));
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
