//! Statistics of waits.

use std::time::Duration;

/// The waits in ascending order.
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

    /// Returns the wait that `percent` of the calls did not exceed, or `None` without calls.
    pub(crate) fn of_percent(&self, percent: usize) -> Option<Duration> {
        self.0.get(self.0.len().saturating_sub(1) * percent / 100).copied()
    }

    pub(crate) fn longest(&self) -> Duration {
        self.0.last().copied().unwrap_or_default()
    }

    /// Returns the median, the 99th percentile and the maximum in milliseconds, as cells of a table.
    pub(crate) fn cells(&self) -> String {
        let [half, most, all] = [50, 99, 100].map(|percent| millis(self.of_percent(percent).unwrap_or_default()));
        format!("{half:.1} | {most:.1} | {all:.1}")
    }
}

pub(crate) fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// Returns the milliseconds from the end of a fault until the recovery, if there was one.
pub(crate) fn back_cell(after: Option<Duration>) -> String {
    after.map_or_else(|| "never".to_owned(), |after| format!("{:.0}", millis(after)))
}
