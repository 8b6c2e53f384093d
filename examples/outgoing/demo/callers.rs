//! Starts this program as another process that calls the API.

use std::{error::Error, process::Stdio};

use tokio::{process::Child, time::timeout};

use crate::{
    redis_server::{PLENTY, Redis},
    this_program::this_program,
};

pub(super) struct Caller {
    pub(super) process: u32,
    child: Child,
}

impl Caller {
    pub(super) fn start(redis: &Redis, url: &str, calls: usize) -> Result<Self, Box<dyn Error>> {
        let child = this_program(&[url, "--calls", &calls.to_string()], TEST, ARGUMENTS)?
            .env("REDIS_URL", redis.url())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        Ok(Self { process: child.id().ok_or("a caller ended immediately")?, child })
    }

    /// Waits until it has made its calls, and returns what it printed about them.
    pub(super) async fn output(self) -> Result<String, Box<dyn Error>> {
        let output = timeout(PLENTY, self.child.wait_with_output()).await??;
        let text = String::from_utf8(output.stdout)?;
        let lines: Vec<_> = text.lines().filter(|line| line.contains(" calls answered with ")).collect();
        if output.status.success() { Ok(lines.join(", ")) } else { Err("a caller failed".into()) }
    }
}

/// The test that is this program when the demo runs as a test, and the environment variable with its arguments.
const TEST: &str = "demo::callers::tests::a_caller";
const ARGUMENTS: &str = "TRAFFIK_EXAMPLE_OUTGOING";

#[cfg(test)]
mod tests {
    /// Calls the API in a process that the demo started. In any other process it does nothing.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_caller() {
        if let Ok(arguments) = std::env::var(super::ARGUMENTS) {
            let options = crate::Options::read(arguments.split(' ').map(str::to_owned)).unwrap();
            crate::caller::run(options).await.unwrap();
        }
    }
}
