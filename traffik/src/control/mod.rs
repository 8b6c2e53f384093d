//! Changes of limits while the app runs.
//!
//! [`Traffik::limits`](crate::Traffik::limits) lists the limits that an app knows, and
//! [`Traffik::limit`](crate::Traffik::limit) changes one of them:
//!
//! ```
//! use std::time::Duration;
//! use traffik::{DefaultIdentity, MemoryBackend, Rate, Throttle, Traffik};
//!
//! struct Search;
//!
//! impl Throttle for Search {
//!     const UID: &'static str = "control:search";
//!     const RATE: Rate = Rate::literal("100/min");
//!     type Identity = DefaultIdentity;
//! }
//!
//! let traffik = Traffik::builder(MemoryBackend::new("myapp")).register::<Search>().build()?;
//!
//! let search = traffik.limit("control:search")?;
//! search.set_rate("20/min".parse()?)?;
//! search.block("203.0.113.7", Duration::from_secs(600), "scrapes")?;
//!
//! let listed = traffik.limits().into_iter().find(|limit| limit.uid() == "control:search");
//! assert_eq!(listed.map(|limit| limit.rate().value()), Some(Rate::literal("20/min")));
//!
//! // The throttle is as it was declared.
//! search.clear();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The next decision sees a change: in layers and handlers, in a [`Limiter`](crate::Limiter), in jobs, in open WebSockets, and
//! in the lines of callers that wait. A decision uses one snapshot of all changes, so a request never meets half of a change.
//! What was counted stays counted, and permits are kept.
//!
//! [`Traffik::add_limit`](crate::Traffik::add_limit) adds limits that are values, and no types: for tenants, or for rows of a table.
//!
//! # Sources
//!
//! Each setting has one value for each [`Source`]. The first source that has a value holds:
//!
//! 1. the block, the exemption or the rate of a [single client](LimitHandle::block),
//! 2. a local change,
//! 3. a shared change,
//! 4. a function of the throttle, such as [`Settings::rate_of`](crate::Settings::rate_of), or the caller of a check, as with
//!    [`Limiter::rate`](crate::Limiter::rate),
//! 5. a file,
//! 6. the declaration of the throttle.
//!
//! So a local change of a rate holds also for clients whose plan has another rate. A function or a caller that sets a cost of 0
//! does not count the request, whatever the changes are.

mod app;
mod clients;
mod handle;
mod list;
mod shared;

pub use self::{
    clients::ClientInfo,
    handle::LimitHandle,
    list::{LimitInfo, SettingInfo},
    shared::{Shared, SharedLimit},
};
pub use crate::limit::{
    KnownBy,
    changes::{Change, Setting, Source, Until},
};
#[cfg(feature = "file")]
pub use crate::{
    engine::LimitsFileStatus,
    limit::{LimitsFileError, file::WithoutEffect},
};
