use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::sync::Notify;
use traffik_core::clock::Timestamp;

use super::settlement::{HeldCharge, Settlement};

/// The number of permits that one call renews at most, and of charges that one call settles.
const BATCH: usize = 64;

/// How often a permit is renewed within a lease.
const RENEWALS: u32 = 3;

/// How often a renewal is tried again within a lease.
const RETRIES: u32 = 12;

/// The part of a lease by which a permit may be renewed earlier, together with others: a 60th.
const EARLY: u32 = 60;

/// How often a charge is settled if the store did not run the call.
const TRIES: u32 = 3;

/// The time between two tries.
const PAUSE: Duration = Duration::from_millis(50);

/// The permits that are held in one store, and the charges that have to be settled. It reads no clock and calls no store.
#[derive(Debug, Default)]
pub(super) struct LeaseTable {
    held: HashMap<u64, Held>,
    last_number: u64,
    /// When each permit has to be renewed. A permit that is being renewed has no entry.
    due: BTreeSet<(Timestamp, u64)>,
    settlements: VecDeque<Settlement>,
    /// The settlements that did not run, and when each is tried again.
    again: VecDeque<(Timestamp, Settlement)>,
    /// Wakes the task that does all of this. The task owns it, and ends if there is nothing left to do.
    task: Weak<Notify>,
    asleep_until: Option<Timestamp>,
}

#[derive(Debug)]
struct Held {
    charge: HeldCharge,
    /// `None` while it is being renewed.
    due: Option<Timestamp>,
}

/// What the task of a [`LeaseTable`] does next.
#[derive(Debug)]
pub(super) enum Action {
    Call { settle: Vec<Settlement>, renew: Vec<(u64, HeldCharge)> },
    Wait(Duration),
    End,
}

impl LeaseTable {
    /// Adds a permit. Returns its number, and whether the task has to be woken.
    pub(super) fn add(&mut self, charge: HeldCharge, now: Timestamp) -> (u64, bool) {
        self.last_number += 1;
        let (number, due) = (self.last_number, now.saturating_add(charge.rate.period() / RENEWALS));
        self.held.insert(number, Held { charge, due: Some(due) });
        self.due.insert((due, number));
        (number, self.task.strong_count() == 0 || self.asleep_until.is_some_and(|until| due < until))
    }

    /// Removes a permit. Returns the charge to be given back, once. `None` while it is being renewed: the task gives it back
    /// afterwards.
    pub(super) fn remove(&mut self, number: u64) -> Option<HeldCharge> {
        let Held { charge, due } = self.held.remove(&number)?;
        self.due.remove(&(due?, number));
        Some(charge)
    }

    /// Has the task settle a charge.
    pub(super) fn settle(&mut self, settlement: Settlement) {
        self.settlements.push_back(settlement);
    }

    /// Has the task settle a charge again, after a pause. Returns the settlement if that was tried often enough.
    pub(super) fn try_again(&mut self, mut settlement: Settlement, now: Timestamp) -> Option<Settlement> {
        settlement.tries += 1;
        if settlement.tries == TRIES {
            return Some(settlement);
        }
        self.again.push_back((now.saturating_add(PAUSE), settlement));
        None
    }

    /// Returns what wakes the task, and whether the caller has to start it.
    pub(super) fn try_start(&mut self) -> (Arc<Notify>, bool) {
        if let Some(wake) = self.task.upgrade() {
            return (wake, false);
        }
        // A task that was dropped during a call has left its renewals.
        for (number, held) in self.held.iter_mut().filter(|(_, held)| held.due.is_none()) {
            held.due = Some(held.charge.charged_at);
            self.due.insert((held.charge.charged_at, *number));
        }
        let wake = Arc::<Notify>::default();
        self.task = Arc::downgrade(&wake);
        (wake, true)
    }

    /// Wakes the task, if it runs.
    pub(super) fn wake(&self) {
        self.task.upgrade().iter().for_each(|wake| wake.notify_one());
    }

