//! A custom strategy that panics is no concern of the other clients in the same call.

use std::{
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use futures_util::FutureExt;
use traffik::{
    Rate,
    backend::Backend,
    client::Key,
    clock::Timestamp,
    decision::{Hit, Receipt},
    strategy::{AnyStrategy, Concurrency, Past, State, Strategy, StrategyError},
};
use traffik_redis::RedisBackend;

use super::Leases;
use crate::{Result, builder, server::Server};

/// `Leases` that panic on demand, whatever they are asked about what is stored.
#[derive(Debug)]
struct Fragile(Arc<AtomicBool>);

impl Fragile {
    fn inner(&self) -> Leases {
        assert!(!self.0.load(Ordering::SeqCst), "it panics on purpose");
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

    fn available(&self, past: Option<&Past>, rate: Rate, now: Timestamp) -> u64 {
        self.inner().available(past, rate, now)
    }

    fn available_at(&self, past: Option<&Past>, rate: Rate, cost: u64, now: Timestamp) -> Timestamp {
        self.inner().available_at(past, rate, cost, now)
    }

    fn charge(&self, past: Option<Past>, rate: Rate, cost: u64, now: Timestamp) -> State {
        self.inner().charge(past, rate, cost, now)
    }

    fn refund(&self, past: Past, cost: u64, charged_at: Timestamp, now: Timestamp) -> State {
        self.inner().refund(past, cost, charged_at, now)
    }

    fn rewound(&self, past: &Past, now: Timestamp) -> Option<State> {
        Leases.rewound(past, now)
    }
}

/// Three clients at their limit of one, of which the second has the strategy that panics.
struct Three {
    backend: RedisBackend,
    keys: [Key; 3],
    strategies: [AnyStrategy; 3],
    charged_at: [Timestamp; 3],
    panics: Arc<AtomicBool>,
    _server: Server,
}

impl Three {
    async fn start() -> Result<Self> {
        let (server, panics) = (Server::start()?, Arc::<AtomicBool>::default());
        let backend = builder(&server).connect().await?;
        let fragile = AnyStrategy::own(Fragile(Arc::clone(&panics)));
        let strategies = [AnyStrategy::own(Leases), fragile, Concurrency.into()];
        let (keys, charged_at) = (["bob", "eve", "alice"].map(Key::from), [Timestamp::UNIX_EPOCH; 3]);
        let mut three = Self { backend, keys, strategies, charged_at, panics, _server: server };
        for place in 0..3 {
            let decision = three.backend.decide(&[three.hits()[place]]).await?;
            assert!(decision.is_admitted());
            three.charged_at[place] = decision.outcomes()[0].at;
        }
        Ok(three)
    }

    fn hits(&self) -> [Hit<'_>; 3] {
        std::array::from_fn(|place| Hit {
            uid: "limit",
            key: &self.keys[place],
            strategy: &self.strategies[place],
            rate: Rate::literal("1/30s"),
            cost: 1,
        })
    }

    fn receipts(&self) -> [Receipt<'_>; 3] {
        let hits = self.hits();
        std::array::from_fn(|place| Receipt { hit: hits[place], charged_at: self.charged_at[place] })
    }

    /// Whether each has room.
    async fn has_room(&self) -> Result<[bool; 3]> {
        let decision = self.backend.peek(&self.hits()).await?;
        let admitted: Vec<_> = decision.outcomes().iter().map(|outcome| outcome.admitted).collect();
        admitted.try_into().map_err(|_| "three outcomes".into())
    }
}

#[tokio::test]
async fn refund_at_which_a_strategy_panics_gives_back_the_rest() -> Result {
    let three = Three::start().await?;
    let receipts = three.receipts();
    three.panics.store(true, Ordering::SeqCst);
    assert!(three.backend.refund(&receipts).await.is_err());
    three.panics.store(false, Ordering::SeqCst);
    assert_eq!(three.has_room().await?, [true, false, true]);
    Ok(())
}

#[tokio::test]
async fn renewal_at_which_a_strategy_panics_renews_the_rest() -> Result {
    let three = Three::start().await?;
    let receipts = three.receipts();
    three.panics.store(true, Ordering::SeqCst);
    let renewed = three.backend.renew(&receipts).await?;
    three.panics.store(false, Ordering::SeqCst);
    let renewed: Vec<_> = renewed.iter().map(Option::is_some).collect();
    assert_eq!(renewed, [true, false, true]);
    assert_eq!(three.has_room().await?, [false; 3]);
    Ok(())
}

#[tokio::test]
async fn decision_at_which_a_strategy_panics_resumes_in_its_caller_and_charges_nothing() -> Result {
    let three = Three::start().await?;
    three.panics.store(true, Ordering::SeqCst);
    let hits = three.hits();
    let decision = AssertUnwindSafe(three.backend.decide(&hits[..2]).into_future()).catch_unwind().await;
    assert!(decision.is_err(), "it did not panic");
    three.panics.store(false, Ordering::SeqCst);
    // The turn of the client is free.
    assert!(!three.backend.decide(&hits[..2]).await?.is_admitted());
    Ok(())
}
