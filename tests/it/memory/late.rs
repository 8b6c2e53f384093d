//! Decisions that others overtake: their time is read, and then others decide at a later time, before the entry is locked.

use std::{
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use traffik::{
    Rate,
    backend::MemoryBackend,
    client::Key,
    clock::{AnyClock, Clock, Timestamp},
    decision::{Decision, Hit, LimitId},
    strategy::{AnyStrategy, FixedWindow, Gcra, LeakyBucket, SlidingWindowCounter, TokenBucket},
    test::ManualClock,
};

use super::{admits, decided};

type Others = Box<dyn FnOnce() + Send>;

/// A clock that lets others decide after its time was read.
#[derive(Clone, Default)]
struct Overtaken {
    clock: ManualClock,
    others: Arc<Mutex<Option<Others>>>,
}

impl fmt::Debug for Overtaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Overtaken").field(&self.clock).finish()
    }
}

impl Clock for Overtaken {
    #[expect(clippy::unwrap_used, reason = "no thread panics with the lock")]
    fn now(&self) -> Timestamp {
        let now = self.clock.now();
        let others = self.others.lock().unwrap().take();
        others.into_iter().for_each(|decide| decide());
        now
    }

    async fn sleep(&self, duration: Duration) {
        self.clock.sleep(duration).await;
    }
}

fn strategies() -> [AnyStrategy; 5] {
    [
        FixedWindow.into(),
        SlidingWindowCounter.into(),
        TokenBucket::new().into(),
        LeakyBucket::new().into(),
        Gcra::new().burst(3).into(),
    ]
}

/// Returns a decision about a client that was admitted `first` times, and that `others` overtake, and the time after it.
#[expect(clippy::unwrap_used, reason = "the settings are in range")]
fn overtaken(
    strategy: AnyStrategy,
    first: u64,
    others: impl Fn(&MemoryBackend, &ManualClock, &LimitId) + Send + 'static,
) -> (Decision, Timestamp) {
    let clock = Overtaken::default();
    let (backend, limit) = (MemoryBackend::builder("test").max_entries(16), Arc::new(LimitId::new("limit", strategy)));
    let backend = backend.clock(AnyClock::new(clock.clone())).build().unwrap();
    let key = Key::from("alice");
    let hit = Hit::new(&limit, &key, Rate::literal("3/min"), 1);
    // Windows begin with a minute.
    clock.clock.advance(Duration::from_secs(60 - clock.clock.now().as_micros() / 1_000_000 % 60 + 59));
    for _ in 0..first {
        assert!(admits(&backend, &[hit]));
    }
    let decide = {
        let (backend, limit, clock) = (backend.clone(), Arc::clone(&limit), clock.clock.clone());
        move || others(&backend, &clock, &limit)
    };
    *clock.others.lock().unwrap() = Some(Box::new(decide));
    (decided(&backend, &[hit]), clock.clock.now())
}

#[test]
fn decision_that_was_overtaken_is_made_at_a_later_time() {
    for strategy in strategies() {
        let (decision, now) = overtaken(strategy.clone(), 1, |backend, clock, limit| {
            clock.advance(Duration::from_secs(61));
            let key = Key::from("alice");
            assert!(admits(backend, &[Hit::new(limit, &key, Rate::literal("3/min"), 3)]));
        });
        assert!(!decision.is_admitted(), "{strategy:?}: the limit was used up at that time");
        assert_eq!(decision.outcomes()[0].at, now, "{strategy:?}");
    }
}

#[test]
fn client_whose_entry_expired_and_was_removed_meanwhile_is_not_new_at_the_earlier_time() {
    for strategy in strategies() {
        let (decision, now) = overtaken(strategy.clone(), 3, |backend, clock, limit| {
            clock.advance(Duration::from_secs(300));
            for stranger in 0..100_u64 {
                let key = Key::from(stranger);
                assert!(admits(backend, &[Hit::new(limit, &key, Rate::literal("3/min"), 1)]));
            }
        });
        assert!(decision.is_admitted(), "{strategy:?}: the limit is free again");
        assert_eq!(decision.outcomes()[0].at, now, "{strategy:?}: it was used up at the earlier time");
    }
}
