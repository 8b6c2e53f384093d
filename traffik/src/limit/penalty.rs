//! Penalties: clients that go on after refusals are refused for longer.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use traffik_core::{OutOfRange, backend::Control, client::Key, clock::Timestamp};

use super::changes::{Block, Changes, ClientMap, ClientSetting, Name, Penalty, SharedValue};
use crate::store::Store;

/// The number of clients of a limit whose refusals are counted.
const MAX_COUNTED: usize = 10_000;

/// How long no penalty is shared after a backend has stored as many changes of clients as it may.
const FULL: Duration = Duration::from_secs(60);

/// When a client gets a penalty, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PenaltySettings {
    pub(super) after: u32,
    pub(super) time: Duration,
    /// The highest length of a repeated penalty, if they become longer.
    pub(super) up_to: Option<Duration>,
}

impl PenaltySettings {
    pub(super) fn check(&self) -> Result<(), OutOfRange> {
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        OutOfRange::check("Settings::penalty: refusals", self.after.into(), 1..=u32::MAX.into())?;
        OutOfRange::check("Settings::penalty: microseconds", micros(self.time), 1..=u64::MAX)?;
        match self.up_to {
            Some(up_to) => OutOfRange::check(
                "Settings::doubling_penalty: microseconds",
                micros(up_to),
                micros(self.time)..=u64::MAX,
            ),
            None => Ok(()),
        }
    }
}

/// Counts the refusals in a row of each client of a limit, in this process.
pub(crate) struct Penalties {
    settings: PenaltySettings,
    uid: Arc<str>,
    lineage: Arc<Lineage>,
    store: Arc<Store>,
    changes: Arc<Changes>,
    /// The number of clients that are counted. Admissions take no lock if there are none.
    counted: AtomicUsize,
    table: Mutex<RefusalTable>,
    /// Until then no penalty is shared, because the backend stores as many changes as it may.
    full_until: AtomicU64,
}

#[derive(Default)]
struct RefusalTable {
    refusals: HashMap<Key, Refusals>,
    /// Before this time no refusals of a full table end.
    next_end: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug)]
struct Refusals {
    count: u32,
    /// The client may be admitted then, so refusals after it are not in the same row.
    end: Timestamp,
}

impl Penalties {
    pub(super) fn new(
        settings: PenaltySettings,
        uid: &Arc<str>,
        lineage: &Arc<Lineage>,
        store: &Arc<Store>,
        changes: &Arc<Changes>,
    ) -> Arc<Self> {
        Arc::new(Self {
            settings,
            uid: Arc::clone(uid),
            lineage: Arc::clone(lineage),
            store: Arc::clone(store),
            changes: Arc::clone(changes),
            counted: AtomicUsize::new(0),
            table: Mutex::default(),
            full_until: AtomicU64::new(0),
        })
    }

    /// Forgets the refusals of a client.
    pub(crate) fn forget(&self, client: &Key) {
        if self.counted.load(Ordering::Relaxed) > 0 {
            let refusals = &mut self.table.lock().refusals;
            refusals.remove(client);
            self.counted.store(refusals.len(), Ordering::Relaxed);
        }
    }

    /// Counts a refusal. `wait` is the time until the client may be admitted, if there is one. Returns `true` if a penalty begins.
    #[cold]
    pub(crate) fn refused(self: &Arc<Self>, client: &Key, wait: Option<Duration>) -> bool {
        let now = self.changes.clock().now();
        let mut table = self.table.lock();
        let RefusalTable { refusals, next_end } = &mut *table;
        if refusals.len() >= MAX_COUNTED && !refusals.contains_key(client) {
            if next_end.is_some_and(|end| now < end) {
                return false;
            }
            refusals.retain(|_, refusals| now < refusals.end);
            *next_end = refusals.values().map(|refusals| refusals.end).min();
            if refusals.len() >= MAX_COUNTED {
                return false;
            }
        }
        let end = now.saturating_add(wait.unwrap_or(self.settings.time));
        *next_end = Some(next_end.map_or(end, |next| next.min(end)));
        let row = refusals.entry(client.clone()).or_insert(Refusals { count: 0, end });
        let before = if now < row.end { row.count } else { 0 };
        *row = Refusals { count: before.saturating_add(1), end: row.end.max(end) };
        let is_due = row.count >= self.settings.after;
        if is_due {
            refusals.remove(client);
        }
        self.counted.store(refusals.len(), Ordering::Relaxed);
        drop(table);
        is_due && self.punish(client, now)
    }

