use std::{cmp::Reverse, collections::BinaryHeap};

use super::{super::digest::Name, rank::Rank};

/// Who leaves next when there is no room.
///
/// Once in a while every entry is looked at, and those of the lowest ranks queue up. Newcomers join them. A rank may have
/// risen by the time its entry's turn comes, and then the entry queues up again: so each that leaves has the lowest rank,
/// but for what fell since the last look.
#[derive(Debug, Default)]
pub(super) struct Leaving {
    queue: BinaryHeap<Reverse<(Rank, Name)>>,
    /// How many may leave before every entry is looked at again.
    until_next_look: usize,
    /// The lowest rank of those that did not queue up. Who has risen above it is not the next to leave.
    lowest_beside: Option<Rank>,
    /// How long the queue may become.
    room: usize,
}

impl Leaving {
    pub(super) fn is_stale(&self) -> bool {
        self.until_next_look == 0
    }

    /// Looks at every entry. One in 32 queues up, and a few more, so that a flood pays for few looks.
    pub(super) fn look(entries: impl Iterator<Item = (Rank, Name)>) -> Self {
        let mut ranked: Vec<_> = entries.map(Reverse).collect();
        let batch = ranked.len() / 32 + 16;
        let mut lowest_beside = None;
        if batch < ranked.len() {
            let (_, &mut Reverse((rank, _)), _) = ranked.select_nth_unstable_by_key(batch, |&Reverse(ranked)| ranked);
            lowest_beside = Some(rank);
            ranked.truncate(batch);
            ranked.shrink_to_fit();
        }
        Self { queue: ranked.into(), until_next_look: batch, lowest_beside, room: 2 * batch }
    }

    /// A newcomer joins. Its rank is found out when its turn comes.
    pub(super) fn join(&mut self, name: Name) {
        if self.is_stale() {
            return;
        }
        if self.queue.len() < self.room {
            self.queue.push(Reverse((Rank::Expired, name)));
        } else {
            // Many have come and few had to leave: there is room, and what is queued is out of date.
            *self = Self::default();
        }
    }

    /// The next to leave of those that do not stay. `rank` tells an entry's present rank, if it is still there.
    pub(super) fn next(
        &mut self,
        rank: impl Fn(Name) -> Option<Rank>,
        stays: impl Fn(Name) -> bool,
    ) -> Option<(Rank, Name)> {
        let mut staying = Vec::new();
        let next = loop {
            let Some(Reverse((queued, name))) = self.queue.pop() else { break None };
            match rank(name) {
                Some(present) if stays(name) => staying.push(Reverse((present, name))),
                Some(present) if present > queued => self.queue.push(Reverse((present, name))),
                Some(present) if self.lowest_beside.is_some_and(|beside| present > beside) => break None,
                Some(present) => break Some((present, name)),
                None => {}
            }
        };
        self.queue.extend(staying);
        // An empty queue wants another look as well.
        self.until_next_look = if next.is_some() { self.until_next_look.saturating_sub(1) } else { 0 };
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(low: u64) -> Name {
        Name { high: 0, low }
    }

    #[test]
    fn newcomers_do_not_queue_up_for_ever() {
        let mut leaving = Leaving::look((0..100).map(|low| (Rank::Open { used_share: low }, name(low))));
        for low in 100..100_000 {
            leaving.join(name(low));
            assert!(leaving.queue.len() <= leaving.room);
        }
        assert!(leaving.is_stale(), "so that all are looked at when the next has to leave");
    }

    #[test]
    fn who_has_risen_above_those_that_did_not_queue_up_is_not_next() {
        let mut leaving = Leaving::look((0..100).map(|low| (Rank::Open { used_share: low }, name(low))));
        let risen = |_| Some(Rank::Open { used_share: 1000 });
        assert_eq!(leaving.next(risen, |_| false), None);
        assert!(leaving.is_stale());
    }
}
