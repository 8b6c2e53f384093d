//! How long people waited.

use std::time::Duration;

/// Each wait, in order.
pub(crate) struct Waits(Vec<Duration>);

impl FromIterator<Duration> for Waits {
    fn from_iter<I: IntoIterator<Item = Duration>>(waits: I) -> Self {
        let mut waits: Vec<_> = waits.into_iter().collect();
        waits.sort_unstable();
        Self(waits)
    }
}

impl Waits {
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// What so many of a hundred did not wait longer than. Nothing, if nobody waited.
    pub(crate) fn of_percent(&self, percent: usize) -> Option<Duration> {
        self.0.get(self.0.len().saturating_sub(1) * percent / 100).copied()
    }

    pub(crate) fn longest(&self) -> Duration {
        self.0.last().copied().unwrap_or_default()
    }

    /// What half of them, nearly all and all did not wait longer than, in milliseconds, as cells of a table.
    pub(crate) fn cells(&self) -> String {
        let [half, most, all] = [50, 99, 100].map(|percent| millis(self.of_percent(percent).unwrap_or_default()));
        format!("{half:.1} | {most:.1} | {all:.1}")
    }
}

pub(crate) fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// Milliseconds from the end of a fault until all is as it was, if ever.
pub(crate) fn back_cell(after: Option<Duration>) -> String {
    after.map_or_else(|| "never".to_owned(), |after| format!("{:.0}", millis(after)))
}
