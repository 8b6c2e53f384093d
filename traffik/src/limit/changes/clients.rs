//! Changes for single clients.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::{Duration, SystemTime},
};

use traffik_core::{
    client::Key,
    clock::{AnyClock, Timestamp},
    rate::Rate,
};

/// When a change for a client ends.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use traffik::control::Until;
///
/// assert_eq!(Until::from(Duration::from_secs(60)), Until::After(Duration::from_secs(60)));
/// let new_year = SystemTime::UNIX_EPOCH + Duration::from_secs(1_893_456_000);
/// assert_eq!(Until::from(new_year), Until::At(new_year));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Until {
    /// After this time from now.
    After(Duration),
    /// At this time of day.
    At(SystemTime),
    /// When it is removed.
    Removed,
}

impl From<Duration> for Until {
    fn from(time: Duration) -> Self {
        Self::After(time)
    }
}

impl From<SystemTime> for Until {
    fn from(time: SystemTime) -> Self {
        Self::At(time)
    }
}

impl Until {
    /// Returns the end by the clock of the app. `None` if there is none.
    pub(crate) fn end(self, clock: &AnyClock) -> Option<Timestamp> {
        let time = match self {
            Self::Removed => return None,
            Self::After(time) => time,
            Self::At(time) => {
                let since_epoch = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
                Timestamp::UNIX_EPOCH.saturating_add(since_epoch).saturating_since(clock.wall_clock())
            }
        };
        Some(clock.now().saturating_add(time))
    }
}

/// The changes for one client.
#[derive(Clone, Debug, Default)]
pub(crate) struct ClientChange {
    pub(crate) block: Option<Arc<Block>>,
    pub(crate) exempt: Option<Lasting<()>>,
    pub(crate) rate: Option<Lasting<Rate>>,
    pub(crate) penalty: Option<Penalty>,
}

/// A block that a throttle sets itself. It is remembered for a time after its end.
#[derive(Clone, Debug)]
pub(crate) struct Penalty {
    pub(crate) block: Arc<Block>,
    pub(crate) length: Duration,
    pub(crate) forgotten_at: Timestamp,
}

/// A value, and when it ends. `None` if it does not.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lasting<T> {
    pub(crate) value: T,
    pub(crate) until: Option<Timestamp>,
}

/// The block of a client.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Block {
    /// `None` if it has no end.
    pub(crate) until: Option<Timestamp>,
    pub(crate) reason: Box<str>,
}

impl ClientChange {
    pub(crate) fn block(&self, now: Timestamp) -> Option<&Arc<Block>> {
        self.block.as_ref().filter(|block| lasts(block.until, now))
    }

    pub(crate) fn penalty(&self, now: Timestamp) -> Option<&Arc<Block>> {
        self.penalty.as_ref().map(|penalty| &penalty.block).filter(|block| lasts(block.until, now))
    }

    pub(crate) fn is_exempt(&self, now: Timestamp) -> bool {
        self.exempt.is_some_and(|exempt| lasts(exempt.until, now))
    }

    pub(crate) fn rate(&self, now: Timestamp) -> Option<Rate> {
        self.rate.filter(|rate| lasts(rate.until, now)).map(|rate| rate.value)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.block.is_none() && self.exempt.is_none() && self.rate.is_none() && self.penalty.is_none()
    }

    /// Returns the ends of its values.
    pub(super) fn ends(&self) -> impl Iterator<Item = Timestamp> {
        let block = self.block.as_ref().and_then(|block| block.until);
        let (exempt, rate) = (self.exempt.and_then(|exempt| exempt.until), self.rate.and_then(|rate| rate.until));
        let penalty = self.penalty.as_ref().map(|penalty| penalty.forgotten_at);
        [block, exempt, rate, penalty].into_iter().flatten()
    }

    /// Returns the parts that have not ended.
    pub(crate) fn lasting(&self, now: Timestamp) -> Self {
        Self {
            block: self.block(now).cloned(),
            exempt: self.exempt.filter(|exempt| lasts(exempt.until, now)),
            rate: self.rate.filter(|rate| lasts(rate.until, now)),
            penalty: self.penalty.clone().filter(|penalty| now < penalty.forgotten_at),
        }
    }
}

fn lasts(until: Option<Timestamp>, now: Timestamp) -> bool {
    until.is_none_or(|until| now < until)
}

/// The number of parts of a map. A change copies one of them.
const PARTS: u64 = 64;

/// The changes for clients of one limit and source. Clones share what is not changed.
#[derive(Clone, Debug, Default)]
pub(crate) struct ClientMap {
    /// Empty as long as there are no clients.
    parts: Vec<Arc<HashMap<Key, ClientChange>>>,
    len: usize,
    /// When the first value ends that has an end.
    next_end: Option<Timestamp>,
}

impl ClientMap {
    /// The highest number of clients with changes of one source.
    pub(crate) const MAX: usize = 10_000;

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn get(&self, key: &Key) -> Option<&ClientChange> {
        self.parts.get(part(key))?.get(key)
    }

    pub(crate) fn has_penalty(&self, key: &Key) -> bool {
        self.get(key).is_some_and(|client| client.penalty.is_some())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Key, &ClientChange)> {
        self.parts.iter().flat_map(|part| &**part)
    }

    /// Changes a client. One that is left without a change is removed.
    pub(crate) fn change<R>(&mut self, key: Key, change: impl FnOnce(&mut ClientChange) -> R) -> R {
        if self.parts.is_empty() {
            self.parts = std::iter::repeat_with(Arc::default).take(usize::try_from(PARTS).unwrap_or(1)).collect();
        }
        let mut client = self.get(&key).cloned().unwrap_or_default();
        let result = change(&mut client);
        if let Some(clients) = self.parts.get_mut(part(&key)).map(Arc::make_mut) {
            self.len -= usize::from(clients.remove(&key).is_some());
            if !client.is_empty() {
                self.next_end = self.next_end.into_iter().chain(client.ends()).min();
                self.len += 1;
                clients.insert(key, client);
            }
        }
        result
    }

    /// Removes what has ended.
    pub(crate) fn expire(&mut self, now: Timestamp) {
        if self.next_end.is_none_or(|end| now < end) {
            return;
        }
        let all = std::mem::take(self);
        for (key, client) in all.iter() {
            let lasting = client.lasting(now);
            self.change(key.clone(), |client| *client = lasting);
        }
    }
}

fn part(key: &Key) -> usize {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    usize::try_from(hasher.finish() % PARTS).unwrap_or_default()
}
