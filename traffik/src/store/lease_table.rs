use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use slab::Slab;
use tokio::runtime::{Handle, Id};
use traffik_core::{
    client::Key,
    clock::Timestamp,
    decision::{Hit, Receipt},
    rate::Rate,
    strategy::AnyStrategy,
};

/// How many are renewed, or given back, in one call at most.
const BATCH: usize = 64;

/// How often it is tried to give something back, where the store surely did not do it.
const TRIES: u32 = 3;

/// The number of runtimes that are remembered of leases that have ended.
const RUNTIMES: usize = 8;

/// How long until it is tried again.
const PAUSE: Duration = Duration::from_millis(50);

/// What a place was charged by.
#[derive(Debug)]
pub(super) struct Claim {
    uid: &'static str,
    key: Key,
    strategy: AnyStrategy,
    rate: Rate,
    cost: u64,
}

/// Who holds places, and what has to be done about them next. It reads no clock, and asks no store.
#[derive(Debug, Default)]
pub(super) struct Register {
    held: Slab<Held>,
    /// When each has to be renewed, unless that is under way.
    due: BTreeSet<(Timestamp, usize)>,
    leaving: VecDeque<Leaving>,
    /// Runtimes of leases that have ended, the latest first. One of them may have to finish what another began.
    runtimes: VecDeque<Handle>,
    /// Whether something was given back last: then who has to be renewed is next, so that neither waits for all of the other.
    gave_back: bool,
    /// Whether somebody sees to it, and until when he sleeps.
    is_kept: bool,
    asleep_until: Option<Timestamp>,
}

#[derive(Debug)]
struct Held {
    claim: Arc<Claim>,
    charged_at: Timestamp,
    due: Timestamp,
    is_under_way: bool,
    /// Whether its holder left while it was renewed.
    is_left: bool,
    runtime: Option<Handle>,
}

/// A place that has to be renewed.
#[derive(Debug)]
pub(super) struct Due {
    pub(super) number: usize,
    pub(super) claim: Arc<Claim>,
    pub(super) charged_at: Timestamp,
}

/// A place that has to be given back.
#[derive(Debug)]
pub(super) struct Leaving {
    pub(super) claim: Arc<Claim>,
    pub(super) charged_at: Timestamp,
    tries: u32,
    not_before: Timestamp,
}

/// What comes next.
#[derive(Debug)]
pub(super) enum Step {
    GiveBack(Vec<Leaving>),
    Renew(Vec<Due>),
    Wait(Duration),
    /// Nobody is there, and nothing is left to be done.
    End,
}

/// What came of a renewal.
#[derive(Clone, Copy, Debug)]
pub(super) enum Renewal {
    Done(Timestamp),
    /// It is not known to be done: the lease has ended and others have the place, or the store gave no answer.
    Open,
    /// The store is closed.
    Never,
}

impl Claim {
    pub(super) fn new(uid: &'static str, hit: &Hit<'_>) -> Self {
        Self { uid, key: hit.key.clone(), strategy: hit.strategy.clone(), rate: hit.rate, cost: hit.cost }
    }

    pub(super) fn receipt(&self, charged_at: Timestamp) -> Receipt<'_> {
        let Self { uid, key, strategy, rate, cost } = self;
        Receipt { hit: Hit { uid, key, strategy, rate: *rate, cost: *cost }, charged_at }
    }

    /// After how much of a lease it is renewed: it may fail twice.
    fn interval(&self) -> Duration {
        self.rate.period() / 3
    }

    /// How much earlier it is renewed, so that many go together.
    fn leeway(&self) -> Duration {
        self.rate.period() / 60
    }

    /// How soon it is tried again.
    fn pause(&self) -> Duration {
        self.rate.period() / 12
    }
}

