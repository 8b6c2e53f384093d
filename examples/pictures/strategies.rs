//! The strategies of the pictures. Add another one here.

use traffik::strategy::{
    AnyStrategy, FixedWindow, Gcra, LeakyBucket, LeakyBucketWithQueue, SlidingWindowCounter, SlidingWindowLog,
    TokenBucket,
};

/// Returns every strategy in the order of the guide: the name of the file, the heading, and the strategy.
pub(super) fn all() -> Vec<Subject> {
    vec![
        Subject::new("fixed-window", "FixedWindow", FixedWindow),
        Subject::new("sliding-window-counter", "SlidingWindowCounter", SlidingWindowCounter),
        Subject::new("sliding-window-log", "SlidingWindowLog", SlidingWindowLog),
        Subject::new("token-bucket", "TokenBucket", TokenBucket::new()),
        Subject::new("leaky-bucket", "LeakyBucket", LeakyBucket::new()).showing_level(),
        Subject::new("leaky-bucket-with-queue", "LeakyBucketWithQueue, queue(5)", LeakyBucketWithQueue::new().queue(5))
            .showing_level(),
        Subject::new("gcra", "Gcra", Gcra::new()),
        Subject::new("gcra-burst", "Gcra, burst(3)", Gcra::new().burst(3)),
    ]
}

/// A strategy to be drawn.
pub(super) struct Subject {
    pub(super) file: &'static str,
    pub(super) heading: &'static str,
    pub(super) strategy: AnyStrategy,
    /// Whether the line below the requests shows the usage instead of what remains.
    pub(super) shows_level: bool,
}

impl Subject {
    fn new(file: &'static str, heading: &'static str, strategy: impl Into<AnyStrategy>) -> Self {
        Self { file, heading, strategy: strategy.into(), shows_level: false }
    }

    fn showing_level(self) -> Self {
        Self { shows_level: true, ..self }
    }
}
