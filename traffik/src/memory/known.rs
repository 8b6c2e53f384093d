//! Decisions about clients that are known, without a lock: what is read is of one moment, and what is written builds on
//! nothing that somebody else changed meanwhile.

use smallvec::SmallVec;
use traffik_core::{
    clock::Timestamp,
    decision::{Decision, Hit, Outcome},
    strategy::{Past, State, Strategy, Verdict},
};

use super::{
    Store,
    digest::{Digest, Name},
    shard::{Entry, Shard},
    turnstile::{Inside, Version},
};

/// So many hits are decided together like this; more of them would often be disturbed.
const MOST: usize = 4;

/// How often it is tried before shards are closed.
const ATTEMPTS: usize = 16;

type Few<T> = SmallVec<[T; MOST]>;

/// A state that is no log.
#[derive(Clone, Copy)]
struct Words {
    expires: Timestamp,
    words: [u64; 2],
}

impl Words {
    #[inline]
    fn of(state: &State) -> Option<Self> {
        state.log().is_none().then(|| Self { expires: state.expires(), words: state.words() })
    }

    /// What an outcome tells. It is made where it is needed: to move it about takes longer than to make it.
    #[inline]
    fn past(self, hit: &Hit<'_>) -> Past {
        Past { state: State::new(self.expires, self.words), rate: hit.rate }
    }

    #[inline]
    fn write(self, entry: &Entry, hit: &Hit<'_>, inside: &Inside<'_>) {
        entry.update(self.expires, self.words, hit.cost, inside);
    }
}

/// What was seen of the entry of a hit.
struct Seen<'a> {
    hit: &'a Hit<'a>,
    name: Name,
    place: usize,
    shard: &'a Shard,
    version: Version,
    entry: &'a Entry,
    past: Option<Past>,
}

/// What came of trying to decide about several hits.
enum Attempt {
    Decided(Decision),
    /// Somebody else wrote meanwhile.
    Disturbed,
    /// It cannot be done without closing a shard.
    NotKnown,
}

impl Store {
    /// Decides about one hit. Nothing, where a shard has to be closed for it: for clients that are new, under other rates
    /// than before, and for logs.
    #[inline]
    pub(super) fn decide_one(&self, hit: &Hit<'_>) -> Option<Outcome> {
        let digest = self.seed.digest(hit);
        let shard = self.shards.at(self.shards.place(digest));
        let mut was_disturbed = false;
        for _ in 0..ATTEMPTS {
            let version = shard.look();
            // Where many write, one who has lost his turn gets in first and decides then.
            let mut inside = None;
            if was_disturbed {
                let Some(early) = shard.enter(version) else { continue };
                inside = Some(early);
            }
            let (entry, past) = shard.known(digest.name, hit)?;
            // No strategy ever sees what somebody was about to write.
            if inside.is_none() && !shard.is_still(version) {
                continue;
            }
            // Read after the version: who comes later to the same entry sees a later time.
            let at = self.clock.now();
            let Verdict { admitted, past, is_new, .. } = hit.strategy.decide(Some(past), hit.rate, hit.cost, at);
            let words = match &past {
                None => None,
                Some(past) => Some(Words::of(&past.state)?),
            };
            if let (Some(words), true) = (words, is_new) {
                let Some(inside) = inside.or_else(|| shard.enter(version)) else {
                    was_disturbed = true;
                    continue;
                };
                words.write(entry, hit, &inside);
            }
            return Some(Outcome { admitted, past: words.map(|words| words.past(hit)), cost: hit.cost, at });
        }
        None
    }

