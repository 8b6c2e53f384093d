//! What Redis has just refused, and so need not be asked again.
//!
//! Whoever is blocked and does not stop would otherwise cost a call each time. What is remembered of a refusal is what Redis
//! said is stored: by that the strategy itself tells whether a request is refused still. Since others charge meanwhile, less
//! fits in truth, never more; only what is given back elsewhere is learned of late, by [`max_age`](Refusals::new) at most.

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
    clock::Timestamp,
    decision::{Decision, Hit, Outcome},
    strategy::{StoredState, Strategy},
};

use crate::{
    places::{Amount, Places},
    scripts::LuaStrategy,
};

/// How many groups of keys there are for which it is kept when they last changed.
const GROUPS: usize = 1024;

pub(crate) struct Refusals {
    known: Cache<Box<str>, Arc<Known>>,
    max_age: Duration,
    /// When something was last charged to a key or given back: what was asked before that says nothing any more.
    changed: Box<[AtomicU64]>,
    groups: RandomState,
}

/// What Redis said of one hit of a decision that it refused.
struct Known {
    past: Option<StoredState>,
    rate: Rate,
    cost: u64,
    /// When Redis decided, by its clock: between these two moments by ours.
    at: Timestamp,
    asked: Moment,
    heard: Moment,
}

/// A time by this process' own clock, which never goes back: microseconds, and never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(u64);

impl Refusals {
    /// Up to `capacity` of them, each for `max_age`; none if one of both is zero.
    pub(crate) fn new(capacity: usize, max_age: Duration) -> Self {
        let max_age = if capacity == 0 { Duration::ZERO } else { max_age };
        let changed = std::iter::repeat_with(AtomicU64::default).take(GROUPS).collect();
        Self { known: Cache::new(capacity), max_age, changed, groups: RandomState::new() }
    }

