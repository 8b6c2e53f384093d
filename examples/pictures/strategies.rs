//! Which strategies are drawn: the one place to add another.

use traffik::strategy::{
    AnyStrategy, FixedWindow, Gcra, LeakyBucket, LeakyBucketWithQueue, SlidingWindowCounter, SlidingWindowLog,
    TokenBucket,
};

/// Every strategy, in the order of the guide: the file's name, the heading, and the strategy itself.
pub(super) fn all() -> Vec<Subject> {
    vec![
        Subject::new("fixed-window", "FixedWindow", FixedWindow),
        Subject::new("sliding-window-counter", "SlidingWindowCounter", SlidingWindowCounter),
        Subject::new("sliding-window-log", "SlidingWindowLog", SlidingWindowLog),
        Subject::new("token-bucket", "TokenBucket", TokenBucket::new()),
        Subject::new("leaky-bucket", "LeakyBucket", LeakyBucket::new()).showing(Gauge::Level),
        Subject::new("leaky-bucket-with-queue", "LeakyBucketWithQueue, queue(5)", LeakyBucketWithQueue::new().queue(5))
            .showing(Gauge::Level),
        Subject::new("gcra", "Gcra", Gcra::new()),
        Subject::new("gcra-burst", "Gcra, burst(3)", Gcra::new().burst(3)),
    ]
}

/// A strategy to be drawn.
pub(super) struct Subject {
    pub(super) file: &'static str,
    pub(super) heading: &'static str,
    pub(super) strategy: AnyStrategy,
    pub(super) gauge: Gauge,
}

/// What the line below the requests shows.
#[derive(Clone, Copy)]
pub(super) enum Gauge {
    /// What is left.
    Remaining,
    /// The same from the other end: what is used.
    Level,
}

impl Subject {
    fn new(file: &'static str, heading: &'static str, strategy: impl Into<AnyStrategy>) -> Self {
        Self { file, heading, strategy: strategy.into(), gauge: Gauge::Remaining }
    }

    fn showing(self, gauge: Gauge) -> Self {
        Self { gauge, ..self }
    }
}

impl Gauge {
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Remaining => "remaining",
            Self::Level => "level",
        }
    }

    pub(super) fn read(self, remaining: u64, capacity: u64) -> u64 {
        match self {
            Self::Remaining => remaining,
            Self::Level => capacity.saturating_sub(remaining),
        }
    }
}
