//! A Redis server for one test, on a free port, with its own data folder.

use std::{
    io::{self, Write},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        LazyLock,
        atomic::{AtomicU32, Ordering},
    },
    thread::sleep,
    time::{Duration, Instant},
};

use crate::{Result, raw::Raw};

static COUNT: AtomicU32 = AtomicU32::new(0);

pub(crate) struct Server {
    port: u16,
    folder: Folder,
    arguments: Vec<String>,
    process: Option<Child>,
}

/// A folder that is removed when the value is dropped.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Result<Self> {
        let name = format!("traffik-redis-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder)?;
        Ok(Self(folder))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Returns a free port.
pub(crate) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Ends the process if this machine has no Redis, since the test harness cannot skip a test that runs. Each test of this
/// binary needs a server. With the environment variable `TRAFFIK_REQUIRE_REDIS` they fail instead.
#[expect(clippy::exit, reason = "returning an error would fail the test")]
fn require_redis() {
    static IS_MISSING: LazyLock<bool> = LazyLock::new(|| {
        let version = Command::new("redis-server").arg("--version").stdout(Stdio::null()).status();
        version.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
    });
    if *IS_MISSING && std::env::var_os("TRAFFIK_REQUIRE_REDIS").is_none() {
        // The harness captures what the macros print.
        let _ = writeln!(io::stderr(), "SKIPPED: the tests of Redis, which need the program `redis-server` in PATH");
        std::process::exit(0);
    }
}

impl Server {
    pub(crate) fn start() -> Result<Self> {
        Self::start_with::<&str>(&[])
    }

    /// Starts a server with more arguments; `FOLDER` in one stands for its folder.
    pub(crate) fn start_with<A: AsRef<str>>(arguments: &[A]) -> Result<Self> {
        let mut server = Self::not_started(arguments)?;
        // Another program may have taken the port since it was found free.
        for _ in 0..5 {
            if server.start_again().is_ok() {
                return Ok(server);
            }
            server.kill()?;
            server.port = free_port()?;
        }
        server.start_again()?;
        Ok(server)
    }

    /// Returns a server with a port that is started later.
    pub(crate) fn not_started<A: AsRef<str>>(arguments: &[A]) -> Result<Self> {
        require_redis();
        let folder = Folder::new()?;
        let path = folder.path().to_string_lossy().into_owned();
        let arguments = arguments.iter().map(|argument| argument.as_ref().replace("FOLDER", &path)).collect();
        Ok(Self { port: free_port()?, folder, arguments, process: None })
    }

    /// Starts the server, empty, on its port.
    pub(crate) fn start_again(&mut self) -> Result {
        self.spawn_with(&[])?;
        self.wait_until_it_answers()?;
        match self.process.as_mut().map(Child::try_wait) {
            Some(Ok(None)) => Ok(()),
            // Another server may answer on the port.
            ended => Err(format!("the server has ended: {ended:?}").into()),
        }
    }

    /// Returns whether the server answers, even if it requires a password.
    pub(crate) fn wait_until_it_answers(&self) -> Result {
        let started = Instant::now();
        while let Err(error) = self.answers() {
            if self.has_ended() || started.elapsed() > Duration::from_secs(20) {
                return Err(format!("the server does not come up: {error}").into());
            }
            sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Makes the server, which has no slots, a cluster of its own, and waits until it serves.
    pub(crate) fn serve_all_slots(&self) -> Result {
        let (mut raw, started) = (self.raw()?, Instant::now());
        raw.call(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"])?;
        while !raw.call(&["CLUSTER", "INFO"])?.text().contains("cluster_state:ok") {
            if started.elapsed() > Duration::from_secs(20) {
                return Err("the cluster does not come up".into());
            }
            sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    fn answers(&self) -> Result {
        match self.raw()?.call(&["PING"]) {
            // The server runs and requires a password.
            Err(error) if error.to_string().starts_with("NOAUTH") => Ok(()),
            answer => answer.map(drop),
        }
    }

    /// Starts the server with more arguments, for this time only. It may not answer yet, as while it loads saved data.
    pub(crate) fn spawn_with(&mut self, more: &[&str]) -> Result {
        let process = Command::new("redis-server")
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .arg("--dir")
            .arg(self.folder.path())
            .args(&self.arguments)
            .args(more)
            .stdout(Stdio::null())
            .spawn()?;
        self.process = Some(process);
        Ok(())
    }

    /// Kills the server, like `kill -9`.
    pub(crate) fn kill(&mut self) -> Result {
        if let Some(mut process) = self.process.take() {
            process.kill()?;
            process.wait()?;
        }
        Ok(())
    }

    /// Waits by process id, since the process may not be borrowed mutably here.
    fn has_ended(&self) -> bool {
        let Some(id) = self.id() else { return true };
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        cfg!(target_os = "linux")
            && stat.rsplit(") ").next().is_none_or(|rest| rest.is_empty() || rest.starts_with('Z'))
    }

    pub(crate) fn id(&self) -> Option<u32> {
        self.process.as_ref().map(Child::id)
    }

    /// Stops the process, like `kill -STOP`: the system still accepts bytes for it.
    pub(crate) fn hang(&self) -> Result {
        self.signal("-STOP")
    }

    pub(crate) fn go_on(&self) -> Result {
        self.signal("-CONT")
    }

    fn signal(&self, signal: &str) -> Result {
        let process = self.id().ok_or("it does not run")?.to_string();
        let done = Command::new("kill").args([signal, &process]).status()?;
        if done.success() { Ok(()) } else { Err("no such process".into()) }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    /// Returns a connection for the test, separate from the backend.
    pub(crate) fn raw(&self) -> Result<Raw> {
        Raw::connect(self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}
