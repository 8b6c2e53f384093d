//! Several hits in one call of a backend.

use std::{collections::HashMap, time::Duration};

use traffik::{
    Rate,
    backend::{Backend, BackendError, MemoryBackend},
    client::Key,
    clock::{Clock, Timestamp},
    decision::{Hit, Standing},
    strategy::{AnyStrategy, FixedWindow, SlidingWindowCounter, SlidingWindowLog, Strategy, TokenBucket},
    test::ManualClock,
};

use crate::model::{FixedWindowModel, Model, SlidingWindowCounterModel, TokenBucketModel};

type Result = std::result::Result<(), BackendError>;

const RATE: Rate = Rate::literal("5/min");

fn backend() -> (MemoryBackend, ManualClock) {
    let clock = ManualClock::new();
    (MemoryBackend::new("test").clock(clock.clone()), clock)
}

fn hit<'a>(uid: &'a str, key: &'a Key, strategy: &'a AnyStrategy, cost: u64) -> Hit<'a> {
    Hit { uid, key, strategy, rate: RATE, cost }
}

async fn remaining(backend: &MemoryBackend, hit: Hit<'_>) -> std::result::Result<Vec<u64>, BackendError> {
    let decision = backend.peek(&[hit]).await?;
    Ok(decision.outcomes().iter().map(|outcome| Standing::new(hit.strategy, hit.rate, outcome).remaining()).collect())
}

#[tokio::test]
async fn all_hits_are_charged_or_none_is() -> Result {
    let (backend, _) = backend();
    let (alice, strategies) =
        (Key::from("alice"), [AnyStrategy::from(FixedWindow), SlidingWindowCounter.into(), TokenBucket::new().into()]);
    let hits = strategies.each_ref().map(|strategy| hit("limit", &alice, strategy, 2));
    assert!(backend.decide(&hits).await?.is_admitted());

    // Wherever the hit stands that does not fit.
    for dear in 0..hits.len() {
        let mut hits = hits;
        hits[dear].cost = 4;
        let decision = backend.decide(&hits).await?;
        assert!(!decision.is_admitted());
        let admitted: Vec<_> = decision.outcomes().iter().map(|outcome| outcome.admitted).collect();
        assert_eq!(admitted, (0..3).map(|i| i != dear).collect::<Vec<_>>());
        for hit in hits {
            assert_eq!(remaining(&backend, hit).await?, [3]);
        }
    }
    Ok(())
}

/// One of each kind of state.
fn kinds() -> [AnyStrategy; 4] {
    [FixedWindow.into(), SlidingWindowCounter.into(), SlidingWindowLog.into(), TokenBucket::new().into()]
}

