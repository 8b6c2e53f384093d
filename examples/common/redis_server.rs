//! Starts a Redis server for a demo: on a free port, with its data in a temporary folder.

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

/// The deadline for steps that usually take a moment.
pub(crate) const PLENTY: Duration = Duration::from_secs(20);

const NOT_INSTALLED: &str = "\
The demo starts a Redis server, and `redis-server` is not installed. Install it with

  apt install redis-server    on Debian, Ubuntu and similar systems
  brew install redis          on macOS

and elsewhere with the package `redis`. Without `--demo` the program uses the server that REDIS_URL names, for instance
redis://host:6379/0.";

pub(crate) struct Redis {
    port: u16,
    folder: Folder,
    process: Option<Child>,
}

impl Redis {
    /// Reserves a port and a folder, without starting the server.
    pub(crate) fn new() -> Result<Self, Box<dyn Error>> {
        // The port was free a moment ago. Another process may still take it.
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        Ok(Self { port, folder: Folder::new()?, process: None })
    }

    /// Starts the server, empty, on the same port each time.
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
                return Err("`redis-server` does not start".into());
            }
            sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    /// Kills the server, as `kill -9` does.
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

    /// Returns a folder that is removed with the server.
    #[allow(dead_code, reason = "an example needs it")]
    pub(crate) fn folder(&self) -> &std::path::Path {
        &self.folder.0
    }

    /// Sends a command, and returns the raw reply.
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
            eprintln!("the Redis server of the demo may still run: {error}");
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
            eprintln!("cannot remove {}: {error}", self.0.display());
        }
    }
}
