//! All metrics of this crate, each with the label `namespace`.

/// A metric, as recorders describe it. The guide lists the same, which a test compares.
#[derive(Debug)]
pub(crate) struct Metric {
    pub(crate) name: &'static str,
    /// As OpenTelemetry writes units.
    #[allow(dead_code, reason = "tests read it")]
    pub(crate) unit: &'static str,
    pub(crate) description: &'static str,
}

/// The counters, in the order of [`Count`](super::Count).
pub(crate) static COUNTERS: [Metric; 7] = [
    Metric { name: "traffik.redis.calls", unit: "{call}", description: "Calls to Redis, with any result" },
    Metric {
        name: "traffik.redis.decisions",
        unit: "{decision}",
        description: "Decisions sent to Redis: one call may carry several",
    },
    Metric {
        name: "traffik.redis.local_refusals",
        unit: "{decision}",
        description: "Decisions refused without a call, because Redis had just refused the same",
    },
    Metric {
        name: "traffik.redis.timeouts",
        unit: "{call}",
        description: "Decisions and other calls without an answer within the deadline",
    },
    Metric {
        name: "traffik.redis.late",
        unit: "{call}",
        description: "Decisions and other calls that ran after their deadline, and are charged",
    },
    Metric {
        name: "traffik.redis.in_doubt",
        unit: "{call}",
        description: "Decisions and other calls that may have run, because the connection was lost before the answer",
    },
    Metric {
        name: "traffik.redis.replaced_connections",
        unit: "{connection}",
        description: "Connections that were replaced because they no longer delivered answers",
    },
];

pub(crate) static CONNECTIONS: Metric =
    Metric { name: "traffik.redis.connections", unit: "{connection}", description: "Connections to Redis that are up" };