/// Whether the client is new or known: these are decided in different ways.
#[tokio::test]
async fn hits_on_one_entry_add_up() -> Result {
    for strategy in kinds() {
        for known in [0, 1] {
            let (backend, _) = backend();
            let alice = Key::from("alice");
            let of = |cost| hit("limit", &alice, &strategy, cost);
            backend.decide(&[of(known)]).await?;

            let decision = backend.decide(&[of(2), of(2), of(2)]).await?;
            let told: Vec<_> = decision.outcomes().iter().map(|outcome| (outcome.admitted, outcome.cost)).collect();
            assert_eq!(told, [(true, 2), (true, 4), (false, 6)]);
            assert_eq!(remaining(&backend, of(1)).await?, [5 - known]);

            assert!(!backend.decide(&[of(3 - known), of(3)]).await?.is_admitted());
            assert!(backend.decide(&[of(2 - known), of(3)]).await?.is_admitted());
            assert_eq!(remaining(&backend, of(1)).await?, [0]);
            assert_eq!(backend.len(), 1);
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_refused_tuple_notes_that_the_clock_went_back() -> Result {
    for strategy in kinds() {
        let (backend, clock) = backend();
        let (alice, start) = (Key::from("alice"), clock.now());
        let both = [hit("a", &alice, &strategy, 5), hit("b", &alice, &strategy, 5)];
        assert!(backend.decide(&both).await?.is_admitted());
        clock.set(Timestamp::from_micros(start.as_micros() - 3_600_000_000));
        assert!(!backend.decide(&both).await?.is_admitted());
        // When it comes forward again an hour has passed.
        clock.set(start);
        assert!(backend.decide(&both).await?.is_admitted(), "{strategy:?}");
    }
    Ok(())
}

#[tokio::test]
async fn sums_beyond_64_bits_are_refused() -> Result {
    let (backend, _) = backend();
    let (alice, strategy) = (Key::from("alice"), AnyStrategy::default());
    let hits = [hit("limit", &alice, &strategy, u64::MAX), hit("limit", &alice, &strategy, 2)];
    assert!(!backend.decide(&hits).await?.is_admitted());
    assert!(backend.is_empty());
    Ok(())
}

#[tokio::test]
async fn what_is_unlimited_adds_nothing_to_other_hits() -> Result {
    let (backend, _) = backend();
    let (alice, strategy) = (Key::from("alice"), AnyStrategy::default());
    let unlimited = Hit { rate: Rate::UNLIMITED, ..hit("limit", &alice, &strategy, 100) };
    let decision = backend.decide(&[unlimited, hit("limit", &alice, &strategy, 2), unlimited]).await?;
    assert!(decision.is_admitted());
    assert_eq!(remaining(&backend, hit("limit", &alice, &strategy, 1)).await?, [3]);
    Ok(())
}

#[tokio::test]
async fn outcomes_are_in_the_order_of_the_hits() -> Result {
    let (backend, clock) = backend();
    let (key, strategy) = (Key::from("alice"), AnyStrategy::default());
    let uids = ["e", "b", "d", "a", "c"];
    let hits: Vec<_> = uids.iter().zip(1..).map(|(uid, cost)| hit(uid, &key, &strategy, cost)).collect();
    let decision = backend.decide(&hits).await?;
    assert_eq!(decision.outcomes().iter().map(|outcome| outcome.cost).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    assert!(decision.outcomes().iter().all(|outcome| outcome.at == clock.now()), "the time is read once");
    for (hit, used) in hits.iter().zip(1..) {
        assert_eq!(remaining(&backend, *hit).await?, [5 - used]);
    }
    Ok(())
}

#[tokio::test]
async fn no_hits_are_admitted() -> Result {
    let (backend, _) = backend();
    let decision = backend.decide(&[]).await?;
    assert!(decision.is_admitted() && decision.outcomes().is_empty());
    assert!(backend.peek(&[]).await?.is_admitted());
    Ok(())
}

#[tokio::test]
async fn what_is_unlimited_or_free_is_admitted_and_nothing_is_stored() -> Result {
    let (backend, _) = backend();
    let (key, strategy) = (Key::from("alice"), AnyStrategy::default());
    let unlimited = Hit { rate: Rate::UNLIMITED, ..hit("limit", &key, &strategy, u64::MAX) };
    let free = hit("limit", &key, &strategy, 0);
    for _ in 0..10 {
        assert!(backend.decide(&[unlimited]).await?.is_admitted());
        assert!(backend.decide(&[free]).await?.is_admitted());
        assert!(backend.decide(&[unlimited, free]).await?.is_admitted());
    }
    assert!(backend.is_empty());

    backend.decide(&[hit("limit", &key, &strategy, 5)]).await?;
    assert!(backend.decide(&[free]).await?.is_admitted(), "what is free fits where nothing is left");
    Ok(())
}

#[tokio::test]
async fn strategies_of_other_names_count_apart() -> Result {
    let (backend, _) = backend();
    let key = Key::from("alice");
    for strategy in [AnyStrategy::from(FixedWindow), SlidingWindowCounter.into(), TokenBucket::new().into()] {
        assert!(backend.decide(&[hit("limit", &key, &strategy, 5)]).await?.is_admitted());
        assert!(!backend.decide(&[hit("limit", &key, &strategy, 1)]).await?.is_admitted());
    }
    assert_eq!(backend.len(), 3);

    // The settings of one are no part of its name.
    let bucket = TokenBucket::new().burst(7).into();
    assert_eq!(remaining(&backend, hit("limit", &key, &bucket, 1)).await?, [2]);
    Ok(())
}

#[tokio::test]
async fn uids_count_apart_and_uid_and_key_cannot_be_mistaken_for_others() -> Result {
    let (backend, _) = backend();
    let strategy = AnyStrategy::default();
    let entries = [("ab", "c"), ("a", "bc"), ("abc", ""), ("", "abc"), ("a:b", "c"), ("a", "b:c")];
    for (uid, name) in entries {
        let key = Key::from(name);
        assert!(backend.decide(&[hit(uid, &key, &strategy, 5)]).await?.is_admitted(), "{uid:?} {name:?}");
    }
    assert_eq!(backend.len(), entries.len());
    Ok(())
}

/// Random decisions about a few entries, against a model for each entry.
#[tokio::test]
async fn any_mix_of_hits_is_decided_as_its_models_say() -> Result {
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
            let entry = (hit.uid, hit.key, hit.strategy.name());
            let sum = sums.entry(entry).or_default();
            *sum += hit.cost;
            expected.push(models.entry(entry).or_insert_with(|| new_model(hit.strategy)).fits(*sum, now));
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
async fn of_two_rates_on_one_entry_the_stricter_reading_holds() {
    let (key, strategy, clock) = (Key::from("alice"), AnyStrategy::from(FixedWindow), ManualClock::new());
    let backend = MemoryBackend::new("test").clock(clock.clone());
    let hit = |rate| Hit { uid: "limit", key: &key, strategy: &strategy, rate, cost: 1 };
    let mut admitted = 0;
    for _ in 0..1000 {
        let decision = backend.decide(&[hit(Rate::literal("100/hour")), hit(Rate::literal("10/s"))]).await;
        admitted += u64::from(decision.is_ok_and(|decision| decision.is_admitted()));
        clock.advance(Duration::from_millis(500));
    }
    // They share one count: the lower limit holds, and for as long as the longer window lasts.
    assert_eq!(admitted, 5);
}