    /// The decision, if it is known to be a refusal.
    pub(crate) fn find(&self, places: &Places, hits: &[Hit<'_>], now: Moment) -> Option<Decision> {
        if !self.is_for(places) {
            return None;
        }
        let mut is_refused = false;
        let mut outcomes = Vec::with_capacity(hits.len());
        for (hit, place) in hits.iter().zip(&places.of_hits) {
            let Some(place) = *place else {
                outcomes.push(None);
                continue;
            };
            let known = self.get(places.keys.get(place)?, now).filter(|known| known.tells_of(hit))?;
            let admitted = !known.refuses(hit, now);
            is_refused |= !admitted;
            outcomes.push(Some(known.outcome(hit, admitted, now)));
        }
        let at = outcomes.iter().flatten().next()?.at;
        let outcomes = outcomes.into_iter().zip(hits);
        is_refused.then(|| {
            outcomes.map(|(outcome, hit)| outcome.unwrap_or_else(|| Outcome::new(true, hit.cost, at))).collect()
        })
    }

    /// Remembers a decision that was asked for and heard at two moments, if it is a refusal. What was charged is not as it was
    /// any more.
    pub(crate) fn remember(&self, places: &Places, decision: &Decision, during: [Moment; 2]) {
        let [_, heard] = during;
        if decision.is_admitted() {
            let known = places.keys.iter().filter(|key| self.known.peek(key.as_str()).is_some());
            return self.forget(known, heard);
        }
        self.keep(places, decision, during);
    }

    /// Keeps what was heard of how limits stand, which counts only beside a refusal.
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
            let known = Known { past, rate, cost, at, asked, heard };
            self.known.insert(key.as_str().into(), Arc::new(known));
        }
    }

    /// Forgets what was asked of these keys until now: more may fit.
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

    /// Whether it may be kept: several hits on one entry add up, which Redis tells about all of them, and what is granted to
    /// hits that are not plain is known to Redis alone.
    fn is_for(&self, places: &Places) -> bool {
        let hits = places.of_hits.iter().flatten().count();
        !self.max_age.is_zero() && hits == places.keys.len() && places.amounts.iter().all(Amount::is_plain)
    }

    /// What is known of a key and not too old.
    fn get(&self, key: &str, now: Moment) -> Option<Arc<Known>> {
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

impl Known {
    /// Whether a hit is refused still: even if Redis decided as soon as it was asked.
    fn refuses(&self, hit: &Hit<'_>, now: Moment) -> bool {
        let latest = self.at.saturating_add(now.since(self.asked).unwrap_or_default());
        let past = self.past_at(latest);
        hit.cost > 0 && !hit.limit.strategy().fits(past, hit.rate, hit.cost, latest)
    }

    /// An outline of a log tells only of the hit that it was made for, and what is said of a strategy that is not known here
    /// likewise: one that costs more may fit long before all of the log has ended, which is what an outline would say.
    fn tells_of(&self, hit: &Hit<'_>) -> bool {
        match LuaStrategy::of(hit.limit.strategy()) {
            None | Some(LuaStrategy::SlidingWindowLog) => hit.rate == self.rate && hit.cost == self.cost,
            Some(_) => true,
        }
    }

    /// How the limit stands. The wait is told from when Redis was heard: it is rather too long than too short.
    fn outcome(&self, hit: &Hit<'_>, admitted: bool, now: Moment) -> Outcome {
        let at = self.at.saturating_add(now.since(self.heard).unwrap_or_default());
        Outcome::new(admitted, hit.cost, at).with_past(self.past_at(at).cloned())
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

    /// When Redis refused, by its clock: a while before the window ends.
    const AT: u64 = 1_760_000_000_000_000;
    const WAIT: u64 = 400_000;
    const ASKED: Moment = Moment(1_000_000);
    const HEARD: Moment = Moment(1_030_000);
    const RATE: Rate = Rate::literal("5/min");

    /// Alice's window, in which there is no room until it ends.
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
    fn a_refusal_holds_until_redis_may_admit_at_the_earliest() {
        let rig = Rig::new(Duration::from_secs(1));
        assert!(rig.find(1, ASKED.0 + WAIT - 1).is_some());
        assert!(rig.find(1, ASKED.0 + WAIT).is_none());
    }

    #[test]
    fn its_wait_is_told_until_redis_admits_at_the_latest() {
        let rig = Rig::new(Duration::from_secs(1));
        let told = rig.find(1, HEARD.0 + 100_000).unwrap();
        assert_eq!(told.outcomes().first().map(|told| told.at.as_micros()), Some(AT + 100_000));
    }

    #[test]
    fn it_holds_for_its_age_at_most_and_for_none_if_that_is_zero() {
        let rig = Rig::new(Duration::from_micros(50_000));
        assert!(rig.find(1, ASKED.0 + 49_999).is_some());
        assert!(rig.find(1, ASKED.0 + 50_000).is_none());
        assert!(Rig::new(Duration::ZERO).find(1, HEARD.0).is_none());
    }

    #[test]
    fn what_changed_since_it_was_asked_for_is_not_known() {
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
    fn what_costs_nothing_is_not_refused_and_another_strategy_is_another_entry() {
        let rig = Rig::new(Duration::from_secs(1));
        assert!(rig.find(0, HEARD.0).is_none());
        let other = Rig { limit: LimitId::new("u", Gcra::new()), ..rig };
        assert!(other.find(1, HEARD.0).is_none());
    }

    /// Beside what the table has of its own: an entry, its counts, and a key as long as such names come undigested.
    #[test]
    fn a_refusal_takes_some_300_bytes() {
        let key = format!("{{myapp:prod|text={}}}|uploads:sustained|sliding-window-counter", "x".repeat(60));
        let bytes = size_of::<Known>() + 2 * size_of::<usize>() + size_of::<(Box<str>, Arc<Known>)>() + key.len();
        assert!((200..=320).contains(&bytes), "{bytes}");
    }
}
