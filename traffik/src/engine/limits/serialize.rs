//! Limits as JSON, or in any other format of serde.

use std::time::Duration;

use serde::{Serialize, Serializer, ser::SerializeStruct};

use super::{Limit, Limits};

/// Serializes the limits as `{"admitted": .., "retry_after_ms": .., "limits": [..]}`.
///
/// | field | type | contents |
/// |---|---|---|
/// | `admitted` | boolean | [`is_admitted`](Self::is_admitted) |
/// | `retry_after_ms` | integer, or null | the longest `retry_after_ms` of the limits. Null if all admit, or if one never will |
/// | `limits` | array | each [`Limit`] that is not [hidden](Limit::is_hidden) and in no dry run, in order |
///
/// A route that shows clients what they have left:
///
/// ```
/// use axum::{Json, Router, routing::get};
/// use traffik::{DefaultIdentity, Limits, MemoryBackend, Rate, Throttle, Traffik, throttle_layer};
///
/// struct Api;
///
/// impl Throttle for Api {
///     const UID: &'static str = "api:v1";
///     const RATE: Rate = Rate::literal("1000/min");
///     type Identity = DefaultIdentity;
/// }
///
/// async fn usage(limits: Option<Limits>) -> Json<Option<Limits>> {
///     Json(limits)
/// }
///
/// let traffik = Traffik::new(MemoryBackend::new("myapp"))?;
/// let app: Router = Router::new()
///     .route("/usage", get(usage))
///     .route_layer(throttle_layer::<Api>())
///     .layer(traffik.layer());
/// # Ok::<(), traffik::ConfigError>(())
/// ```
impl Serialize for Limits {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Limits", 3)?;
        fields.serialize_field("admitted", &self.is_admitted())?;
        fields.serialize_field("retry_after_ms", &self.retry_after().map(millis))?;
        fields.serialize_field("limits", &self.iter().filter(|limit| !limit.is_hidden()).collect::<Vec<_>>())?;
        fields.end()
    }
}

/// Serializes the limit as an object. The client and its key are not part of it.
///
/// | field | type | contents |
/// |---|---|---|
/// | `uid` | string | [`uid`](Self::uid) |
/// | `rate` | string | [`rate`](Self::rate), in the shortest form, such as `"100/min"` |
/// | `admitted` | boolean | [`is_admitted`](Self::is_admitted) |
/// | `counted` | boolean | [`is_counted`](Self::is_counted) |
/// | `cost` | integer | [`cost`](Self::cost) |
/// | `capacity` | integer, or null | [`capacity`](Self::capacity). Null if it is unlimited |
/// | `remaining` | integer, or null | [`remaining`](Self::remaining). Null if it is unlimited |
/// | `retry_after_ms` | integer, or null | [`retry_after`](Self::retry_after). Null if it admits, or never will |
/// | `more_after_ms` | integer, or null | [`more_after`](Self::more_after). Null if nothing is used |
/// | `reset_after_ms` | integer, or null | [`reset_after`](Self::reset_after). 0 if nothing is used |
///
/// Times are in milliseconds from the decision, rounded up. For [`Concurrency`](struct@crate::strategy::Concurrency) the last two
/// are null, because the time at which a permit is given back is not known. More fields may be added.
impl Serialize for Limit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let is_held = self.definition().is_held;
        let time = |wait: Option<Duration>| wait.filter(|_| !is_held).map(millis);
        let mut fields = serializer.serialize_struct("Limit", 10)?;
        fields.serialize_field("uid", self.uid())?;
        fields.serialize_field("rate", &self.rate())?;
        fields.serialize_field("admitted", &self.is_admitted())?;
        fields.serialize_field("counted", &self.is_counted())?;
        fields.serialize_field("cost", &self.cost())?;
        fields.serialize_field("capacity", &self.capacity().units())?;
        fields.serialize_field("remaining", &self.remaining().units())?;
        fields.serialize_field("retry_after_ms", &self.retry_after().map(millis))?;
        fields.serialize_field("more_after_ms", &time(self.more_after()))?;
        fields.serialize_field("reset_after_ms", &time(Some(self.reset_after())))?;
        fields.end()
    }
}

/// Rounds up, so that a client that waits that long has waited long enough.
fn millis(wait: Duration) -> u64 {
    u64::try_from(wait.as_micros().div_ceil(1000)).unwrap_or(u64::MAX)
}
