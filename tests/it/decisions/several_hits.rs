//! Several hits in one backend call, compared with models. The conformance suite has what every backend must do.

use std::{collections::HashMap, time::Duration};

use tests::limit;
use traffik::{
    Rate,
    backend::{Backend, BackendError, MemoryBackend},
    client::Key,
    clock::Clock,
    decision::Hit,
    strategy::{AnyStrategy, FixedWindow, SlidingWindowCounter, Strategy, TokenBucket},
    test::ManualClock,
};

use crate::model::{FixedWindowModel, Model, SlidingWindowCounterModel, TokenBucketModel};

type Result = std::result::Result<(), BackendError>;

const RATE: Rate = Rate::literal("5/min");

fn backend() -> (MemoryBackend, ManualClock) {
    let clock = ManualClock::new();
    (MemoryBackend::with_clock("test", clock.clone()), clock)
}

fn hit<'a>(uid: &'a str, key: &'a Key, strategy: &'a AnyStrategy, cost: u64) -> Hit<'a> {
    Hit::new(limit(uid, strategy), key, RATE, cost)
}

#[tokio::test]
async fn unlimited_or_free_hit_is_admitted_and_not_stored() -> Result {
    let (backend, _) = backend();
    let (key, strategy) = (Key::from("alice"), AnyStrategy::default());
    let unlimited = hit("limit", &key, &strategy, u64::MAX).at_rate(Rate::UNLIMITED);
    let free = hit("limit", &key, &strategy, 0);
    for _ in 0..10 {
        assert!(backend.decide(&[unlimited]).await?.is_admitted());
        assert!(backend.decide(&[free]).await?.is_admitted());
        assert!(backend.decide(&[unlimited, free]).await?.is_admitted());
    }
    assert!(backend.is_empty());

    backend.decide(&[hit("limit", &key, &strategy, 5)]).await?;
    assert!(backend.decide(&[free]).await?.is_admitted(), "a free hit fits a full limit");
    Ok(())
}

/// Makes random decisions about a few entries and compares each with the models.
#[tokio::test]
async fn random_hits_are_decided_like_their_models() -> Result {
    let (backend, clock) = backend();
    let strategies = [AnyStrategy::from(FixedWindow), SlidingWindowCounter.into(), TokenBucket::new().into()];
    let (limit, period) = (RATE.limit(), RATE.period_micros());
    let new_model = |strategy: &AnyStrategy| -> Box<dyn Model> {
        match strategy {
            AnyStrategy::FixedWindow(_) => Box::new(FixedWindowModel::new(limit, period)),
            AnyStrategy::SlidingWindowCounter(_) => Box::new(SlidingWindowCounterModel::new(limit, period)),
            _ => Box::new(TokenBucketModel::new(limit, period, limit)),
        }
    };
    let keys = ["alice", "bob"].map(Key::from);
    let mut models = HashMap::new();
    let (mut state, mut decided) = (1_u64, [0, 0]);
    let mut random = |most: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % (most + 1)
    };

    for step in 0..5000 {
        clock.advance(Duration::from_millis(random(4000)));
        let hits: Vec<_> = (0..random(11))
            .map(|_| {
                let pick = |number| usize::try_from(number).unwrap();
                let (uid, key) = (["a", "b"][pick(random(1))], &keys[pick(random(1))]);
                hit(uid, key, &strategies[pick(random(2))], random(2))
            })
            .collect();

        let now = clock.now().as_micros();
        let mut sums: HashMap<_, u64> = HashMap::new();
        let mut expected = Vec::new();
        for hit in &hits {
            let entry = (hit.limit.uid(), hit.key, hit.limit.strategy().name());
            let sum = sums.entry(entry).or_default();
            *sum += hit.cost;
            expected.push(models.entry(entry).or_insert_with(|| new_model(hit.limit.strategy())).fits(*sum, now));
        }
        let decision = backend.decide(&hits).await?;
        let admitted: Vec<_> = decision.outcomes().iter().map(|outcome| outcome.admitted).collect();
        assert_eq!(admitted, expected, "step {step}: {hits:?}");
        assert_eq!(decision.is_admitted(), !expected.contains(&false));
        if decision.is_admitted() {
            for (entry, sum) in sums {
                models.entry(entry).and_modify(|model| model.charge(sum, now));
            }
        }
        decided[usize::from(decision.is_admitted())] += 1;
    }
    assert!(decided[0] > 500 && decided[1] > 500, "refused and admitted: {decided:?}");
    Ok(())
}

#[tokio::test]
async fn two_rates_on_one_entry_apply_the_stricter_limit() {
    let (key, strategy, clock) = (Key::from("alice"), AnyStrategy::from(FixedWindow), ManualClock::new());
    let backend = MemoryBackend::with_clock("test", clock.clone());
    let hit = |rate| Hit::new(limit("limit", &strategy), &key, rate, 1);
    let mut admitted = 0;
    for _ in 0..1000 {
        let decision = backend.decide(&[hit(Rate::literal("100/hour")), hit(Rate::literal("10/s"))]).await;
        admitted += u64::from(decision.is_ok_and(|decision| decision.is_admitted()));
        clock.advance(Duration::from_millis(500));
    }
    // Both share one count: the lower limit applies for as long as the longer window lasts.
    assert_eq!(admitted, 5);
}
