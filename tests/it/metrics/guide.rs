//! The guide and the dashboard name the metrics that the crates have.

use std::collections::BTreeSet;

use traffik::observe::{Decider, EventOutcome};

use super::{Result, redis_table, table};

const PAGE: &str = include_str!("../../../docs/metrics-and-logs.md");
const DASHBOARD: &str = include_str!("../../../docs/grafana/traffik.json");

/// A metric of one of the crates.
struct Metric {
    name: &'static str,
    kind: &'static str,
    unit: &'static str,
    labels: &'static [&'static str],
    meaning: &'static str,
}

fn metrics() -> Vec<Metric> {
    let own = table::ALL.iter().map(|metric| {
        let kind = match metric.kind {
            table::Kind::Counter => "counter",
            table::Kind::Gauge => "gauge",
            table::Kind::Histogram => "histogram",
        };
        let table::Metric { name, unit, labels, description: meaning, .. } = **metric;
        Metric { name, kind, unit, labels, meaning }
    });
    let redis = |metric: &redis_table::Metric, kind| {
        let redis_table::Metric { name, unit, description: meaning } = *metric;
        Metric { name, kind, unit, labels: &["namespace"], meaning }
    };
    let counters = redis_table::COUNTERS.iter().map(|metric| redis(metric, "counter"));
    own.chain(counters).chain([redis(&redis_table::CONNECTIONS, "gauge")]).collect()
}

impl Metric {
    /// Returns the row in the table of the guide.
    fn row(&self) -> String {
        let Self { name, kind, unit, meaning, .. } = self;
        let labels: Vec<_> = self.labels.iter().map(|label| format!("`{label}`")).collect();
        format!("| `{name}` | {kind} | `{unit}` | {} | {meaning} |", labels.join(", "))
    }

    /// Returns the names in Prometheus.
    fn series(&self) -> Vec<String> {
        let name = self.name.replace('.', "_");
        match self.kind {
            "counter" => vec![format!("{name}_total")],
            "histogram" => ["bucket", "sum", "count"].map(|part| format!("{name}_seconds_{part}")).to_vec(),
            _ => vec![name],
        }
    }
}

fn series() -> BTreeSet<String> {
    metrics().iter().flat_map(Metric::series).collect()
}

/// Returns the names in a text that begin as those of series do.
fn names_in(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("traffik_")).map(str::to_owned).collect()
}

#[test]
fn guide_lists_every_metric() {
    let start = PAGE.find("## All metrics").unwrap_or_default();
    let listed = PAGE.get(start..).unwrap_or_default().lines().filter(|line| line.starts_with("| `traffik."));
    let rows: Vec<_> = metrics().iter().map(Metric::row).collect();
    assert_eq!(listed.collect::<Vec<_>>(), rows);
}

#[test]
fn guide_lists_every_value_of_the_labels_of_decisions() -> Result {
    let row = |label| PAGE.lines().find(|line| line.starts_with(&format!("| `{label}` |"))).ok_or(label);
    let (outcomes, deciders) = (row("outcome")?, row("decided_by")?);
    let of_decisions = outcomes.split("Of a message").next().unwrap_or_default();
    for outcome in EventOutcome::ALL {
        assert!(of_decisions.contains(&format!("`{outcome}`")), "{outcome}");
    }
    for decider in Decider::ALL {
        assert!(deciders.contains(&format!("`{decider}`")), "{decider}");
    }
    Ok(())
}

#[test]
fn guide_and_dashboard_name_no_other_series() {
    let known = series();
    for text in [PAGE, DASHBOARD] {
        let others: Vec<_> = names_in(text)
            .into_iter()
            .filter(|name| {
                // The type line of a histogram has no suffix.
                !known.contains(name) && !known.contains(&format!("{name}_sum"))
            })
            .collect();
        assert_eq!(others, Vec::<String>::new());
    }
}

#[test]
fn dashboard_shows_every_metric() -> Result {
    let dashboard: serde_json::Value = serde_json::from_str(DASHBOARD)?;
    let panels = dashboard["panels"].as_array().ok_or("no panels")?;
    let queries = panels.iter().flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    let queries: Vec<_> = queries.filter_map(|target| target["expr"].as_str()).collect();
    let shown = names_in(&queries.join("\n"));
    assert_eq!(shown, series());

    // Labels in legends and groups exist.
    let labels: BTreeSet<&str> = metrics().iter().flat_map(|metric| metric.labels).copied().chain(["le"]).collect();
    let groups = queries
        .iter()
        .filter_map(|query| query.split_once("by (")?.1.split_once(')'))
        .flat_map(|(group, _)| group.split(", "));
    let unknown: Vec<_> = groups.filter(|label| !labels.contains(label)).collect();
    assert_eq!(unknown, Vec::<&str>::new());
    Ok(())
}
