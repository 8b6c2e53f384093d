//! All metrics of this crate.

/// A metric, as recorders describe it. The guide lists the same, which a test compares.
#[allow(dead_code, reason = "a build without metrics reads nothing of it")]
#[derive(Debug)]
pub(crate) struct Metric {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// As OpenTelemetry writes units.
    pub(crate) unit: &'static str,
    /// The names of its labels.
    pub(crate) labels: &'static [&'static str],
    pub(crate) description: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

macro_rules! metrics {
    ($($metric:ident = $kind:ident $name:literal $unit:literal [$($label:literal),*] $description:literal;)+) => {
        $(
            pub(crate) static $metric: Metric = Metric {
                name: $name,
                kind: Kind::$kind,
                unit: $unit,
                labels: &[$($label),*],
                description: $description,
            };
        )+

        /// All metrics, in the order of the guide.
        #[allow(dead_code, reason = "tests read it")]
        pub(crate) static ALL: &[&Metric] = &[$(&$metric),+];
    };
}

metrics! {
    DECISIONS = Counter "traffik.decisions" "{decision}" ["limit", "outcome", "backend", "decided_by"]
        "Decisions about one limit: a decision about a tuple counts once for each of its limits";
    DECISION_DURATION = Histogram "traffik.decision.duration" "s" ["backend", "decided_by"]
        "Time from the start of a decision to its result, without the turn in a queue";
    MESSAGES = Counter "traffik.messages" "{message}" ["outcome"]
        "Messages of WebSockets that were checked";
    ACTIVE_PERMITS = Gauge "traffik.active_permits" "{permit}" ["limit", "backend"]
        "Permits of Concurrency that this process holds";
    QUEUED_REQUESTS = Gauge "traffik.queued_requests" "{request}" ["limit"]
        "Admitted requests that this process holds until their turn";
    WAITING_CALLERS = Gauge "traffik.waiting_callers" "{caller}" ["limit"]
        "Callers that wait for room in this process";
    SETTLEMENTS = Counter "traffik.settlements" "{settlement}" ["limit", "change", "result"]
        "Changes of a charge after its decision";
    OVERDRAFT = Counter "traffik.overdraft" "{unit}" ["limit"]
        "Cost that was charged after the decision, whether it fitted or not";
    MEMORY_ENTRIES = Gauge "traffik.memory.entries" "{entry}" ["namespace"]
        "Entries in memory backends, including expired ones that were not removed yet";
    MEMORY_EVICTIONS = Counter "traffik.memory.evictions" "{entry}" ["namespace"]
        "Entries that a full memory backend evicted before they expired";
    BREAKERS = Gauge "traffik.breakers" "{breaker}" ["backend", "state"]
        "Circuit breakers in a state";
    BREAKER_CHANGES = Counter "traffik.breaker.changes" "{change}" ["backend", "state"]
        "Changes of circuit breakers to a state";
    LIMITS_FILE_LOADS = Counter "traffik.limits_file.loads" "{load}" ["result"]
        "Loads of the limits file after the start of the app";
    LIMITS_FILE_INVALID = Gauge "traffik.limits_file.invalid" "{file}" []
        "Limits files that are missing or invalid, so that the last valid one is in force";
}
