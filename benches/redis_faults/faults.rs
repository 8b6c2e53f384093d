//! What may happen to a server, and to the way there.

use std::time::{Duration, Instant};

use tokio::time::sleep;
use traffik_redis::RedisBackend;

use crate::{Result, calls, server::free_port, site::Site};

/// How long a fault lasts, if it lasts.
const LASTS: Duration = Duration::from_secs(3);

/// So many keys, and so many microseconds at least to load each.
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

/// How many futures are kept: more than there may be calls of any kind in flight.
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

    /// Whether the server is away when callers come, who have to do without having met it.
    pub(crate) const fn is_there_at_the_start(self) -> bool {
        matches!(self, Self::RefusedAtStart | Self::SilentAtStart)
    }

    /// Whether it goes on for long enough that every call fails for a while.
    pub(crate) const fn lasts(self) -> bool {
        self.may_fail_a_call()
            && !matches!(self, Self::ConnectionsClosed | Self::ProgramsFlushed | Self::RestartedEmpty)
    }

    /// Whether a call may be an error. Nothing is wrong with the server while futures are kept.
    pub(crate) const fn may_fail_a_call(self) -> bool {
        !matches!(self, Self::KeptFutures)
    }

    /// What the server is started with.
    pub(crate) const fn arguments(self) -> &'static [&'static str] {
        if matches!(self, Self::OutOfMemory) { &["--maxmemory-policy", "noeviction"] } else { &[] }
    }

    /// What has to be there before, and before anybody calls.
    pub(crate) fn prepare(self, site: &mut Site) -> Result {
        match self {
            Self::Loading => {
                site.tell(&["EVAL", FILL, "0", KEYS])?;
                site.tell(&["SAVE"])?;
            }
            Self::RefusedAtStart => site.server.kill()?,
            Self::SilentAtStart => site.link.cut(),
            _ => {}
        }
        Ok(())
    }

    /// Has it happen, and tells when it was over. `backend` is that of the callers.
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
                    site.tell(&["CLIENT", "KILL", "TYPE", "normal"])?;
                }
            }
            Self::ProgramsFlushed => site.tell(&["SCRIPT", "FLUSH"])?,
            Self::RestartedEmpty => {
                site.server.kill()?;
                site.start_again(&[])?;
            }
            Self::OutOfMemory => {
                site.tell(&["CONFIG", "SET", "maxmemory", "1"])?;
                sleep(LASTS).await;
                site.tell(&["CONFIG", "SET", "maxmemory", "0"])?;
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
                // Of a primary that is not there, which leaves it as it is.
                site.tell(&["REPLICAOF", "127.0.0.1", &free_port()?.to_string()])?;
                sleep(LASTS).await;
                site.tell(&["REPLICAOF", "NO", "ONE"])?;
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
