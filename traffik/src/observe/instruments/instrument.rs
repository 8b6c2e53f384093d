#![cfg_attr(not(feature = "metrics"), allow(unused_variables, clippy::unused_self, reason = "instruments are empty"))]

#[cfg(feature = "metrics")]
use std::sync::{
    OnceLock,
    atomic::{AtomicBool, Ordering},
};
use std::time::Duration;

use super::table::Metric;

/// The values of the labels of a metric, in their order.
type Values<'a> = &'a [&'a str];

#[derive(Debug, Default)]
pub(crate) struct Counter {
    #[cfg(feature = "metrics")]
    handle: OnceLock<::metrics::Counter>,
}

/// A gauge. Several instruments of the same labels add up.
#[derive(Debug, Default)]
pub(crate) struct Gauge {
    #[cfg(feature = "metrics")]
    handle: OnceLock<::metrics::Gauge>,
}

#[derive(Debug, Default)]
pub(crate) struct Histogram {
    #[cfg(feature = "metrics")]
    handle: OnceLock<::metrics::Histogram>,
}

impl Counter {
    #[inline]
    pub(crate) fn add(&self, metric: &'static Metric, labels: Values<'_>, count: u64) {
        #[cfg(feature = "metrics")]
        self.handle.get_or_init(|| metric.counter(labels)).increment(count);
    }
}

impl Gauge {
    #[inline]
    pub(crate) fn add(&self, metric: &'static Metric, labels: Values<'_>, change: f64) {
        #[cfg(feature = "metrics")]
        self.handle.get_or_init(|| metric.gauge(labels)).increment(change);
    }

    /// Counts one more until the returned value ends.
    #[inline]
    pub(crate) fn hold(&self, metric: &'static Metric, labels: Values<'_>) -> Held {
        self.add(metric, labels, 1.0);
        Held {
            #[cfg(feature = "metrics")]
            gauge: self.handle.get_or_init(|| metric.gauge(labels)).clone(),
            #[cfg(feature = "metrics")]
            has_ended: AtomicBool::new(false),
        }
    }
}

impl Histogram {
    #[inline]
    pub(crate) fn record(&self, metric: &'static Metric, labels: Values<'_>, value: Duration) {
        #[cfg(feature = "metrics")]
        self.handle.get_or_init(|| metric.histogram(labels)).record(value);
    }
}

/// One that a gauge counts, until it ends or is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    #[cfg(feature = "metrics")]
    gauge: ::metrics::Gauge,
    #[cfg(feature = "metrics")]
    has_ended: AtomicBool,
}

impl Held {
    #[inline]
    pub(crate) fn end(&self) {
        #[cfg(feature = "metrics")]
        if !self.has_ended.swap(true, Ordering::Relaxed) {
            self.gauge.decrement(1.0);
        }
    }
}

impl Drop for Held {
    #[inline]
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(feature = "metrics")]
mod register {
    use ::metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Unit, with_recorder};

    use super::{Metric, Values};

    const METADATA: Metadata<'_> = Metadata::new("traffik", Level::INFO, Some("traffik"));

    /// Describes the metric, and registers a series of it.
    impl Metric {
        #[cold]
        pub(super) fn counter(&self, labels: Values<'_>) -> Counter {
            with_recorder(|recorder| {
                recorder.describe_counter(self.name.into(), Some(self.unit()), self.description.into());
                recorder.register_counter(&self.key(labels), &METADATA)
            })
        }

        #[cold]
        pub(super) fn gauge(&self, labels: Values<'_>) -> Gauge {
            with_recorder(|recorder| {
                recorder.describe_gauge(self.name.into(), Some(self.unit()), self.description.into());
                recorder.register_gauge(&self.key(labels), &METADATA)
            })
        }

        #[cold]
        pub(super) fn histogram(&self, labels: Values<'_>) -> Histogram {
            with_recorder(|recorder| {
                recorder.describe_histogram(self.name.into(), Some(self.unit()), self.description.into());
                recorder.register_histogram(&self.key(labels), &METADATA)
            })
        }

        fn key(&self, values: Values<'_>) -> Key {
            let labels = self.labels.iter().zip(values);
            Key::from_parts(
                self.name,
                labels.map(|(name, value)| Label::new(*name, (*value).to_owned())).collect::<Vec<_>>(),
            )
        }

        fn unit(&self) -> Unit {
            if self.unit == "s" { Unit::Seconds } else { Unit::Count }
        }
    }
}
