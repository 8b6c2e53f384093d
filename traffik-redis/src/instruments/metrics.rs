use std::sync::{Mutex, OnceLock};

use metrics::{Counter, Gauge, Key, Label, Level, Metadata, Recorder, Unit, with_recorder};

use super::{
    Count,
    table::{CONNECTIONS, COUNTERS, Metric},
};
use crate::lock::lock;

const METADATA: Metadata<'_> = Metadata::new("traffik_redis", Level::INFO, Some("traffik_redis"));

/// The metrics of a backend. They are registered at its first call, so an app may install its recorder after it has
/// connected.
#[derive(Debug)]
pub(super) struct Metrics {
    namespace: Box<str>,
    counters: OnceLock<[Counter; Count::ALL]>,
    connections: Mutex<Connections>,
}

#[derive(Debug, Default)]
struct Connections {
    up: u32,
    /// Whether the user keeps them, so that nothing is known of them.
    are_users: bool,
    gauge: Option<Gauge>,
}

/// A connection that is up, until it is dropped.
pub(super) struct Up<'a>(&'a Metrics);

impl Metrics {
    pub(super) fn new(namespace: &str) -> Self {
        Self { namespace: namespace.into(), counters: OnceLock::new(), connections: Mutex::default() }
    }

    pub(super) fn add(&self, count: Count, more: u64) {
        if let Some(counter) = self.counters.get_or_init(|| self.register()).get(count as usize) {
            counter.increment(more);
        }
    }

    pub(super) fn connected(&self) -> Up<'_> {
        lock(&self.connections).change(true);
        Up(self)
    }

    pub(super) fn leave_connections_to_user(&self) {
        lock(&self.connections).are_users = true;
    }

    /// Describes all metrics, and registers those of this namespace.
    #[cold]
    fn register(&self) -> [Counter; Count::ALL] {
        with_recorder(|recorder| {
            self.register_connections(recorder);
            COUNTERS.each_ref().map(|metric| {
                recorder.describe_counter(metric.name.into(), Some(Unit::Count), metric.description.into());
                recorder.register_counter(&self.key(metric), &METADATA)
            })
        })
    }

    fn register_connections(&self, recorder: &dyn Recorder) {
        let mut connections = lock(&self.connections);
        if !connections.are_users {
            let Metric { name, description, .. } = CONNECTIONS;
            recorder.describe_gauge(name.into(), Some(Unit::Count), description.into());
            let gauge = recorder.register_gauge(&self.key(&CONNECTIONS), &METADATA);
            gauge.increment(connections.up);
            connections.gauge = Some(gauge);
        }
    }

    fn key(&self, metric: &Metric) -> Key {
        Key::from_parts(metric.name, vec![Label::new("namespace", self.namespace.to_string())])
    }
}

impl Connections {
    fn change(&mut self, is_up: bool) {
        self.up = if is_up { self.up.saturating_add(1) } else { self.up.saturating_sub(1) };
        if let Some(gauge) = &self.gauge {
            gauge.increment(if is_up { 1.0 } else { -1.0 });
        }
    }
}

impl Drop for Up<'_> {
    fn drop(&mut self) {
        lock(&self.0.connections).change(false);
    }
}
