//! Hits that take what fits, and hits that are not enforced, against a twin that makes the same charges with plain hits.

use tests::limit;
use traffik::{
    Rate,
    backend::{Backend, BackendError, MemoryBackend},
    client::Key,
    clock::{Clock, Timestamp},
    decision::{Decision, Hit, LimitStatus},
    strategy::{AnyStrategy, LeakyBucketWithQueue, Strategy},
    test::ManualClock,
};

use crate::{
    patience::times,
    strategies::{all_strategies, random::Random},
};

type Result<T = ()> = std::result::Result<T, BackendError>;

/// Two backends with the same entries, and one clock.
struct Twins {
    subject: MemoryBackend,
    twin: MemoryBackend,
    clock: ManualClock,
    key: Key,
    random: Random,
    rates: [Rate; 2],
    strategies: Vec<AnyStrategy>,
}

impl Twins {
    fn new(seed: u64) -> Self {
        let (clock, mut random) = (ManualClock::at(Timestamp::from_micros(1_700_000_000_000_000)), Random::new(seed));
        let [subject, twin] = ["subject", "twin"].map(|name| MemoryBackend::with_clock(name, clock.clone()));
        let rate = random.rate();
        let other = Rate::new(rate.limit() + random.upto(1), rate.period() * 2).unwrap_or(rate);
        let fits = |strategy: &AnyStrategy| strategy.check(other).is_ok();
        let strategies = all_strategies(rate).into_iter().filter(fits).collect();
        Self { subject, twin, clock, key: Key::from("alice"), random, rates: [rate, other], strategies }
    }

    /// Draws up to four hits on two limits of one strategy or two, most of them at one rate. Some entries have several hits.
    async fn hits(&mut self) -> Result<Vec<Hit<'static>>> {
        let key: &'static Key = Box::leak(Box::new(self.key.clone()));
        let mut hits = Vec::new();
        for _ in 0..=self.random.upto(3) {
            let place = usize::try_from(self.random.upto(self.strategies.len() as u64 - 1)).unwrap_or_default();
            let (uid, rate) = (self.random.pick(&["a", "b"], "a"), self.random.pick(&self.rates[..], self.rates[0]));
            let rate = if self.random.upto(2) > 0 { self.rates[0] } else { rate };
            let place = if self.random.upto(1) > 0 { 0 } else { place };
            let Some(strategy) = self.strategies.get(place) else { continue };
            let hit = Hit::new(limit(uid, strategy), key, rate, 1);
            let left = remaining(&hit, &self.subject.peek(&[hit]).await?);
            let cost = self.random.cost(left, hit.limit.strategy().capacity(rate));
            hits.push(hit.costing(cost / (1 + self.random.upto(2))));
        }
        Ok(hits)
    }

    fn go_on(&mut self) {
        let now = self.random.later(self.clock.now().as_micros(), self.rates[0], &[0]);
        self.clock.set(Timestamp::from_micros(now));
    }

    async fn assert_same(&self, hits: &[Hit<'_>], context: &str) -> Result {
        for hit in hits {
            let hit = hit.costing(1);
            let [one, other] = [self.subject.peek(&[hit]).await?, self.twin.peek(&[hit]).await?];
            assert_eq!(one.outcomes(), other.outcomes(), "{context}: {hits:?}");
        }
        Ok(())
    }
}

fn remaining(hit: &Hit<'_>, peeked: &Decision) -> u64 {
    let left = peeked
        .outcomes()
        .iter()
        .map(|peeked| LimitStatus::new(hit.limit.strategy(), hit.rate, peeked).remaining().units().unwrap_or(u64::MAX));
    left.sum()
}

/// Plain hits that cost as much more than the lowest costs.
fn plain<'a>(hits: &[Hit<'a>], extra: u64) -> Vec<Hit<'a>> {
    hits.iter().map(|hit| hit.costing(hit.at_least.saturating_add(extra).min(hit.cost))).collect()
}

