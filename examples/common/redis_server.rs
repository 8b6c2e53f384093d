//! A Redis server of a demo's own: on a free port, with its data in a folder that goes with it.

use std::{
    error::Error,
    io::ErrorKind,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::sleep,
};

/// For what takes a moment, and is an error if it takes longer than this.
pub(crate) const PLENTY: Duration = Duration::from_secs(20);

const NOT_INSTALLED: &str = "\
`redis-server` is not installed, and the demo starts one of its own. It comes with

  apt install redis-server    on Debian, Ubuntu and their kin
  brew install redis          on macOS

and elsewhere with the package `redis`. Without `--demo` the program takes any server that there is, which REDIS_URL names:

  REDIS_URL=redis://host:6379/0 cargo run --example redis";

pub(crate) struct Redis {
    port: u16,
    folder: Folder,
    process: Option<Child>,
}

impl Redis {
    /// One that does not run yet.
    pub(crate) fn new() -> Result<Self, Box<dyn Error>> {
        // Free a moment ago, which will have to do.
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        Ok(Self { port, folder: Folder::new()?, process: None })
    }

    /// Starts it, empty, and where it was if it ran before.
    pub(crate) async fn start(&mut self) -> Result<(), Box<dyn Error>> {
        let process = Command::new("redis-server")
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .arg("--dir")
            .arg(&self.folder.0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn();
        self.process = Some(process.map_err(|error| match error.kind() {
            ErrorKind::NotFound => NOT_INSTALLED.into(),
            _ => Box::<dyn Error>::from(error),
        })?);

        let started = Instant::now();
        while !self.ask("PING").await.is_ok_and(|answer| answer.starts_with("+PONG")) {
            if self.has_ended()? || started.elapsed() > PLENTY {
                return Err("`redis-server` does not come up".into());
            }
            sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    /// Kills it, as `kill -9` does.
    pub(crate) fn kill(&mut self) -> Result<(), Box<dyn Error>> {
        if let Some(mut process) = self.process.take() {
            process.kill()?;
            process.wait()?;
        }
        Ok(())
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    /// What it says to a command, as it comes over the wire.
    pub(crate) async fn ask(&self, command: &str) -> Result<String, Box<dyn Error>> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
        stream.write_all(format!("{command}\r\nQUIT\r\n").as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    }

    fn has_ended(&mut self) -> Result<bool, Box<dyn Error>> {
        Ok(match &mut self.process {
            Some(process) => process.try_wait()?.is_some(),
            None => true,
        })
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        if let Err(error) = self.kill() {
            eprintln!("the Redis of the demo may still run: {error}");
        }
    }
}

struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self, Box<dyn Error>> {
        let folder = std::env::temp_dir().join(format!("traffik-example-redis-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        Ok(Self(folder))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            eprintln!("{} stays: {error}", self.0.display());
        }
    }
}
