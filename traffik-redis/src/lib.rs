//! The Redis backend of [traffik](https://docs.rs/traffik): one limit across all processes of an app.
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
//! - **One command a decision**, whatever the number of limits: a program in Lua reads everything, decides, and writes all or
//!   nothing. No locks, and never more than the limit under any concurrency. (Strategies of your own take
//!   [two](#strategies-of-your-own).)
//! - **The same digits** as the backend in memory: each strategy's Lua twin does its maths in exact integers, and the numbers
//!   of a response are worked out in Rust from what is stored.
//! - **One clock**, the server's, read once for a decision. If it goes back, as after a failover, nothing opens and nobody is
//!   locked out for longer than his strategy refuses anybody.
//! - **A refusal writes nothing**, except where it has to move back what was written by a clock that is ahead.
//! - **Everything expires.** An entry is a string, of 34 bytes as a rule, and its key has the TTL that its strategy needs.
//! - **No call for who is blocked.** What Redis has just refused is refused here, for the shorter of the wait and
//!   [`refusal_max_age`](RedisBackendBuilder::refusal_max_age): a flood from one client reaches Redis once a second.
//! - **Less for each, the more there is.** Up to two calls are under way at once; decisions that are asked for meanwhile wait for
//!   one of these to be answered, and go together in the next.
//! - **A deadline on every call**, within which there is an answer or an error. A call that timed out may still run: it is
//!   then charged, makes no room, and is [counted](RedisStats::late). One that was not sent by its deadline never is, and ends as
//!   [`NotRun`](traffik_core::backend::BackendError::NotRun). Nothing but a program that the server forgot is sent twice.
//! - **A caller that is not polled holds up no other.** Tasks make the calls and watch their deadlines; callers only receive. A
//!   decision that was polled once and then kept, as in `buffer_unordered` or a losing branch of `select!`, occupies nothing
//!   that others need. If a runtime ends, the next caller starts the tasks and the connection again in its own.
//! - **Nobody breaks out of his key.** What a client sends is escaped, long names are digested, and a client whose key is
//!   secret leaves the process only as a digest under the key that [`secret`](RedisBackendBuilder::secret) is given.
//!
//! The guide describes what is stored and for how long, failures, and the server's settings: `docs/redis.md`.
//!
//! # While Redis is away
//!
//! A request whose limit cannot be checked is a 503, unless `on_error` says otherwise. Here another backend
//! decides while Redis is away, the app comes up without it, and nobody waits for it once it failed ten times in a row:
//!
//! ```no_run
//! use std::time::Duration;
//! use traffik::{Traffik, backend::MemoryBackend, breaker::CircuitBreaker, on_error::Failover};
//! use traffik_redis::RedisBackend;
//!
//! # async fn start() -> Result<(), Box<dyn std::error::Error>> {
//! let redis = RedisBackend::builder("redis://localhost:6379/0")
//!     .namespace("myapp:prod")
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
//! The [`command_timeout`](RedisBackendBuilder::command_timeout) bounds one call, and
//! `backend_timeout` all that a request waits for. Calls that surely did not run are
//! told as [`NotRun`](traffik_core::backend::BackendError::NotRun): see `Retry` for which these are.
//!
//! # Sizing
//!
//! A client takes some 200 bytes of the server's memory for each limit, its key included, and 8 for each charge in a
//! `SlidingWindowLog`. A decision about one limit takes the server about 8 µs, a log's up to 20. The guide has the figures by
//! strategy, which `cargo bench --package benches --bench redis` measures.
//!
//! # Strategies of your own
//!
//! They run as they are, without a form in Lua: what is stored is read with the server's time, decided about in the process, and
//! replaced in one go if nobody changed it meanwhile. So they are as exact, and take two commands where they admit and one where
//! they refuse. Where others were faster it is decided anew, 1024 times at most within the deadline; then it is an error, and
//! nothing was charged.
//!
//! # What the store loses
//!
//! What Redis loses, limits forget: in a restart without persistence, in a failover before the replica had it, and client by
//! client where `maxmemory-policy` lets it evict keys. Clients then have what was lost once more, and no more than that. Give
//! limits a server whose policy is `noeviction`, which turns a full memory into errors.
//!
//! # The server
//!
//! Redis 6.2 or newer, or Valkey, reached as the table at [`RedisBackend::builder`] says.
//! [`connect`](RedisBackendBuilder::connect) insists that it is there and can keep limits, and tells what is wrong if it cannot;
//! [`connect_lazy`](RedisBackendBuilder::connect_lazy) lets the app come up without it.
//!
//! A connection that is lost is made again without end, for the first time at once and then about six times a second. So is
//! one on which calls are not answered any more, though the system takes it for alive: a server that hangs costs the first
//! calls their deadline, and those after them nothing, until it is there again.
//!
//! A server that is there and refuses, since it is out of memory, still loads its data, wants another password or was made a
//! replica, is an error at once that says so, and nothing is charged. Once it is willing, it decides. What answers that it is a
//! replica is connected to anew, as its address may lead to the new primary by now. The log has each reason of an outage once.
//!
//! A user of its own needs no more than this, where `myapp:prod` is the namespace (what is no letter, digit or one of `-_.:@/`
//! in a namespace is written as `%` and two hexadecimal digits):
//!
//! ```text
//! ACL SETUSER traffik on >password resetkeys ~{myapp:prod|* ~{myapp:prod}|control -@all
//!     +evalsha +eval +time +get +getrange +set +setrange +pexpireat
//!     +hget +hset +hdel +hincrby +hgetall +unlink +scan
//!     +ping +select +info +client|id +role +cluster|slots +asking
//! ```
//!
//! The second key and the commands for hashes are for [`control`](traffik_core::backend::Backend::control);
//! `scan` is for [`clear`](traffik_core::backend::Backend::clear) and `unlink` for that and `reset`; `info` for the warning of a
//! server that may forget clients; `select` for a database other than 0, `role` where there are sentinels, and
//! `cluster|slots` and `asking` in a cluster.
//!
//! # TLS
//!
//! With the feature `rustls`, for `rediss://`: the server's certificate has to be for its host, and signed by an authority that
//! the system trusts. An authority of your own, or a certificate for the client, goes into a `Config` of [fred]'s, of a
//! cluster too. That takes the feature `fred-10`:
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
//! With the feature `cluster`. All entries of a client are in one slot, so that stacked limits stay one decision. A node that
//! hangs or dies is an error for the clients that it has, until a replica takes its place or it is there again, and nothing to
//! the others. While slots move, everybody is followed to where his entries are, and charged once.
//!
//! A decision about several clients is made slot by slot. If a later one refuses, what the earlier ones charged is given back:
//! never too much is admitted, and for a moment perhaps too little.
//!
//! # Features
//!
//! - `cluster`: clusters, for `redis-cluster://`.
//! - `rustls`: TLS, for `rediss://`.
//! - `fred-10`: `RedisBackend::from_config` and `RedisBackend::from_client`, and a re-export of [fred] 10, which connects to
//!   servers. The public API then names types of fred, whose next major version will be another feature.
//! - `unstable-manual-clock`: for the tests of this workspace. Do not enable it.
//!
//! [fred]: https://docs.rs/fred/10

mod answer;
mod backend;
mod builder;
mod by_swap;
mod calls;
mod client;
mod control;
mod error;
mod keys;
mod owned;
mod packed;
mod places;
mod question;
mod refusals;
mod script;
mod scripts;
mod slots;
mod store;

/// The client library, for [`RedisBackend::from_config`] and [`RedisBackend::from_client`].
#[cfg(feature = "fred-10")]
pub use fred;

pub use self::{backend::RedisBackend, builder::RedisBackendBuilder, calls::RedisStats, error::Error};