impl Register {
    /// A place more: its number, and whether the keeper has to hear of it, or has to be found.
    pub(super) fn enter(
        &mut self,
        claim: Arc<Claim>,
        charged_at: Timestamp,
        now: Timestamp,
        runtime: Option<Handle>,
    ) -> (usize, bool) {
        let due = now.saturating_add(claim.interval());
        let held = Held { claim, charged_at, due, is_under_way: false, is_left: false, runtime };
        let number = self.held.insert(held);
        self.due.insert((due, number));
        (number, !self.is_kept || self.asleep_until.is_some_and(|until| due < until))
    }

    /// Somebody leaves: what is to be given back, unless that is done by whoever renews it just now.
    pub(super) fn leave(&mut self, number: usize) -> Option<Leaving> {
        let held = self.held.get_mut(number)?;
        if held.is_under_way {
            held.is_left = true;
            return None;
        }
        self.due.remove(&(held.due, number));
        Some(self.remove(number))
    }

    fn remove(&mut self, number: usize) -> Leaving {
        let Held { claim, charged_at, runtime, .. } = self.held.remove(number);
        if let Some(runtime) = runtime {
            self.runtimes.retain(|known| known.id() != runtime.id());
            self.runtimes.truncate(RUNTIMES - 1);
            self.runtimes.push_front(runtime);
        }
        Leaving { claim, charged_at, tries: 0, not_before: Timestamp::UNIX_EPOCH }
    }

    pub(super) fn leave_later(&mut self, leaving: Leaving) {
        self.leaving.push_back(leaving);
    }

    /// What could not be given back, to be tried again at times: nothing is left of it once that was done often enough.
    pub(super) fn try_again(&mut self, leaving: Leaving, now: Timestamp) -> bool {
        let (tries, not_before) = (leaving.tries + 1, now.saturating_add(PAUSE));
        let is_to_be_tried = tries < TRIES;
        if is_to_be_tried {
            self.leaving.push_back(Leaving { tries, not_before, ..leaving });
        }
        is_to_be_tried
    }

    /// Whether a keeper has to be found, who is there from then on.
    pub(super) fn hire(&mut self) -> bool {
        !std::mem::replace(&mut self.is_kept, true)
    }

    pub(super) fn next(&mut self, now: Timestamp) -> Step {
        self.asleep_until = None;
        let renewals = self.due.first().map(|(due, _)| *due);
        let is_due = renewals.is_some_and(|due| due <= now);
        if is_due && self.gave_back {
            self.gave_back = false;
            return Step::Renew(self.take_due(now));
        }
        let ready = self.leaving.iter().take(BATCH).take_while(|leaving| leaving.not_before <= now).count();
        self.gave_back = ready > 0;
        if ready > 0 {
            return Step::GiveBack(self.leaving.drain(..ready).collect());
        }
        if is_due {
            return Step::Renew(self.take_due(now));
        }
        let retry = self.leaving.front().map(|leaving| leaving.not_before);
        let Some(next) = renewals.into_iter().chain(retry).min() else {
            self.is_kept = false;
            return Step::End;
        };
        self.asleep_until = Some(next);
        Step::Wait(next.saturating_since(now))
    }

    fn take_due(&mut self, now: Timestamp) -> Vec<Due> {
        let mut taken = Vec::new();
        while let Some(&(due, number)) = self.due.first().filter(|_| taken.len() < BATCH) {
            let Some(held) = self.held.get_mut(number) else {
                self.due.pop_first();
                continue;
            };
            if due > now.saturating_add(held.claim.leeway()) {
                break;
            }
            self.due.pop_first();
            held.is_under_way = true;
            taken.push(Due { number, claim: Arc::clone(&held.claim), charged_at: held.charged_at });
        }
        taken
    }

    /// What came of it. Whoever left meanwhile gives his place back now.
    pub(super) fn renewed(&mut self, number: usize, renewal: Renewal, now: Timestamp) {
        let Some(held) = self.held.get_mut(number) else { return };
        held.is_under_way = false;
        if let Renewal::Done(charged_at) = renewal {
            held.charged_at = charged_at;
        }
        if held.is_left {
            let leaving = self.remove(number);
            self.leaving.push_back(leaving);
            return;
        }
        let wait = match renewal {
            Renewal::Done(_) => held.claim.interval(),
            Renewal::Open => held.claim.pause(),
            Renewal::Never => return,
        };
        held.due = now.saturating_add(wait);
        self.due.insert((held.due, number));
    }

