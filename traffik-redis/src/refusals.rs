//! Remembers recent refusals of Redis, and repeats them without a call.
//!
//! Otherwise a blocked client that does not stop would cost a call per request. A refusal is remembered as the state
//! that Redis reported. The strategy itself decides by that state whether a request is still refused. Other processes
//! may charge meanwhile, so less fits than the state says, and never more. Only refunds of other processes are noticed
//! late, by [`max_age`](Refusals::new) at most.

use std::{
    hash::{BuildHasher, RandomState},
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use quick_cache::sync::Cache;
use traffik_core::{
    Rate,
    clock::{AnyClock, Timestamp},
    decision::{Decision, Hit, Outcome},
    strategy::{StoredState, Strategy},
};

use crate::{
    places::{Amount, Places},
    scripts::LuaStrategy,
};

/// The number of groups of keys. The time of the last change is kept per group.
const GROUPS: usize = 1024;

pub(crate) struct Refusals {
    known: Cache<Box<str>, Arc<Remembered>>,
    max_age: Duration,
    /// The last charge or refund of a key in each group. What was asked before that is out of date.
    changed: Box<[AtomicU64]>,
    groups: RandomState,
}

/// What Redis said about one hit of a refused decision.
struct Remembered {
    past: Option<StoredState>,
    rate: Rate,
    cost: u64,
    /// When Redis decided, by its own clock. By the clock of this process it was between `asked` and `heard`.
    at: Timestamp,
    asked: Moment,
    heard: Moment,
}

/// Microseconds by the monotonic clock of this process. Never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(u64);

impl Refusals {
    /// Remembers up to `capacity` refusals, each for `max_age`. Remembers none if either is zero.
    pub(crate) fn new(capacity: usize, max_age: Duration) -> Self {
        let max_age = if capacity == 0 { Duration::ZERO } else { max_age };
        let changed = std::iter::repeat_with(AtomicU64::default).take(GROUPS).collect();
        Self { known: Cache::new(capacity), max_age, changed, groups: RandomState::new() }
    }

    /// Returns the decision if it is known to be a refusal.
    pub(crate) fn find(&self, places: &Places, hits: &[Hit<'_>], now: Moment) -> Option<Decision> {
        if !self.is_for(places) {
            return None;
        }
        let outcome = |(hit, place): (&Hit<'_>, &Option<usize>)| {
            let Some(place) = *place else { return Some(Outcome::new(true, hit.cost, AnyClock::system().now())) };
            let known = self.get(places.keys.get(place)?, now).filter(|known| known.applies_to(hit))?;
            Some(known.outcome(hit, now))
        };
        let outcomes = hits.iter().zip(&places.of_hits).map(outcome);
        let decision: Decision = outcomes.map(|outcome| outcome.map(Outcome::as_repeated)).collect::<Option<_>>()?;
        (!decision.is_admitted()).then_some(decision)
    }

    /// Remembers a refusal that was asked for and heard at two moments. If the decision is an admission, forgets its
    /// keys, because their states have changed.
    pub(crate) fn remember(&self, places: &Places, decision: &Decision, during: [Moment; 2]) {
        let [_, heard] = during;
        if decision.is_admitted() {
            let known = places.keys.iter().filter(|key| self.known.peek(key.as_str()).is_some());
            return self.forget(known, heard);
        }
        self.keep(places, decision, during);
    }

    /// Remembers the reported state of limits. It is used only together with a refusal.
    pub(crate) fn keep(&self, places: &Places, decision: &Decision, during: [Moment; 2]) {
        let [asked, heard] = during;
        if !self.is_for(places) {
            return;
        }
        for ((&Amount { rate, cost, .. }, outcome), place) in
            places.amounts.iter().zip(decision.outcomes()).zip(&places.of_hits)
        {
            let Some(key) = place.and_then(|place| places.keys.get(place)) else { continue };
            let (past, at) = (outcome.past.clone(), outcome.at);
            let known = Remembered { past, rate, cost, at, asked, heard };
            self.known.insert(key.as_str().into(), Arc::new(known));
        }
    }

    /// Forgets what was asked about these keys until now: more may fit.
    pub(crate) fn forget<'a>(&self, keys: impl IntoIterator<Item = &'a String>, Moment(now): Moment) {
        for group in keys.into_iter().filter_map(|key| self.group(key)) {
            group.fetch_max(now, Ordering::AcqRel);
        }
    }

    pub(crate) fn forget_all(&self, Moment(now): Moment) {
        for group in &self.changed {
            group.fetch_max(now, Ordering::AcqRel);
        }
    }

    /// Returns whether the decision can be remembered. Several hits on one entry add up, and Redis reports their sum.
    /// The granted cost of hits that are not plain is known to Redis alone.
    fn is_for(&self, places: &Places) -> bool {
        let hits = places.of_hits.iter().flatten().count();
        !self.max_age.is_zero() && hits == places.keys.len() && places.amounts.iter().all(Amount::is_plain)
    }

    /// Returns what is known about a key, unless it is too old.
    fn get(&self, key: &str, now: Moment) -> Option<Arc<Remembered>> {
        let known = self.known.get(key)?;
        let age = now.since(known.asked)?;
        let changed = self.group(key)?.load(Ordering::Acquire);
        (age < self.max_age && known.asked.0 > changed).then_some(known)
    }

    fn group(&self, key: &str) -> Option<&AtomicU64> {
        let digest = usize::try_from(self.groups.hash_one(key) % self.changed.len() as u64).ok()?;
        self.changed.get(digest)
    }
}

impl Remembered {
    /// Returns whether a hit is still refused, even if Redis decided as soon as it was asked.
    fn refuses(&self, hit: &Hit<'_>, now: Moment) -> bool {
        let latest = self.at.saturating_add(now.since(self.asked).unwrap_or_default());
        let past = self.past_at(latest);
        hit.cost > 0 && !hit.limit.strategy().fits(past, hit.rate, hit.cost, latest)
    }

    /// Returns whether the known state applies to this hit.
    ///
    /// The summary of a log applies only to the hit it was made for, and so does the state of a custom strategy. A hit
    /// with a higher cost may fit long before the whole log has ended, which is what a summary would say.
    fn applies_to(&self, hit: &Hit<'_>) -> bool {
        match LuaStrategy::of(hit.limit.strategy()) {
            None | Some(LuaStrategy::SlidingWindowLog) => hit.rate == self.rate && hit.cost == self.cost,
            Some(_) => true,
        }
    }

    /// Returns the outcome of a hit. The wait counts from when the reply was heard: it may be too long, but never too
    /// short.
    fn outcome(&self, hit: &Hit<'_>, now: Moment) -> Outcome {
        let at = self.at.saturating_add(now.since(self.heard).unwrap_or_default());
        Outcome::new(!self.refuses(hit, now), hit.cost, at).with_past(self.past_at(at).cloned())
    }

    fn past_at(&self, time: Timestamp) -> Option<&StoredState> {
        self.past.as_ref().filter(|past| past.state.expires() > time)
    }
}

impl Moment {
    pub(crate) fn now() -> Self {
        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        Self(u64::try_from(START.elapsed().as_micros()).unwrap_or(u64::MAX).saturating_add(1))
    }

    fn since(self, earlier: Self) -> Option<Duration> {
        self.0.checked_sub(earlier.0).map(Duration::from_micros)
    }
}

#[cfg(test)]
mod tests {
    use traffik_core::{
        client::Key,
        decision::LimitId,
        strategy::{FixedWindow, Gcra, State},
    };

    use super::*;
    use crate::keys::Keys;

    /// When Redis refused, by its own clock: a while before the window ends.
    const AT: u64 = 1_760_000_000_000_000;
    const WAIT: u64 = 400_000;
    const ASKED: Moment = Moment(1_000_000);
    const HEARD: Moment = Moment(1_030_000);
    const RATE: Rate = Rate::literal("5/min");

    /// A window of Alice that is full until it ends.
    struct Rig {
        refusals: Refusals,
        key: Key,
        limit: LimitId,
    }

    impl Rig {
        fn new(max_age: Duration) -> Self {
            let rig = Self {
                refusals: Refusals::new(10, max_age),
                key: "alice".into(),
                limit: LimitId::new("u", FixedWindow),
            };
            let end = Timestamp::from_micros(AT + WAIT);
            let state = State::new(end, [AT + WAIT - RATE.period_micros(), 5]);
            let past = Some(StoredState { state, rate: RATE });
            let refusal = Outcome::new(false, 1, Timestamp::from_micros(AT)).with_past(past);
            let (_, places) = rig.ask(1);
            rig.refusals.remember(&places, &std::iter::once(refusal).collect(), [ASKED, HEARD]);
            rig
        }

        fn ask(&self, cost: u64) -> ([Hit<'_>; 1], Places) {
            let hits = [Hit::new(&self.limit, &self.key, RATE, cost)];
            let places = Places::of(&hits, &Keys::new("n", None)).unwrap();
            (hits, places)
        }

        fn find(&self, cost: u64, now: u64) -> Option<Decision> {
            let (hits, places) = self.ask(cost);
            self.refusals.find(&places, &hits, Moment(now))
        }
    }

    #[test]
    fn known_refusal_ends_before_redis_may_admit() {
        let rig = Rig::new(Duration::from_secs(1));
        assert!(rig.find(1, ASKED.0 + WAIT - 1).is_some());
        assert!(rig.find(1, ASKED.0 + WAIT).is_none());
    }

    #[test]
    fn known_refusal_waits_until_redis_admits_at_the_latest() {
        let rig = Rig::new(Duration::from_secs(1));
        let known = rig.find(1, HEARD.0 + 100_000).unwrap();
        assert_eq!(known.outcomes().first().map(|outcome| outcome.at.as_micros()), Some(AT + 100_000));
    }

    #[test]
    fn known_refusal_ends_at_its_maximum_age() {
        let rig = Rig::new(Duration::from_micros(50_000));
        assert!(rig.find(1, ASKED.0 + 49_999).is_some());
        assert!(rig.find(1, ASKED.0 + 50_000).is_none());
        assert!(Rig::new(Duration::ZERO).find(1, HEARD.0).is_none());
    }

    #[test]
    fn refusal_that_changed_during_the_call_is_not_remembered() {
        let rig = Rig::new(Duration::from_secs(1));
        let (_, places) = rig.ask(1);
        rig.refusals.forget(&places.keys, Moment(ASKED.0 - 1));
        assert!(rig.find(1, HEARD.0).is_some());
        rig.refusals.forget(&places.keys, ASKED);
        assert!(rig.find(1, HEARD.0).is_none());
        let other = Rig::new(Duration::from_secs(1));
        other.refusals.forget_all(HEARD);
        assert!(other.find(1, HEARD.0).is_none());
    }

    #[test]
    fn known_refusal_applies_neither_to_free_hits_nor_to_another_strategy() {
        let rig = Rig::new(Duration::from_secs(1));
        assert!(rig.find(0, HEARD.0).is_none());
        let other = Rig { limit: LimitId::new("u", Gcra::new()), ..rig };
        assert!(other.find(1, HEARD.0).is_none());
    }

    /// Counts an entry, its reference counts, and a key of the longest length that is not digested. The table itself
    /// comes in addition.
    #[test]
    fn known_refusal_takes_about_300_bytes() {
        let key = format!("{{myapp:prod|text={}}}|uploads:sustained|sliding-window-counter", "x".repeat(60));
        let bytes =
            size_of::<Remembered>() + 2 * size_of::<usize>() + size_of::<(Box<str>, Arc<Remembered>)>() + key.len();
        assert!((200..=320).contains(&bytes), "{bytes}");
    }
}