#[tokio::test]
async fn granted_cost_is_the_highest_that_fits_all_limits() -> Result {
    let mut counts = [0, 0, 0];
    for seed in 0..times(400, 40_000) {
        let mut twins = Twins::new(seed);
        for step in 0..8 {
            twins.go_on();
            let context = format!("seed {seed}, step {step}");
            let mut hits = twins.hits().await?;
            for hit in &mut hits {
                *hit = hit.at_least(twins.random.pick(&[0, 1, hit.cost / 2, hit.cost], 0));
            }
            let flexible = |hit: &&Hit<'_>| hit.at_least < hit.cost;
            let most = hits.iter().filter(flexible).map(|hit| hit.cost - hit.at_least).min().unwrap_or_default();
            let peeked = twins.subject.peek(&hits).await?;
            let decision = twins.subject.decide(&hits).await?;
            let extra = hits.iter().zip(decision.outcomes()).find(|(hit, _)| flexible(hit));
            let extra = extra.map_or(0, |(hit, outcome)| outcome.granted - hit.at_least);
            if decision.is_admitted() {
                counts[if extra == 0 { 1 } else { 2 }] += 1;
                let more = twins.twin.peek(&plain(&hits, extra.saturating_add(1))).await?;
                assert!(
                    extra == most || extra < most && !more.is_admitted(),
                    "{context}: {extra} is too little, {hits:?}"
                );
            } else {
                counts[0] += 1;
                assert_eq!(extra, 0, "{context}");
            }
            let expected = twins.twin.decide(&plain(&hits, extra)).await?;
            assert_eq!(decision.outcomes(), expected.outcomes(), "{context}: {extra} of {most}, {hits:?}");
            let granted = |decision: &Decision| decision.outcomes().iter().map(|outcome| outcome.granted).collect();
            let [peeked, decided]: [Vec<_>; 2] = [granted(&peeked), granted(&decision)];
            assert_eq!(peeked, decided, "{context}: {hits:?}");
            twins.assert_same(&hits, &context).await?;
        }
    }
    assert!(counts.iter().all(|count| *count > 300), "refused, admitted without and with more: {counts:?}");
    Ok(())
}

#[tokio::test]
async fn hits_that_are_not_enforced_refuse_nothing_and_are_charged_if_they_fit() -> Result {
    let mut counts = [0, 0, 0];
    for seed in 0..times(400, 40_000) {
        let mut twins = Twins::new(seed);
        for step in 0..8 {
            twins.go_on();
            let context = format!("seed {seed}, step {step}");
            let mut hits = twins.hits().await?;
            for hit in &mut hits {
                *hit = if twins.random.upto(1) == 0 { hit.not_enforced() } else { *hit };
            }
            let enforced: Vec<_> = hits.iter().filter(|hit| hit.enforced).copied().collect();
            let decision = twins.subject.decide(&hits).await?;
            let expected = twins.twin.decide(&enforced).await?;
            assert_eq!(decision.is_admitted(), expected.is_admitted(), "{context}: {hits:?}");
            counts[0] += usize::from(!decision.is_admitted());
            for (hit, outcome) in hits.iter().zip(decision.outcomes()).filter(|(hit, _)| !hit.enforced) {
                assert!(outcome.lets_pass());
                if decision.is_admitted() {
                    let alone = Hit::new(hit.limit, hit.key, hit.rate, hit.cost);
                    let fits = twins.twin.decide(&[alone]).await?.is_admitted();
                    assert_eq!(outcome.admitted, fits, "{context}: {hits:?}");
                    counts[1 + usize::from(fits)] += 1;
                }
            }
            twins.assert_same(&hits, &context).await?;
        }
    }
    assert!(counts.iter().all(|count| *count > 300), "refused, not charged and charged: {counts:?}");
    Ok(())
}

/// What is available in a queue says nothing of what is available after a charge.
#[tokio::test]
async fn queue_without_delay_grants_what_fits_without_delay() -> Result {
    let strategy = AnyStrategy::from(LeakyBucketWithQueue::new().queue(9).max_delay(std::time::Duration::ZERO));
    let backend = MemoryBackend::with_clock("test", ManualClock::new());
    let key = Key::from("alice");
    let hit = Hit::new(limit("queue", &strategy), &key, Rate::literal("60/min"), 20).at_least(1);
    assert_eq!(backend.decide(&[hit]).await?.outcomes()[0].granted, 10);
    assert!(!backend.decide(&[hit]).await?.is_admitted());
    Ok(())
}
