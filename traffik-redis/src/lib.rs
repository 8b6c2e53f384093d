//! The Redis backend of [traffik](https://docs.rs/traffik): enforces one limit across all processes of an app.
//!
//! ```no_run
//! use std::time::Duration;
//! use traffik::Traffik;
//! use traffik_redis::RedisBackend;
//!
//! # async fn start() -> Result<(), Box<dyn std::error::Error>> {
//! let redis = RedisBackend::builder("redis://localhost:6379/0")
//!     .namespace("myapp:prod")
//!     .command_timeout(Duration::from_millis(50))
//!     .connect()
//!     .await?;
//! let traffik = Traffik::new(redis)?;
//! # Ok(())
//! # }
//! ```
//!
//! # What it promises
//!
//! - **One command per decision**, for any number of limits. A Lua script reads all entries, decides, and writes all of
//!   them or none. It takes no locks, and never admits more than the limit under any concurrency. (Your own strategies
//!   take [two commands](#strategies-of-your-own).)
//! - **Exact arithmetic.** Each strategy has a Lua form that computes in exact integers, and gives the same results as
//!   the memory backend. The numbers of a response are computed in Rust from the stored state.
//! - **One clock**, the server's, read once per decision. If the clock goes back, as after a failover, no limit opens.
//!   A client is not refused for longer than its strategy can refuse.
//! - **A refusal writes nothing.** The exception is a state that was written by a clock that is ahead: it is moved
//!   back.
//! - **Every entry expires.** An entry is a string, usually of 34 bytes. Its key has the TTL that its strategy needs.
//! - **No call for a blocked client.** After Redis refuses a request, this process refuses the next ones itself. It
//!   does so for the shorter of the wait and [`refusal_max_age`](RedisBackendBuilder::refusal_max_age), so a flood from
//!   one client reaches Redis once a second by default.
//! - **Batches under load.** Up to two calls are in flight per connection. Decisions that arrive meanwhile wait until
//!   one of the calls is answered, and go together in the next call. (In a cluster, a call holds one decision, and up
//!   to 16 are in flight for each of 1024 ranges of slots.)
//! - **A deadline on every call.** Within it there is an answer or an error. A call that was sent and timed out may
//!   still run. It then charges, never frees a limit, and is [counted](RedisStats::late). A call that was not sent by
//!   its deadline never is, and ends as [`NotRun`](traffik_core::backend::BackendError::NotRun). Only a script that the
//!   server has forgotten is sent twice.
//! - **A caller that is not polled delays no other caller.** Tasks make the calls and watch the deadlines. Callers only
//!   receive. A decision that was polled once and then kept, as in `buffer_unordered` or in a losing branch of
//!   `select!`, occupies nothing that other callers need. If a runtime ends, the next caller starts the tasks and the
//!   connection again in its own runtime.
//! - **Keys cannot be forged.** Text from a client is escaped, and long names are digested. A client whose key is
//!   secret leaves the process only as a digest under the key set by [`secret`](RedisBackendBuilder::secret).
//!
//! The guide describes what is stored and for how long, failures, and the server's settings: `docs/redis.md`.
//!
//! # While Redis is away
//!
//! A request whose limit cannot be checked is a 503, unless `on_error` says otherwise. In this example a memory backend
//! decides while Redis is away, and the app starts without Redis. After ten failures in a row, requests no longer wait
//! for Redis:
//!
//! ```no_run
//! use std::time::Duration;
//! use traffik::{Traffik, backend::MemoryBackend, breaker::CircuitBreaker, on_error::Failover};
//! use traffik_redis::RedisBackend;
//!
//! # async fn start() -> Result<(), Box<dyn std::error::Error>> {
//! let redis = RedisBackend::builder("redis://localhost:6379/0")
//!     .namespace("myapp:prod")
//!     .secret(std::env::var("LIMITS_SECRET")?)
//!     .command_timeout(Duration::from_millis(50))
//!     .connect_lazy()?;
//! let breaker = CircuitBreaker::builder()
//!     .failure_threshold(10)
//!     .recovery_timeout(Duration::from_secs(60))
//!     .success_threshold(3)
//!     .build()?;
//! let traffik = Traffik::builder(redis)
//!     .on_error(Failover::to(MemoryBackend::new("myapp:fallback")).breaker(breaker).retries(2))
//!     .build()?;
//! # Ok(())
//! # }
//! ```
//!
//! [`command_timeout`](RedisBackendBuilder::command_timeout) bounds one call, and `backend_timeout` bounds everything
//! that a request waits for. Calls that certainly did not run end as
//! [`NotRun`](traffik_core::backend::BackendError::NotRun): see `Retry` for which these are.
//!
//! # Sizing
//!
//! A client takes some 200 bytes of the server's memory per limit, including the key, and 8 bytes per charge in a
//! `SlidingWindowLog`. A decision about one limit takes the server about 8 µs, and up to 20 µs for a log. The guide has
//! the figures by strategy, which `cargo bench --package benches --bench redis` measures.
//!
//! # Strategies of your own
//!
//! Your own strategies run unchanged, without a form in Lua. The backend reads the stored states with the server's
//! time, decides in the process, and replaces the states in one command if no other process has changed them. These
//! decisions are as exact. They take two commands if they admit, and one if they refuse.
//!
//! If another process was faster, the backend decides again, up to 1024 times within the deadline. After that it
//! returns an error, and nothing is charged.
//!
//! # What the store loses
//!
//! Limits forget what Redis loses: in a restart without persistence, in a failover before the replica had the data, and
//! one client at a time if `maxmemory-policy` lets Redis evict keys. Clients can then use what was lost once more, and
//! no more than that. Give limits a server with the policy `noeviction`, which turns a full memory into errors.
//!
//! # The server
//!
//! Requires Redis 6.2 or later, or Valkey. [`RedisBackend::builder`] lists the forms of its address.
//! [`connect`](RedisBackendBuilder::connect) checks that the server is reachable and can keep limits, and returns an
//! error that says what is wrong. [`connect_lazy`](RedisBackendBuilder::connect_lazy) lets the app start without the
//! server.
//!
//! A lost connection is retried without end: the first time immediately, then about six times a second. The same
//! happens to a connection on which calls are no longer answered, even if the system considers it alive. If a server
//! hangs, the first calls wait until their deadline. The calls after them fail without waiting, until the server is
//! back.
//!
//! A server that is reachable may refuse calls: it is out of memory, still loads its data, requires another password,
//! or was made a replica. Each call then returns an error immediately that says so, and nothing is charged. Decisions
//! resume when the server accepts calls again. If it answers that it is a replica, the backend reconnects, because the
//! address may lead to the new primary by now. The log has each reason of an outage once.
//!
//! A user of its own needs no more than the following permissions, where `myapp:prod` is the namespace. In a namespace,
//! every byte that is not a letter, a digit or one of `-_.:@/` is written as `%` and two hexadecimal digits:
//!
//! ```text
//! ACL SETUSER traffik on >password resetkeys ~{myapp:prod|* ~{myapp:prod}|control -@all
//!     +evalsha +eval +time +get +getrange +set +setrange +pexpireat
//!     +hget +hset +hdel +hincrby +hgetall +unlink +scan
//!     +ping +select +info +client|id +role +cluster|slots +asking
//! ```
//!
//! The second key and the commands for hashes are for [`control`](traffik_core::backend::Backend::control). `scan` is
//! for [`clear`](traffik_core::backend::Backend::clear), and `unlink` for that and for `reset`. `info` is for the
//! version, and for the warning about a server that may forget clients. `select` is for a database other than 0, `role`
//! for sentinels, and `cluster|slots` and `asking` for a cluster.
//!
//! # TLS
//!
//! Requires the feature `rustls`, and an address with `rediss://`. The server's certificate has to be for its host, and
//! signed by an authority that the system trusts. Your own authority, or a certificate for the client, goes into a
//! `Config` of [fred], also for a cluster. This requires the feature `fred-10`:
//!
//! ```no_run
//! # #[cfg(all(feature = "fred-10", feature = "rustls"))]
//! # async fn start() -> Result<(), Box<dyn std::error::Error>> {
//! use traffik_redis::{
//!     RedisBackend,
//!     fred::{
//!         rustls::{ClientConfig, RootCertStore, pki_types::{CertificateDer, pem::PemObject}},
//!         types::config::{Config, TlsConnector},
//!     },
//! };
//!
//! let mut authorities = RootCertStore::empty();
//! authorities.add(CertificateDer::from_pem_file("/etc/ssl/our-authority.pem")?)?;
//! let tls = ClientConfig::builder().with_root_certificates(authorities).with_no_client_auth();
//! let mut config = Config::from_url("redis://redis.internal:6379/0")?;
//! config.tls = Some(TlsConnector::from(tls).into());
//! let redis = RedisBackend::from_config(config).namespace("myapp:prod").connect().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Clusters
//!
//! Requires the feature `cluster`. All entries of a client are in one slot, so stacked limits stay one decision. A node
//! that hangs or dies is an error for its clients, until a replica takes its place or the node is back. Clients on
//! other nodes are not affected. While slots move, each decision follows its entries to their new node, and charges
//! once.
//!
//! A decision about several clients is made slot by slot. If a later slot refuses, the charges of the earlier slots are
//! refunded. This never admits too much. For a moment it may admit too little.
//!
//! # Features
//!
//! - `cluster`: clusters, for `redis-cluster://`.
//! - `metrics`: the counts of [`RedisStats`] and the connections as [metrics](https://docs.rs/metrics), for the recorder that
//!   the app installs. `docs/metrics-and-logs.md` lists them.
//! - `rustls`: TLS, for `rediss://`.
//! - `fred-10`: `RedisBackend::from_config` and `RedisBackend::from_client`, and a re-export of [fred] 10, the client
//!   library. The public API then names types of fred. Its next major version will be another feature.
//! - `unstable-manual-clock`: for the tests of this workspace. Do not enable it.
//!
//! [fred]: https://docs.rs/fred/10

mod answer;
mod backend;
mod builder;
mod by_swap;
mod calls;
mod check;
mod client;
mod control;
mod error;
mod instruments;
mod keys;
mod lock;
mod owned;
mod packed;
mod places;
mod question;
mod refusals;
mod scripts;
mod store;

/// Re-exports the client library, for [`RedisBackend::from_config`] and [`RedisBackend::from_client`].
#[cfg(feature = "fred-10")]
pub use fred;

pub use self::{backend::RedisBackend, builder::RedisBackendBuilder, error::Error, instruments::RedisStats};

/// Stored states, for the fuzz targets.
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing {
    use traffik_core::strategy::{AnyStrategy, StoredState};

    use crate::packed;

    /// Reads stored bytes.
    #[must_use]
    pub fn unpack(bytes: &[u8]) -> Option<StoredState> {
        packed::unpack(bytes).ok().flatten()
    }

    /// Writes a state in the form of its strategy.
    #[must_use]
    pub fn pack(strategy: &AnyStrategy, past: &StoredState) -> Option<Vec<u8>> {
        packed::pack(strategy, past).ok()
    }
}