    pub(super) fn next(&mut self, now: Timestamp) -> Action {
        self.asleep_until = None;
        let due = self.again.iter().take_while(|(at, _)| *at <= now).count();
        self.settlements.extend(self.again.drain(..due).map(|(_, settlement)| settlement));
        let renewal = self.due.first().map(|(due, _)| *due);
        let settlement = self.settlements.front().map(|_| now).or(self.again.front().map(|(at, _)| *at));
        let Some(next) = renewal.into_iter().chain(settlement).min() else {
            self.task = Weak::new();
            return Action::End;
        };
        if next > now {
            self.asleep_until = Some(next);
            return Action::Wait(next.saturating_since(now));
        }
        let renew = if renewal.is_some_and(|at| at <= now) { self.take_due(now) } else { Vec::new() };
        let ready = self.settlements.len().min(BATCH);
        Action::Call { settle: self.settlements.drain(..ready).collect(), renew }
    }

    fn take_due(&mut self, now: Timestamp) -> Vec<(u64, HeldCharge)> {
        let mut taken = Vec::new();
        while let Some((due, number)) = self.due.pop_first() {
            let Some(held) = self.held.get_mut(&number) else { continue };
            if taken.len() == BATCH || due > now.saturating_add(held.charge.rate.period() / EARLY) {
                self.due.insert((due, number));
                break;
            }
            held.due = None;
            taken.push((number, held.charge.clone()));
        }
        taken
    }

