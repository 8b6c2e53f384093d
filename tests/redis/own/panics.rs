//! A custom strategy that panics does not affect other clients in the same call.

use std::{
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use futures_util::FutureExt;
use tests::{limit, refunds};
use traffik::{
    Rate,
    backend::Backend,
    client::Key,
    clock::Timestamp,
    decision::{Charge, Hit},
    strategy::{AnyStrategy, Concurrency, State, StoredState, Strategy, StrategyError},
};
use traffik_redis::RedisBackend;

use super::Leases;
use crate::{Result, builder, server::Server};

/// `Leases` that panic on demand, in any function that reads a stored state.
#[derive(Debug)]
pub(crate) struct Fragile(pub(crate) Arc<AtomicBool>);

impl Fragile {
    fn inner(&self) -> Leases {
        assert!(!self.0.load(Ordering::SeqCst), "this panic is intended");
        Leases
    }
}

impl Strategy for Fragile {
    fn name(&self) -> &'static str {
        "fragile"
    }

    fn check(&self, rate: Rate) -> std::result::Result<(), StrategyError> {
        Leases.check(rate)
    }

    fn capacity(&self, rate: Rate) -> u64 {
        Leases.capacity(rate)
    }

    fn available(&self, past: Option<&StoredState>, rate: Rate, now: Timestamp) -> u64 {
        self.inner().available(past, rate, now)
    }

    fn available_at(&self, past: Option<&StoredState>, rate: Rate, cost: u64, now: Timestamp) -> Timestamp {
        self.inner().available_at(past, rate, cost, now)
    }

    fn charge(&self, past: Option<StoredState>, rate: Rate, cost: u64, now: Timestamp) -> State {
        self.inner().charge(past, rate, cost, now)
    }

    fn refund(&self, past: StoredState, cost: u64, charged_at: Timestamp, now: Timestamp) -> State {
        self.inner().refund(past, cost, charged_at, now)
    }

    fn clamped_to(&self, past: &StoredState, now: Timestamp) -> Option<State> {
        Leases.clamped_to(past, now)
    }
}

/// Returns a client at its limit of one.
struct Holder {
    key: Key,
    strategy: AnyStrategy,
    charged_at: Timestamp,
}

impl Holder {
    fn hit(&self) -> Hit<'_> {
        Hit::new(limit("limit", &self.strategy), &self.key, Rate::literal("1/30s"), 1)
    }

    fn charge(&self) -> Charge<'_> {
        Charge::new(self.hit(), self.charged_at)
    }
}

/// Three clients. The second has the strategy that panics.
struct Three {
    backend: RedisBackend,
    holders: [Holder; 3],
    panics: Arc<AtomicBool>,
    _server: Server,
}

impl Three {
    async fn start() -> Result<Self> {
        let (server, panics) = (Server::start()?, Arc::<AtomicBool>::default());
        let backend = builder(&server).connect().await?;
        let fragile = AnyStrategy::custom(Fragile(Arc::clone(&panics)));
        let holder = |name, strategy| Holder { key: Key::from(name), strategy, charged_at: Timestamp::UNIX_EPOCH };
        let mut holders =
            [holder("bob", AnyStrategy::custom(Leases)), holder("eve", fragile), holder("alice", Concurrency.into())];
        for holder in &mut holders {
            let decision = backend.decide(&[holder.hit()]).await?;
            assert!(decision.is_admitted());
            holder.charged_at = decision.outcomes().first().ok_or("no outcome")?.at;
        }
        Ok(Self { backend, holders, panics, _server: server })
    }

    fn hits(&self) -> [Hit<'_>; 3] {
        self.holders.each_ref().map(Holder::hit)
    }

    fn charges(&self) -> [Charge<'_>; 3] {
        self.holders.each_ref().map(Holder::charge)
    }

    /// Returns whether each client has room.
    async fn has_room(&self) -> Result<[bool; 3]> {
        let decision = self.backend.peek(&self.hits()).await?;
        let admitted: Vec<_> = decision.outcomes().iter().map(|outcome| outcome.admitted).collect();
        admitted.try_into().map_err(|_| "three outcomes".into())
    }
}

#[tokio::test]
async fn refund_with_a_panicking_strategy_refunds_the_rest() -> Result {
    let three = Three::start().await?;
    let charges = three.charges();
    three.panics.store(true, Ordering::SeqCst);
    let refunded = three.backend.adjust(&refunds(&charges)).await?;
    let refunded: Vec<_> = refunded.iter().map(|refunded| refunded.is_ok()).collect();
    three.panics.store(false, Ordering::SeqCst);
    assert_eq!(refunded, [true, false, true]);
    assert_eq!(three.has_room().await?, [true, false, true]);
    Ok(())
}

#[tokio::test]
async fn renewal_with_a_panicking_strategy_renews_the_rest() -> Result {
    let three = Three::start().await?;
    let charges = three.charges();
    three.panics.store(true, Ordering::SeqCst);
    let renewed = three.backend.renew(&charges).await?;
    three.panics.store(false, Ordering::SeqCst);
    let renewed: Vec<_> = renewed.iter().map(Option::is_some).collect();
    assert_eq!(renewed, [true, false, true]);
    assert_eq!(three.has_room().await?, [false; 3]);
    Ok(())
}

#[tokio::test]
async fn decision_with_a_panicking_strategy_panics_in_its_caller_and_charges_nothing() -> Result {
    let three = Three::start().await?;
    three.panics.store(true, Ordering::SeqCst);
    let [bob, eve, _] = three.hits();
    let decision = AssertUnwindSafe(three.backend.decide(&[bob, eve]).into_future()).catch_unwind().await;
    assert!(decision.is_err(), "the decision did not panic");
    three.panics.store(false, Ordering::SeqCst);
    // The turn of the client is free again.
    assert!(!three.backend.decide(&[bob, eve]).await?.is_admitted());
    Ok(())
}
