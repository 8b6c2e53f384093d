//! The Redis backend of [traffik]: one limit across all processes of an app.
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
//! let traffik = Traffik::new(redis);
//! # Ok(())
//! # }
//! ```
//!
//! # What it promises
//!
//! - **One command a decision**, whatever the number of limits: a program in Lua reads everything, decides, and writes all or
//!   nothing. No locks, and never more than the limit under any concurrency.
//! - **The same digits** as the backend in memory: each strategy's Lua twin does its maths in exact integers, and the numbers
//!   of a response are worked out in Rust from what is stored.
//! - **One clock**, the server's, read once for a decision. If it goes back, as after a failover, nothing opens and nobody is
//!   locked out for longer than his strategy refuses anybody.
//! - **A refusal writes nothing**, except where it has to move back what was written by a clock that is ahead.
//! - **Everything expires.** An entry is a string of 34 bytes, and its key has the TTL that its strategy needs.
//! - **No call for who is blocked.** What Redis has just refused is refused here, for the shorter of the wait and
//!   [`refusal_max_age`](RedisBackendBuilder::refusal_max_age): a flood from one client reaches Redis once a second.
//! - **Less for each, the more there is.** Up to four calls are under way at once; decisions that are asked for meanwhile wait for
//!   one of these to be answered, and go together in the next.
//! - **A deadline on every call**, within which there is an answer or an error. A call that timed out may still run: it is
//!   then charged, makes no room, and is [counted](RedisStats::late). Nothing but a program that the server forgot is sent twice.
//! - **Nobody breaks out of his key.** What a client sends is escaped, long names are digested, and a client whose key is
//!   secret leaves the process only as a digest under the key that [`secret`](RedisBackendBuilder::secret) is given.
//!
//! # What the store loses
//!
//! What Redis loses, limits forget: all of it in a restart without persistence, the last second or so in one with it, and what
//! a replica had not got yet in a failover. Clients then have what was lost once more, and no more than that. A server that is
//! out of memory and may evict keys (`maxmemory-policy`) does the same to clients one by one: give limits a server whose policy is
//! `noeviction`, which turns that into errors.
//!
//! # What is not there yet
//!
//! Clusters, sentinels and Unix sockets (an error when connecting); the strategy `SlidingWindowLog` and strategies of your own
//! (an error that says so when they are asked about); connecting later when Redis is down at the start; and noticing faster than by its deadline and TCP's timeout that a server hangs.
//!
//! # Features
//!
//! - `rustls`: TLS, for `rediss://`.
//! - `test`: `RedisBackend::by_hand`, time that a test sets. It never reaches the programs that go by the server's clock.
//!
//! Redis 6.2 or newer.

mod address;
mod answer;
mod backend;
mod builder;
mod calls;
mod client;
mod error;
mod keys;
mod question;
mod refusals;
mod scripts;
mod slots;

pub use fred;

pub use self::{backend::RedisBackend, builder::RedisBackendBuilder, calls::RedisStats, error::Error};
