//! A Redis server of a test's own, on a free port, with its data in a folder of its own.

use std::{
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread::sleep,
    time::{Duration, Instant},
};

use crate::{Result, raw::Raw};

static COUNT: AtomicU32 = AtomicU32::new(0);

pub(crate) struct Server {
    port: u16,
    folder: PathBuf,
    process: Option<Child>,
}

impl Server {
    pub(crate) fn start() -> Result<Self> {
        let name = format!("traffik-redis-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder)?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut server = Self { port, folder, process: None };
        server.start_again()?;
        Ok(server)
    }

    /// Starts it, empty, on the port that it has.
    pub(crate) fn start_again(&mut self) -> Result {
        let process = Command::new("redis-server")
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .arg("--dir")
            .arg(&self.folder)
            .stdout(Stdio::null())
            .spawn()?;
        self.process = Some(process);
        let started = Instant::now();
        while let Err(error) = self.raw().and_then(|mut raw| raw.call(&["PING"])) {
            if started.elapsed() > Duration::from_secs(20) {
                return Err(format!("the server does not come up: {error}").into());
            }
            sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Kills it, as `kill -9` does.
    pub(crate) fn kill(&mut self) -> Result {
        if let Some(mut process) = self.process.take() {
            process.kill()?;
            process.wait()?;
        }
        Ok(())
    }

    pub(crate) fn id(&self) -> Option<u32> {
        self.process.as_ref().map(Child::id)
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    /// A connection of the test's own, beside the backend.
    pub(crate) fn raw(&self) -> Result<Raw> {
        Raw::connect(self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.kill();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
