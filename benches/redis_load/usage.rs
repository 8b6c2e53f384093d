use std::{
    fs,
    ops::{Add, Sub},
    time::{SystemTime, UNIX_EPOCH},
};

use crate::{Result, server::Server};

/// The work that was done and its time, in seconds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    pub(crate) calls: f64,
    pub(crate) seconds: f64,
    /// The processor time of this process and of the server.
    pub(crate) client: f64,
    pub(crate) server: f64,
    /// The commands that were sent to the server, and reads, which programs also send.
    pub(crate) commands: [f64; 2],
}

impl Usage {
    /// Returns the usage until now.
    pub(crate) fn now(server: &Server) -> Result<Self> {
        let id = server.id().ok_or("there is no server")?;
        Ok(Self {
            calls: 0.0,
            seconds: SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs_f64(),
            client: processor_time(std::process::id())?,
            server: processor_time(id)?,
            commands: commands(server)?,
        })
    }
}

/// Returns the processor time of all threads of a process.
fn processor_time(process: u32) -> Result<f64> {
    let mut nanoseconds = 0.0;
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        let text = fs::read_to_string(thread?.path().join("schedstat"))?;
        nanoseconds += text.split_whitespace().next().ok_or("no time")?.parse::<f64>()?;
    }
    Ok(nanoseconds / 1e9)
}

/// Returns the commands of three kinds that came over connections. Programs send `GET` themselves, so it counts only if
/// nothing else ran.
fn commands(server: &Server) -> Result<[f64; 2]> {
    let text = server.raw()?.call(&["INFO", "commandstats"])?.text();
    let count = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{name}:calls=")));
        line.and_then(|rest| rest.split(',').next()?.parse::<f64>().ok()).unwrap_or_default()
    };
    Ok([count("incr") + count("evalsha") + count("eval"), count("get")])
}

impl Add for Usage {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            calls: self.calls + other.calls,
            seconds: self.seconds + other.seconds,
            client: self.client + other.client,
            server: self.server + other.server,
            commands: [self.commands[0] + other.commands[0], self.commands[1] + other.commands[1]],
        }
    }
}

impl Sub for Usage {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self {
            calls: self.calls - other.calls,
            seconds: self.seconds - other.seconds,
            client: self.client - other.client,
            server: self.server - other.server,
            commands: [self.commands[0] - other.commands[0], self.commands[1] - other.commands[1]],
        }
    }
}
