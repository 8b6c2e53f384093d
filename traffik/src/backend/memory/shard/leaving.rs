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
}

impl Leaving {
    pub(super) fn is_stale(&self) -> bool {
        self.until_next_look == 0
    }

    /// Looks at every entry. One in 32 queues up, and a few more, so that a flood pays for few looks.
    pub(super) fn look(entries: impl Iterator<Item = (Rank, Name)>) -> Self {
        let mut ranked: Vec<_> = entries.map(Reverse).collect();
        let batch = ranked.len() / 32 + 16;
        if batch < ranked.len() {
            ranked.select_nth_unstable_by_key(batch, |&Reverse(ranked)| ranked);
            ranked.truncate(batch);
        }
        Self { queue: ranked.into(), until_next_look: batch }
    }

    /// A newcomer joins. Its rank is found out when its turn comes.
    pub(super) fn join(&mut self, name: Name) {
        if !self.is_stale() {
            self.queue.push(Reverse((Rank::Expired, name)));
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
