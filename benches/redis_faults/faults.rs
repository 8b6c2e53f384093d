//! Faults of a server, and of the connection to it.

use std::time::{Duration, Instant};

use tokio::time::sleep;
use traffik_redis::RedisBackend;

use crate::{Result, calls, server::free_port, site::Site};

/// The duration of faults that last.
const LASTS: Duration = Duration::from_secs(3);

/// The number of keys, and the minimum microseconds to load each.
const KEYS: &str = "30000";
const LOADS_SLOWLY: [&str; 4] = ["--key-load-delay", "100", "--loading-process-events-interval-bytes", "1024"];

const FILL: &str = "for key = 1, ARGV[1] do redis.call('SET', 'filling:' .. key, key) end";

#[derive(Clone, Copy)]
pub(crate) enum Fault {
    Killed,
    Hung,
    SilentLink,
    AnswersLost,
    ConnectionsClosed,
    ProgramsFlushed,
    RestartedEmpty,
    OutOfMemory,
    Loading,
    WrongPassword,
    ReadOnly,
    RefusedAtStart,
    SilentAtStart,
    KeptFutures,
}

/// The number of futures that are kept: more than the maximum number of calls in flight.
const KEPT: usize = 100;

impl Fault {
    pub(crate) const ALL: [Self; 14] = [
        Self::Killed,
        Self::Hung,
        Self::SilentLink,
        Self::AnswersLost,
        Self::ConnectionsClosed,
        Self::ProgramsFlushed,
        Self::RestartedEmpty,
        Self::OutOfMemory,
        Self::Loading,
        Self::WrongPassword,
        Self::ReadOnly,
        Self::RefusedAtStart,
        Self::SilentAtStart,
        Self::KeptFutures,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Killed => "killed (`kill -9`), back empty after 3 s",
            Self::Hung => "hung (`kill -STOP`) for 3 s",
            Self::SilentLink => "link silently dead for 3 s",
            Self::AnswersLost => "answers lost for 3 s",
            Self::ConnectionsClosed => "connections closed by the server, ten times",
            Self::ProgramsFlushed => "`SCRIPT FLUSH`",
            Self::RestartedEmpty => "restarted empty",
            Self::OutOfMemory => "out of memory for 3 s",
            Self::Loading => "restarted, loading its data for some seconds",
            Self::WrongPassword => "restarted with another password for 3 s",
            Self::ReadOnly => "a read-only replica for 3 s",
            Self::RefusedAtStart => "refused at the start, and for 3 s more",
            Self::SilentAtStart => "a port that takes connections and never answers, from the start and for 3 s more",
            Self::KeptFutures => "100 decisions polled once and kept for 3 s",
        }
    }

    pub(crate) const fn is_of_the_link(self) -> bool {
        matches!(self, Self::SilentLink | Self::AnswersLost | Self::SilentAtStart)
    }

    /// Returns whether the server is available when callers start.
    pub(crate) const fn is_there_at_the_start(self) -> bool {
        matches!(self, Self::RefusedAtStart | Self::SilentAtStart)
    }

    /// Returns whether the fault lasts long enough that every call fails for a while.
    pub(crate) const fn lasts(self) -> bool {
        self.may_fail_a_call()
            && !matches!(self, Self::ConnectionsClosed | Self::ProgramsFlushed | Self::RestartedEmpty)
    }

    /// Returns whether a call may fail. While futures are kept, the server works.
    pub(crate) const fn may_fail_a_call(self) -> bool {
        !matches!(self, Self::KeptFutures)
    }

    /// Returns the arguments of the server.
    pub(crate) const fn arguments(self) -> &'static [&'static str] {
        if matches!(self, Self::OutOfMemory) { &["--maxmemory-policy", "noeviction"] } else { &[] }
    }

    /// Prepares the site before callers start.
    pub(crate) fn prepare(self, site: &mut Site) -> Result {
        match self {
            Self::Loading => {
                site.command(&["EVAL", FILL, "0", KEYS])?;
                site.command(&["SAVE"])?;
            }
            Self::RefusedAtStart => site.server.kill()?,
            Self::SilentAtStart => site.link.cut(),
            _ => {}
        }
        Ok(())
    }

    /// Causes the fault, and returns when it was over. `backend` is that of the callers.
    pub(crate) async fn happen(self, site: &mut Site, backend: &RedisBackend) -> Result<Instant> {
        match self {
            Self::Killed => {
                site.server.kill()?;
                sleep(LASTS).await;
                site.start_again(&[])?;
            }
            Self::Hung => {
                site.server.hang()?;
                sleep(LASTS).await;
                site.server.go_on()?;
            }
            Self::SilentLink => {
                site.link.cut();
                sleep(LASTS).await;
                site.link.mend();
            }
            Self::RefusedAtStart => {
                sleep(LASTS).await;
                site.start_again(&[])?;
            }
            Self::SilentAtStart => {
                sleep(LASTS).await;
                site.link.mend();
            }
            Self::AnswersLost => {
                site.link.lose_answers();
                sleep(LASTS).await;
                site.link.mend();
            }
            Self::ConnectionsClosed => {
                for _ in 0..10 {
                    sleep(LASTS / 10).await;
                    site.command(&["CLIENT", "KILL", "TYPE", "normal"])?;
                }
            }
            Self::ProgramsFlushed => site.command(&["SCRIPT", "FLUSH"])?,
            Self::RestartedEmpty => {
                site.server.kill()?;
                site.start_again(&[])?;
            }
            Self::OutOfMemory => {
                site.command(&["CONFIG", "SET", "maxmemory", "1"])?;
                sleep(LASTS).await;
                site.command(&["CONFIG", "SET", "maxmemory", "0"])?;
            }
            Self::Loading => {
                site.server.kill()?;
                site.start_again(&LOADS_SLOWLY)?;
            }
            Self::WrongPassword => {
                site.server.kill()?;
                site.start_again(&["--requirepass", "another"])?;
                sleep(LASTS).await;
                let mut raw = site.server.raw()?;
                raw.call(&["AUTH", "another"])?;
                raw.call(&["CONFIG", "SET", "requirepass", ""])?;
            }
            Self::ReadOnly => {
                // This primary does not exist, so the replica keeps its data.
                site.command(&["REPLICAOF", "127.0.0.1", &free_port()?.to_string()])?;
                sleep(LASTS).await;
                site.command(&["REPLICAOF", "NO", "ONE"])?;
            }
            Self::KeptFutures => {
                let kept = calls::kept(backend, KEPT).await;
                sleep(LASTS).await;
                drop(kept);
            }
        }
        Ok(Instant::now())
    }
}
