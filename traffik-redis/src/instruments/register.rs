use metrics::{Counter, Key, Label, Level, Metadata, Recorder, Unit, with_recorder};

use super::{
    Count, Instruments,
    table::{CONNECTIONS, COUNTERS, Metric},
};

const METADATA: Metadata<'_> = Metadata::new("traffik_redis", Level::INFO, Some("traffik_redis"));

impl Instruments {
    /// Describes all metrics, and registers those of this namespace.
    #[cold]
    pub(super) fn register(&self) -> [Counter; Count::ALL] {
        with_recorder(|recorder| {
            self.register_connections(recorder);
            COUNTERS.each_ref().map(|metric| {
                recorder.describe_counter(metric.name.into(), Some(Unit::Count), metric.description.into());
                recorder.register_counter(&self.key(metric), &METADATA)
            })
        })
    }

    fn register_connections(&self, recorder: &dyn Recorder) {
        let mut connections = self.connections();
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