    /// Returns `false` if there are as many changes of clients as there may be, or if the limit was removed.
    fn punish(self: &Arc<Self>, client: &Key, now: Timestamp) -> bool {
        let PenaltySettings { after, time, up_to } = self.settings;
        let penalty = self.changes.change(|live| {
            // A limit that is added again does not have the penalties of the one before.
            if self.lineage.has_ended() || live.is_full(now) {
                return None;
            }
            let limit = live.of_mut(&self.uid);
            let last = limit.last_penalty(client, now);
            let length = match (last, up_to) {
                (Some(last), Some(up_to)) => last.saturating_mul(2).min(up_to),
                _ => time,
            };
            let until = now.saturating_add(length);
            let reason = format!("{after} refusals in a row").into();
            let block = Arc::new(Block { until: Some(until), reason });
            let penalty = Penalty { block, length, forgotten_at: until.saturating_add(up_to.unwrap_or_default()) };
            limit.clients.local.change(client.clone(), |client| client.penalty = Some(penalty.clone()));
            Some(penalty)
        });
        if let Some(penalty) = penalty.as_ref().filter(|_| !self.store.is_immediate()) {
            self.share(client, penalty);
        }
        penalty.is_some()
    }

    /// Starts to share a penalty with the other processes. A failure is no error: it holds in this one.
    fn share(self: &Arc<Self>, client: &Key, penalty: &Penalty) {
        let clock = self.changes.clock();
        let (now, wall_clock) = (clock.now(), clock.wall_clock());
        let of_day = |time: Timestamp| wall_clock.saturating_add(time.saturating_since(now));
        let Some(until) = penalty.block.until.map(of_day) else { return };
        let value = SharedValue::Penalty { until, length: penalty.length, forgotten_at: of_day(penalty.forgotten_at) };
        let Some(name) = Name::Client(ClientSetting::Penalty, &self.uid, client.clone()).to_text() else { return };
        let is_full = now.as_micros() < self.full_until.load(Ordering::Relaxed);
        if is_full || self.changes.latest().clients(|clients| &clients.shared) >= ClientMap::MAX {
            return;
        }
        let this = Arc::clone(self);
        self.store.start_task(async move {
            // What has ended is stored until it is removed, so the backend may store more than is in force.
            let received = |control: Control| {
                if control.settings.is_some_and(|settings| settings.len() >= ClientMap::MAX) {
                    this.full_until.store(now.saturating_add(FULL).as_micros(), Ordering::Relaxed);
                }
            };
            if let Err(error) = this.store.replace_text(&name, None, Some(&value.to_text()), received).await {
                tracing::debug!(%error, "a penalty holds in this process alone");
            }
        });
    }
}

/// Shows no clients.
impl fmt::Debug for Penalties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Penalties")
            .field("settings", &self.settings)
            .field("counted", &self.counted)
            .finish_non_exhaustive()
    }
}

/// Whether a limit was removed. Limits that replace each other share the lineage of the first.
#[derive(Debug, Default)]
pub(super) struct Lineage {
    /// `None` if this is the first.
    first: OnceLock<Arc<Self>>,
    /// Read and written while no change is made.
    has_ended: AtomicBool,
}

impl Lineage {
    /// Continues the lineage of the limit that is replaced.
    pub(super) fn continue_from(&self, earlier: &Arc<Self>) {
        let first = earlier.first.get().unwrap_or(earlier);
        // A limit replaces one other, and has this lineage already if it is put in its own place.
        let _ = self.first.set(Arc::clone(first));
    }

    pub(super) fn end(&self) {
        self.first().has_ended.store(true, Ordering::Relaxed);
    }

    pub(super) fn has_ended(&self) -> bool {
        self.first().has_ended.load(Ordering::Relaxed)
    }

    fn first(&self) -> &Self {
        self.first.get().map_or(self, |first| first)
    }
}
