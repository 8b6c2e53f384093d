//! Compiles and runs the code of the README and the guide, and provides what the test crates share.

mod calling;
#[path = "../../traffik-conformance/src/strategies.rs"]
mod strategies;
mod waiting;

use std::cell::RefCell;

use traffik::{CheckError, Client, Permit, Rate, Refusal, Throttles, Traffik};
use traffik_core::{
    clock::Timestamp,
    decision::{Adjustment, Charge, LimitId},
    strategy::{AnyStrategy, Strategy},
};

pub use self::{
    calling::{Call, Calling},
    strategies::{configured_strategies, each_strategy},
    waiting::{until, until_idle},
};

/// Returns the limit of a uid and a strategy. The limit is never freed, and the same thread gets the same one again.
#[must_use]
pub fn limit(uid: &str, strategy: &AnyStrategy) -> &'static LimitId {
    thread_local! {
        static LIMITS: RefCell<Vec<&'static LimitId>> = const { RefCell::new(Vec::new()) };
    }
    LIMITS.with_borrow_mut(|limits| {
        let known = limits.iter().find(|known| known.uid() == uid && known.strategy() == strategy).copied();
        known.unwrap_or_else(|| {
            let new = Box::leak(Box::new(LimitId::new(uid, strategy.clone())));
            limits.push(new);
            new
        })
    })
}

/// Returns the strategies of [`each_strategy`] that store a state of the same size for any number of charges.
#[must_use]
pub fn each_strategy_without_log(rate: Rate) -> Vec<AnyStrategy> {
    let stores_no_log = |strategy: &AnyStrategy| {
        let verdict = strategy.decide(None, rate, 1, Timestamp::UNIX_EPOCH);
        verdict.past.is_some_and(|past| past.state.log().is_none())
    };
    each_strategy(rate.limit()).into_iter().filter(|one| one.check(rate).is_ok() && stores_no_log(one)).collect()
}

/// How a strategy gives back what was charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refill {
    /// All of it at the end of a window of the clock.
    AtWindowEnd,
    /// Evenly over the window of the clock that follows.
    OverNextWindow,
    /// Each charge a period later.
    ByCharge,
    /// Evenly from the charge on.
    Evenly,
}

impl Refill {
    /// Returns the kind of a strategy. A custom strategy counts as a meter.
    #[must_use]
    pub const fn of(strategy: &AnyStrategy) -> Self {
        match strategy {
            AnyStrategy::FixedWindow(_) => Self::AtWindowEnd,
            AnyStrategy::SlidingWindowCounter(_) => Self::OverNextWindow,
            AnyStrategy::SlidingWindowLog(_) | AnyStrategy::Concurrency(_) => Self::ByCharge,
            _ => Self::Evenly,
        }
    }
}

/// Returns the refunds of charges.
#[must_use]
pub fn refunds<'a>(charges: &[Charge<'a>]) -> Vec<Adjustment<'a>> {
    charges.iter().map(|charge| charge.refund()).collect()
}

/// Checks a client, drops the permit, and returns whether there was one.
pub async fn admits<T: Throttles>(traffik: &Traffik, client: impl Into<Client>) -> Result<bool, CheckError> {
    match traffik.limiter::<T>(client).check().await {
        Ok(_) => Ok(true),
        Err(CheckError::Refused(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Returns the refusal of a check.
///
/// # Panics
///
/// Panics if the client was admitted, or if there is no decision.
#[track_caller]
#[must_use]
#[expect(clippy::panic, reason = "it asserts")]
pub fn refused<T>(checked: Result<Permit<T>, CheckError>) -> Refusal {
    match checked {
        Err(CheckError::Refused(refusal)) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

/// A module for each page, with the page as its documentation.
macro_rules! pages {
    ($($name:ident: $file:literal,)+) => {
        $(
            #[cfg(doctest)]
            #[doc = include_str!($file)]
            mod $name {}
        )+
    };
}

pages! {
    readme: "../../README.md",
    accounting: "../../docs/accounting.md",
    admin: "../../docs/admin.md",
    browsers: "../../docs/browsers.md",
    changing_limits: "../../docs/changing-limits.md",
    concurrency: "../../docs/concurrency.md",
    design: "../../docs/design.md",
    handlers: "../../docs/handlers.md",
    identities: "../../docs/identities.md",
    limits_file: "../../docs/limits-file.md",
    metrics_and_logs: "../../docs/metrics-and-logs.md",
    openapi: "../../docs/openapi.md",
    outages: "../../docs/outages.md",
    quickstart: "../../docs/quickstart.md",
    rates: "../../docs/rates.md",
    redis: "../../docs/redis.md",
    requests: "../../docs/requests.md",
    responses: "../../docs/responses.md",
    rolling_out: "../../docs/rolling-out.md",
    rules: "../../docs/rules.md",
    strategies_page: "../../docs/strategies.md",
    testing: "../../docs/testing.md",
    waiting_page: "../../docs/waiting.md",
    websockets: "../../docs/websockets.md",
    warnings: "../../docs/warnings.md",
}
