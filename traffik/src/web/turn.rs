//! Requests wait for their turns here if a throttle has a queue.

use std::{sync::Arc, time::Duration};

use smallvec::SmallVec;
use traffik_core::clock::AnyClock;

use crate::{
    engine::{Check, Checks, Limit, Limits},
    limit::QueueSlot,
    observe::Held,
};

/// The slots of a request in the queues of its throttles, each with the index of its check.
///
/// Boxed, because few requests have any, and every handler's future contains it.
pub(super) struct QueueSlots(Box<SmallVec<[(usize, Arc<QueueSlot>); 1]>>);

impl QueueSlots {
    /// Reserves a slot in the queue of each throttle that has one. Without a free slot, the request is admitted only if
    /// it need not wait.
    ///
    /// Slots are reserved before the backend is called, so a request that cannot be held is not charged.
    #[inline]
    pub(super) fn reserve(checks: &mut Checks<'_>, clock: &AnyClock) -> Option<Self> {
        if checks.iter().all(|check| check.definition.queue.is_none()) {
            return None;
        }
        let slots = checks.iter_mut().enumerate().filter_map(|(i, check)| Some((i, reserve_slot(check, clock)?)));
        Some(Self(Box::new(slots.collect()))).filter(|slots| !slots.0.is_empty())
    }

    /// Waits until the turn of an admitted request. A request that is dropped meanwhile frees its slots. Slots that the
    /// request does not need are freed immediately.
    pub(super) async fn turn(mut self, limits: &Limits, clock: &AnyClock) {
        let delay = |place: usize| limits.iter().nth(place).map_or(Duration::ZERO, |limit| limit.delay());
        self.0.retain(|(place, _)| delay(*place) > Duration::ZERO);
        let Some(longest) = self.0.iter().map(|(place, _)| delay(*place)).max() else { return };
        let turn = clock.now().saturating_add(longest);
        self.0.iter().for_each(|(_, slot)| slot.keep_until(turn));
        let queued = |limit: &Limit| limit.definition().instruments.queued(limit.definition().label());
        let held: Box<[Held]> = self.0.iter().filter_map(|(place, _)| limits.iter().nth(*place).map(queued)).collect();
        let sleep = clock.sleep(longest);
        Box::pin(async move {
            sleep.await;
            drop(held);
        })
        .await;
    }
}

#[cold]
fn reserve_slot(check: &mut Check<'_>, clock: &AnyClock) -> Option<Arc<QueueSlot>> {
    let queue = check.definition.queue.as_ref().filter(|_| check.is_counted() && check.enforced && !check.is_full)?;
    // The backend decides within its timeout, or the decision fails.
    let timeout = check.store().map_or(Duration::ZERO, |store| store.timeout());
    let now = clock.now();
    let slot = queue.reserve_slot(now, now.saturating_add(timeout));
    check.is_full = slot.is_none();
    if check.is_full && queue.full.is_due(now) {
        tracing::warn!(
            uid = &*check.definition.uid,
            max_held = queue.max(),
            "the queue of this throttle is full: requests that would have to wait are refused"
        );
    }
    slot
}
