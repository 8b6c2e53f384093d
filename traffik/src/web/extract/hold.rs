//! What is admitted and has to wait for its turn is held here.

use std::{pin::Pin, sync::Arc, time::Duration};

use smallvec::SmallVec;

use crate::{
    app::Asked,
    clock::AnyClock,
    limits::{Limit, Limits},
    one_or_more::OneOrMore,
    throttle::Room,
};

/// Ends when it is a request's turn. To drop it is to leave the queue: there is room for another then.
pub(super) type Hold<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Sees to it that there is room to hold the request, and where there is none that it is admitted only if it can go on at
/// once. It is done before a backend is asked, so that nothing is charged to a request that cannot be held.
#[inline]
pub(super) fn make_room(asked: &mut OneOrMore<Asked<'_>>, clock: &AnyClock) {
    asked.each_mut(|one| {
        if one.definition.queue.is_some() {
            reserve(one, clock);
        }
    });
}

#[cold]
fn reserve(asked: &mut Asked<'_>, clock: &AnyClock) {
    let Some(queue) = asked.definition.queue.as_ref().filter(|_| asked.is_counted()) else { return };
    if asked.room.is_some() || asked.is_full {
        return;
    }
    asked.room = queue.reserve();
    asked.is_full = asked.room.is_none();
    if asked.is_full && queue.full.is_due(clock.now()) {
        tracing::warn!(
            uid = asked.definition.uid,
            max_held = queue.max(),
            "as many requests are held as may be: those that would have to wait are refused"
        );
    }
}

/// How an admitted request is held, if it has to be. Room that is not needed for that is given up.
#[inline]
pub(super) fn hold<'a>(asked: &mut OneOrMore<Asked<'_>>, limits: &Limits, clock: &'a AnyClock) -> Option<Hold<'a>> {
    if asked.iter().any(|asked| asked.room.is_some()) { hold_in_rooms(asked, limits, clock) } else { None }
}

#[cold]
fn hold_in_rooms<'a>(asked: &mut OneOrMore<Asked<'_>>, limits: &Limits, clock: &'a AnyClock) -> Option<Hold<'a>> {
    let (mut delays, mut longest) = (limits.iter().map(Limit::delay), Duration::ZERO);
    let mut rooms: SmallVec<[Arc<Room>; 1]> = SmallVec::new();
    asked.each_mut(|asked| {
        // One that was charged before was waited for then, and has no room.
        if let (Some(delay), Some(room)) = (delays.next(), asked.room.take()) {
            if delay > Duration::ZERO {
                longest = longest.max(delay);
                rooms.push(room);
            }
        }
    });
    (longest > Duration::ZERO).then(|| {
        let hold: Hold<'a> = Box::pin(async move {
            clock.sleep(longest).await;
            drop(rooms);
        });
        hold
    })
}
