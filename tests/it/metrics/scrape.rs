//! A recorder for one test.

use metrics::LocalRecorderGuard;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

/// What this thread records while the value exists. A test that uses it runs on one thread.
pub(crate) struct Recorded {
    handle: PrometheusHandle,
    _guard: LocalRecorderGuard<'static>,
}

impl Recorded {
    pub(crate) fn begin() -> Self {
        let recorder = Box::leak(Box::new(PrometheusBuilder::new().with_recommended_naming(true).build_recorder()));
        Self { handle: recorder.handle(), _guard: metrics::set_default_local_recorder(recorder) }
    }

    /// Returns the text that Prometheus reads.
    pub(crate) fn text(&self) -> String {
        self.handle.render()
    }

    /// Returns the value of a series, with its name and labels as Prometheus shows them. Returns `None` if there is none.
    pub(crate) fn value(&self, series: &str) -> Option<f64> {
        self.text().lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
    }

    /// Returns the number of decisions about a limit in the app's own backend.
    pub(crate) fn decisions(&self, limit: &str, outcome: &str) -> Option<f64> {
        self.decisions_by(limit, outcome, "default", "primary")
    }

    pub(crate) fn decisions_by(&self, limit: &str, outcome: &str, backend: &str, decided_by: &str) -> Option<f64> {
        self.value(&format!(
            r#"traffik_decisions_total{{limit="{limit}",outcome="{outcome}",backend="{backend}",decided_by="{decided_by}"}}"#
        ))
    }

    /// Returns the number of series of all metrics.
    pub(crate) fn series(&self) -> usize {
        self.text().lines().filter(|line| line.starts_with("traffik_")).count()
    }
}
