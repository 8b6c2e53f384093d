//! A Redis server of the demo's own: on a free port, with its data in a folder that goes with it.

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

use super::PLENTY;

const NOT_INSTALLED: &str = "\
`redis-server` is not installed, and the demo starts one of its own. It comes with

  apt install redis-server    on Debian, Ubuntu and their kin
  brew install redis          on macOS

and elsewhere with the package `redis`. Without `--demo` the program takes any server that there is:

  cargo run --example redis -- redis://host:6379/0";

pub(super) struct Redis {
    port: u16,
    folder: Folder,
    process: Option<Child>,
}

impl Redis {
    pub(super) async fn start() -> Result<Self, Box<dyn Error>> {
        // Free a moment ago, which will have to do.
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut redis = Self { port, folder: Folder::new()?, process: None };
        redis.start_again().await?;
        Ok(redis)
    }

    /// Starts it where it was, empty.
    pub(super) async fn start_again(&mut self) -> Result<(), Box<dyn Error>> {
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
    pub(super) fn kill(&mut self) -> Result<(), Box<dyn Error>> {
        if let Some(mut process) = self.process.take() {
            process.kill()?;
            process.wait()?;
        }
        Ok(())
    }

    pub(super) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    /// Begins to count commands anew.
    pub(super) async fn count_commands(&self) -> Result<(), Box<dyn Error>> {
        self.ask("CONFIG RESETSTAT").await.map(drop)
    }

    /// How often each command ran for the apps: those that a program runs inside of the server too.
    pub(super) async fn commands(&self) -> Result<Vec<(String, u64)>, Box<dyn Error>> {
        let stats = self.ask("INFO commandstats").await?;
        let lines = stats.lines().filter_map(|line| line.strip_prefix("cmdstat_")?.split_once(":calls="));
        let counts = lines.filter_map(|(name, rest)| Some((name.to_owned(), rest.split(',').next()?.parse().ok()?)));
        Ok(counts.filter(|(name, _)| !["quit", "config|resetstat"].contains(&name.as_str())).collect())
    }

    /// What it says to a command, as it comes over the wire.
    async fn ask(&self, command: &str) -> Result<String, Box<dyn Error>> {
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