    /// Decides about several hits, likewise.
    #[inline(never)]
    pub(super) fn decide_few(&self, hits: &[Hit<'_>]) -> Option<Decision> {
        if hits.len() > MOST {
            return None;
        }
        let digests: Few<Digest> = hits.iter().map(|hit| self.seed.digest(hit)).collect();
        for _ in 0..ATTEMPTS {
            match self.attempt(hits, &digests) {
                Attempt::Decided(decision) => return Some(decision),
                Attempt::NotKnown => return None,
                Attempt::Disturbed => {}
            }
        }
        None
    }

    fn attempt<'a>(&'a self, hits: &'a [Hit<'a>], digests: &[Digest]) -> Attempt {
        let mut seen: Few<Seen<'_>> = SmallVec::new();
        for (hit, digest) in hits.iter().zip(digests) {
            let (name, place) = (digest.name, self.shards.place(*digest));
            // Several hits on one entry meet what each other leaves behind.
            let is_met = seen.iter().any(|seen| (seen.place, seen.name) == (place, name));
            let Some(new) = Seen::new(hit, name, place, self.shards.at(place)).filter(|_| !is_met) else {
                return Attempt::NotKnown;
            };
            seen.push(new);
        }
        // No strategy ever sees what somebody was about to write, and all of it is of one moment.
        if !seen.iter().all(|seen| seen.shard.is_still(seen.version)) {
            return Attempt::Disturbed;
        }
        // Read after the versions: who comes later to the same entries sees a later time.
        let at = self.clock.now();
        for Seen { hit, past, .. } in &mut seen {
            let present = hit.strategy.present(past.take(), at);
            if present.is_rewound {
                return Attempt::NotKnown;
            }
            *past = present.past;
        }
        let fits: Few<bool> = seen.iter().map(|seen| seen.fits(at)).collect();
        if fits.iter().all(|&fits| fits) {
            return charge(seen, at);
        }
        Attempt::Decided(seen.into_iter().zip(fits).map(|(seen, fits)| seen.outcome(fits, at)).collect())
    }
}

impl<'a> Seen<'a> {
    fn new(hit: &'a Hit<'a>, name: Name, place: usize, shard: &'a Shard) -> Option<Self> {
        let version = shard.look();
        let (entry, past) = shard.known(name, hit)?;
        Some(Self { hit, name, place, shard, version, entry, past: Some(past) })
    }

    fn fits(&self, at: Timestamp) -> bool {
        let Hit { strategy, rate, cost, .. } = *self.hit;
        cost == 0 || strategy.fits(self.past.as_ref(), rate, cost, at)
    }

    fn outcome(self, admitted: bool, at: Timestamp) -> Outcome {
        Outcome { admitted, past: self.past, cost: self.hit.cost, at }
    }
}

/// Charges all, if nobody wrote to any of their shards since they were seen.
fn charge(mut seen: Few<Seen<'_>>, at: Timestamp) -> Attempt {
    for Seen { hit, past, .. } in seen.iter_mut().filter(|seen| seen.hit.cost > 0) {
        let state = hit.strategy.charge(past.take(), hit.rate, hit.cost, at);
        if state.log().is_some() {
            return Attempt::NotKnown;
        }
        *past = Some(Past { state, rate: hit.rate });
    }
    let Some(inside) = enter_all(&seen) else { return Attempt::Disturbed };
    for Seen { entry, hit, past, .. } in seen.iter().filter(|seen| seen.hit.cost > 0) {
        if let (Some(words), Some(inside)) = (past.as_ref().and_then(|past| Words::of(&past.state)), inside.first()) {
            words.write(entry, hit, inside);
        }
    }
    drop(inside);
    Attempt::Decided(seen.into_iter().map(|seen| seen.outcome(true, at)).collect())
}

/// Enters every shard once, in their order: whoever wants some of the same ones meets this at the first of them. Nobody
/// waits inside of one for another.
fn enter_all<'a>(seen: &[Seen<'a>]) -> Option<Few<Inside<'a>>> {
    let mut shards: Few<(usize, &Shard, Version)> =
        seen.iter().map(|seen| (seen.place, seen.shard, seen.version)).collect();
    shards.sort_unstable_by_key(|&(place, _, version)| (place, version));
    // Of two hits in one shard both have to have seen the same.
    shards.dedup_by_key(|&mut (place, _, version)| (place, version));
    shards.iter().map(|(_, shard, version)| shard.enter(*version)).collect()
}