    /// The keeper is gone, and its runtime with it: another one, if there is any.
    pub(super) fn abandoned(&mut self, gone: Id) -> Option<Handle> {
        self.is_kept = false;
        self.another_runtime(Some(gone))
    }

    /// Returns a runtime that is not known to have ended. Forgets the one that is `gone`.
    pub(super) fn another_runtime(&mut self, gone: Option<Id>) -> Option<Handle> {
        let is_gone = |runtime: &mut Handle| Some(runtime.id()) == gone;
        self.held.iter_mut().for_each(|(_, held)| drop(held.runtime.take_if(is_gone)));
        self.runtimes.retain(|runtime| Some(runtime.id()) != gone);
        self.held.iter().find_map(|(_, held)| held.runtime.clone()).or_else(|| self.runtimes.front().cloned())
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty() && self.due.is_empty() && self.leaving.is_empty() && !self.is_kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use traffik_core::strategy::Concurrency;

    fn claim() -> Arc<Claim> {
        let (key, strategy) = (Key::from("alice"), AnyStrategy::from(Concurrency));
        let hit = Hit { uid: "u", key: &key, strategy: &strategy, rate: Concurrency::at_once(200), cost: 1 };
        Arc::new(Claim::new("u", &hit))
    }

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_micros(millis * 1000)
    }

    fn enter(register: &mut Register, millis: u64) -> usize {
        register.enter(claim(), at(millis), at(millis), None).0
    }

    fn renewals(step: Step) -> Vec<usize> {
        if let Step::Renew(due) = step { due.into_iter().map(|due| due.number).collect() } else { Vec::new() }
    }

    #[test]
    fn each_is_renewed_after_a_third_of_its_lease_with_those_that_are_about_due() {
        let mut register = Register::default();
        let numbers = [0, 400, 500, 501].map(|millis| enter(&mut register, millis));
        assert!(register.hire() && !register.hire());
        assert!(matches!(register.next(at(600)), Step::Wait(wait) if wait == Duration::from_millis(9400)));
        assert_eq!(renewals(register.next(at(10_000))), numbers[..3]);
        assert!(matches!(register.next(at(10_000)), Step::Wait(wait) if wait == Duration::from_millis(501)));
        for number in &numbers[..3] {
            register.renewed(*number, Renewal::Done(at(10_001)), at(10_002));
        }
        assert_eq!(renewals(register.next(at(10_501))), numbers[3..]);
        assert_eq!(renewals(register.next(at(20_002))), numbers[..3]);
    }

    #[test]
    fn no_more_go_together_than_a_call_is_to_be_about() {
        let mut register = Register::default();
        for _ in 0..150 {
            enter(&mut register, 0);
        }
        let lengths = [(); 4].map(|()| renewals(register.next(at(10_000))).len());
        assert_eq!(lengths, [64, 64, 22, 0]);
    }

    #[test]
    fn those_that_stay_and_those_that_leave_take_turns() {
        let mut register = Register::default();
        let numbers: Vec<_> = (0..300).map(|_| enter(&mut register, 0)).collect();
        for number in numbers.into_iter().take(150) {
            let leaving = register.leave(number);
            leaving.into_iter().for_each(|leaving| register.leave_later(leaving));
        }
        let steps = [(); 6].map(|()| matches!(register.next(at(10_000)), Step::GiveBack(_)));
        assert_eq!(steps, [true, false, true, false, true, false]);
        assert!(matches!(register.next(at(10_000)), Step::End));
    }

