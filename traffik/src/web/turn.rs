//! Admitted requests wait here for their turns.

use std::{pin::Pin, sync::Arc, time::Duration};

use smallvec::SmallVec;
use traffik_core::clock::AnyClock;

use crate::{
    engine::{Asked, Limit, Limits},
    limit::QueueSlot,
    one_or_more::OneOrMore,
};

/// Ends at a request's turn. A request that drops it leaves the queue, and frees its slots.
pub(super) type Hold<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Reserves a slot in the queue of each throttle that has one. Where no slot is free, the request is admitted only if it need
/// not wait.
///
/// This happens before a backend is asked, so a request that cannot be held is not charged.
#[inline]
pub(super) fn reserve_slots(asked: &mut OneOrMore<Asked<'_>>, clock: &AnyClock) {
    asked.each_mut(|one| {
        if one.definition.queue.is_some() {
            reserve_slot(one, clock);
        }
    });
}

#[cold]
fn reserve_slot(asked: &mut Asked<'_>, clock: &AnyClock) {
    let Some(queue) = asked.definition.queue.as_ref().filter(|_| asked.is_counted()) else { return };
    if asked.slot.is_some() || asked.is_full {
        return;
    }
    // The backend decides within its timeout, or not at all.
    let timeout = asked.definition.store.as_ref().map_or(Duration::ZERO, |store| store.timeout());
    let now = clock.now();
    asked.slot = queue.reserve_slot(now, now.saturating_add(timeout));
    asked.is_full = asked.slot.is_none();
    if asked.is_full && queue.full.is_due(now) {
        tracing::warn!(
            uid = asked.definition.uid,
            max_held = queue.max(),
            "as many requests are held as may be: those that would have to wait are refused"
        );
    }
}

/// Returns how an admitted request waits for its turn, if it has to. Slots that it does not need are freed.
#[inline]
pub(super) fn hold<'a>(asked: &mut OneOrMore<Asked<'_>>, limits: &Limits, clock: &'a AnyClock) -> Option<Hold<'a>> {
    if asked.iter().any(|asked| asked.slot.is_some()) { hold_in_slots(asked, limits, clock) } else { None }
}

#[cold]
fn hold_in_slots<'a>(asked: &mut OneOrMore<Asked<'_>>, limits: &Limits, clock: &'a AnyClock) -> Option<Hold<'a>> {
    let (mut delays, mut longest) = (limits.iter().map(Limit::delay), Duration::ZERO);
    let mut slots: SmallVec<[Arc<QueueSlot>; 1]> = SmallVec::new();
    asked.each_mut(|asked| {
        // A limit that was charged before was waited for then, and has no slot.
        if let (Some(delay), Some(slot)) = (delays.next(), asked.slot.take()) {
            if delay > Duration::ZERO {
                longest = longest.max(delay);
                slots.push(slot);
            }
        }
    });
    (longest > Duration::ZERO).then(|| {
        let turn = clock.now().saturating_add(longest);
        slots.iter().for_each(|slot| slot.keep_until(turn));
        let hold: Hold<'a> = Box::pin(async move {
            clock.sleep(longest).await;
            drop(slots);
        });
        hold
    })
}