    /// Records a renewal: when the permit was charged again, or `None` if that is not known. Returns the charge of a permit that
    /// was dropped meanwhile, which must be given back.
    pub(super) fn renewed(
        &mut self,
        number: u64,
        mut charge: HeldCharge,
        renewed_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Option<HeldCharge> {
        let calls = if renewed_at.is_some() { RENEWALS } else { RETRIES };
        let due = now.saturating_add(charge.rate.period() / calls);
        charge.charged_at = renewed_at.unwrap_or(charge.charged_at);
        let Some(held) = self.held.get_mut(&number) else { return Some(charge) };
        *held = Held { charge, due: Some(due) };
        self.due.insert((due, number));
        None
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{super::settlement::Pending, *};
    use traffik_core::{
        client::Key,
        decision::{Hit, LimitId},
        strategy::Concurrency,
    };

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_micros(millis * 1000)
    }

    fn add(table: &mut LeaseTable, millis: u64) -> u64 {
        let (limit, key) = (Arc::new(LimitId::new("u", Concurrency)), Key::from("alice"));
        let hit = Hit::new(&limit, &key, Concurrency::at_once(200), 1);
        table.add(HeldCharge::new(&limit, &hit, at(millis)), at(millis)).0
    }

    fn give_back(table: &mut LeaseTable, charge: HeldCharge) {
        table.settle(Arc::<Pending>::default().settlement(smallvec::smallvec![(charge, 0)], None).ok().unwrap());
    }

    /// What is given back, and what is renewed.
    fn calls(table: &mut LeaseTable, millis: u64) -> (Vec<Settlement>, Vec<(u64, HeldCharge)>) {
        match table.next(at(millis)) {
            Action::Call { settle, renew } => (settle, renew),
            Action::Wait(_) | Action::End => (Vec::new(), Vec::new()),
        }
    }

    fn numbers(renew: &[(u64, HeldCharge)]) -> Vec<u64> {
        renew.iter().map(|(number, _)| *number).collect()
    }

    fn is_over(table: &mut LeaseTable, millis: u64) -> bool {
        matches!(table.next(at(millis)), Action::End) && table.held.is_empty() && table.due.is_empty()
    }

    #[test]
    fn permits_are_renewed_after_a_third_of_the_lease_together() {
        let mut table = LeaseTable::default();
        let added = [0, 400, 500, 501].map(|millis| add(&mut table, millis));
        assert!(matches!(table.next(at(600)), Action::Wait(wait) if wait == Duration::from_millis(9400)));
        let (_, renew) = calls(&mut table, 10_000);
        assert_eq!(numbers(&renew), added[..3]);
        assert!(matches!(table.next(at(10_000)), Action::Wait(wait) if wait == Duration::from_millis(501)));
        for (number, charge) in renew {
            assert!(table.renewed(number, charge, Some(at(10_001)), at(10_002)).is_none());
        }
        assert_eq!(numbers(&calls(&mut table, 10_501).1), added[3..]);
        assert_eq!(numbers(&calls(&mut table, 20_002).1), added[..3]);
    }

    #[test]
    fn batches_hold_at_most_64_permits_of_each_kind() {
        let mut table = LeaseTable::default();
        let added: Vec<_> = (0..300).map(|_| add(&mut table, 0)).collect();
        for number in added.into_iter().take(150) {
            let charge = table.remove(number).unwrap();
            give_back(&mut table, charge);
        }
        let lengths = [(); 4].map(|()| {
            let (give_back, renew) = calls(&mut table, 10_000);
            (give_back.len(), renew.len())
        });
        assert_eq!(lengths, [(64, 64), (64, 64), (22, 22), (0, 0)]);
    }

    #[test]
    fn permit_dropped_during_its_renewal_is_given_back_afterwards() {
        let mut table = LeaseTable::default();
        let [stays, leaves, lapsed] = [(); 3].map(|()| add(&mut table, 0));
        let (_, renew) = calls(&mut table, 10_000);
        assert!(table.remove(leaves).is_none() && table.remove(lapsed).is_none());
        let mut left = Vec::new();
        for (number, charge) in renew {
            let renewed_at = (number != lapsed).then_some(at(10_001));
            left.extend(table.renewed(number, charge, renewed_at, at(10_001)).map(|charge| charge.charged_at));
        }
        assert_eq!(left, [at(10_001), at(0)]);
        assert_eq!(table.remove(stays).map(|charge| charge.charged_at), Some(at(10_001)));
        assert!(table.remove(stays).is_none() && is_over(&mut table, 10_001));
    }

    #[test]
    fn failed_renewal_is_tried_again_sooner() {
        let mut table = LeaseTable::default();
        let number = add(&mut table, 0);
        let (_, renew) = calls(&mut table, 10_000);
        for (number, charge) in renew {
            assert!(table.renewed(number, charge, None, at(10_000)).is_none());
        }
        assert!(matches!(table.next(at(10_000)), Action::Wait(wait) if wait == Duration::from_millis(2500)));
        assert_eq!(numbers(&calls(&mut table, 12_500).1), [number]);
    }

    #[test]
    fn charge_whose_settlement_did_not_run_is_settled_three_times() {
        let mut table = LeaseTable::default();
        let number = add(&mut table, 0);
        let charge = table.remove(number).unwrap();
        give_back(&mut table, charge);
        for (millis, is_tried_again) in [(0, true), (50, true), (100, false)] {
            let (mut settle, _) = calls(&mut table, millis);
            assert_eq!(table.try_again(settle.pop().unwrap(), at(millis)).is_none(), is_tried_again);
        }
        assert!(is_over(&mut table, 100));
    }

    #[test]
    fn task_is_started_once_and_again_after_its_end() {
        let mut table = LeaseTable::default();
        let (_wake, is_new) = table.try_start();
        assert!(is_new && !table.try_start().1);
        assert!(is_over(&mut table, 0) && table.try_start().1);
    }

    #[test]
    fn task_dropped_during_a_renewal_is_followed_by_one_that_renews() {
        let mut table = LeaseTable::default();
        let number = add(&mut table, 0);
        let (wake, _) = table.try_start();
        assert_eq!(numbers(&calls(&mut table, 10_000).1), [number]);
        drop(wake);
        let (_wake, is_new) = table.try_start();
        assert!(is_new);
        assert_eq!(numbers(&calls(&mut table, 10_000).1), [number]);
    }
}