    #[test]
    fn who_leaves_while_he_is_renewed_gives_back_what_came_of_it() {
        let mut register = Register::default();
        let [stays, leaves, lapsed] = [(); 3].map(|()| enter(&mut register, 0));
        assert_eq!(renewals(register.next(at(10_000))).len(), 3);
        assert!(register.leave(leaves).is_none() && register.leave(lapsed).is_none());
        register.renewed(stays, Renewal::Done(at(10_001)), at(10_001));
        register.renewed(leaves, Renewal::Done(at(10_001)), at(10_001));
        register.renewed(lapsed, Renewal::Open, at(10_001));
        let Step::GiveBack(leaving) = register.next(at(10_001)) else { panic!("nothing is given back") };
        assert_eq!(leaving.iter().map(|leaving| leaving.charged_at).collect::<Vec<_>>(), [at(10_001), at(0)]);
        assert_eq!(register.leave(stays).map(|leaving| leaving.charged_at), Some(at(10_001)));
        assert!(matches!(register.next(at(10_001)), Step::End) && register.is_empty());
    }

    #[test]
    fn what_is_not_renewed_is_tried_again_sooner_and_never_where_the_store_is_closed() {
        let mut register = Register::default();
        let (open, closed) = (enter(&mut register, 0), enter(&mut register, 0));
        assert_eq!(renewals(register.next(at(10_000))).len(), 2);
        register.renewed(open, Renewal::Open, at(10_000));
        register.renewed(closed, Renewal::Never, at(10_000));
        assert_eq!(renewals(register.next(at(12_500))), [open]);
        register.renewed(open, Renewal::Never, at(12_500));
        assert!(matches!(register.next(at(12_500)), Step::End));
        assert!(register.leave(open).is_some() && register.leave(closed).is_some() && register.is_empty());
    }

    #[test]
    fn what_could_not_be_given_back_is_tried_again_twice() {
        let mut register = Register::default();
        let number = enter(&mut register, 0);
        let leaving = register.leave(number);
        leaving.into_iter().for_each(|leaving| register.leave_later(leaving));
        for (millis, is_tried_again) in [(0, true), (50, true), (100, false)] {
            let Step::GiveBack(mut leaving) = register.next(at(millis)) else { panic!("nothing is given back") };
            let leaving = leaving.pop().unwrap();
            assert_eq!(register.try_again(leaving, at(millis)), is_tried_again);
        }
        assert!(matches!(register.next(at(100)), Step::End) && register.is_empty());
    }

    fn runtimes<const N: usize>() -> [tokio::runtime::Runtime; N] {
        [(); N].map(|()| tokio::runtime::Builder::new_current_thread().build().unwrap())
    }

    #[test]
    fn keeper_that_is_gone_is_followed_by_one_on_another_runtime() {
        let runtimes = runtimes::<2>();
        let mut register = Register::default();
        let [gone, other] = runtimes.each_ref().map(tokio::runtime::Runtime::handle);
        for runtime in [gone, other] {
            register.enter(claim(), at(0), at(0), Some(runtime.clone()));
        }
        assert!(register.hire());
        assert_eq!(register.abandoned(gone.id()).map(|runtime| runtime.id()), Some(other.id()));
        assert!(register.hire());
        assert!(register.abandoned(other.id()).is_none());
    }

    #[test]
    fn runtimes_of_those_that_left_are_remembered_up_to_a_bound() {
        let runtimes = runtimes::<{ RUNTIMES + 1 }>();
        let mut register = Register::default();
        for runtime in &runtimes {
            for _ in 0..2 {
                let (number, _) = register.enter(claim(), at(0), at(0), Some(runtime.handle().clone()));
                assert!(register.leave(number).is_some());
            }
        }
        let mut found = Vec::new();
        let mut gone = None;
        while let Some(runtime) = register.another_runtime(gone) {
            found.push(runtime.id());
            gone = Some(runtime.id());
        }
        let latest_first: Vec<_> = runtimes[1..].iter().rev().map(|runtime| runtime.handle().id()).collect();
        assert_eq!(found, latest_first);
    }
}
