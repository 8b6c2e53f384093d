use std::{fmt, time::Duration};

use axum::http::{Request, StatusCode};
use thiserror::Error;
use traffik_core::rate::Rate;

use crate::{
    engine::{Limit, Limits, Refusal},
    fields::whole_seconds,
    web::{
        RequestContext,
        request_head::{RequestHead, ResponseFormat},
    },
};

/// The client is over a limit.
///
/// As a response it is a 429 that says when to try again. The [`Responder`](crate::Responder) of the throttle or of the
/// app makes it. It is a 503 where all limits that had no room
/// [refuse with that status](crate::Settings::refuse_with_503).
#[derive(Clone, Debug, Error)]
pub struct Limited(pub(in crate::web) Box<Inner>);

#[derive(Clone, Debug)]
pub(in crate::web) struct Inner {
    refusal: Refusal,
    /// The request, if the decision was made for it.
    pub(in crate::web) context: Option<RequestContext>,
    pub(in crate::web) head: RequestHead,
}

impl Limited {
    pub(in crate::web) fn new(limits: Limits, context: RequestContext) -> Self {
        Self(Box::new(Inner { refusal: Refusal::new(limits), context: Some(context), head: RequestHead::default() }))
    }

    /// Returns the limits of the decision, including those that had room.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.0.refusal
    }

    /// Returns the limits that had no room, including [hidden](Limit::is_hidden) ones.
    pub fn exceeded(&self) -> impl Iterator<Item = &Limit> + Clone {
        self.0.refusal.exceeded()
    }

    /// Returns how long until the same request would be admitted, if the client sends no other until then. Returns
    /// `None` if the request costs more than a limit can hold.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.refusal.retry_after()
    }

    /// Returns the method, the URI and the headers of the request, without its extensions.
    ///
    /// Returns `None` if neither the app nor a throttle of the decision has a responder: the request is copied only for one.
    #[must_use]
    pub fn request(&self) -> Option<&Request<()>> {
        self.0.head.request()
    }

    /// Returns the format of the default response.
    #[must_use]
    pub fn format(&self) -> ResponseFormat {
        self.0.head.format
    }

    /// Returns the status of the default response.
    pub(super) fn refused_with(&self) -> StatusCode {
        let is_503 = |limit: &Limit| limit.definition().settings.request.refuses_with_503;
        if self.exceeded().all(is_503) { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::TOO_MANY_REQUESTS }
    }
}

/// Makes the rejection of a request from a refusal that was found without it.
impl From<Refusal> for Limited {
    fn from(refusal: Refusal) -> Self {
        Self(Box::new(Inner { refusal, context: None, head: RequestHead::default() }))
    }
}

/// Writes the limit that was exceeded and the wait: the `detail` of the response. [Hidden](Limit::is_hidden) limits are not
/// named.
impl fmt::Display for Limited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.exceeded().filter(|limit| !limit.is_hidden());
        let tightest = shown.reduce(|tightest, limit| if limit.is_tighter_than(tightest) { limit } else { tightest });
        match tightest {
            Some(limit) if limit.is_blocked() => write!(f, "{:?} refuses this client", limit.uid())?,
            Some(limit) => {
                let allowed = InWords { rate: limit.rate(), is_concurrency: limit.definition().is_held };
                write!(f, "{:?} allows {allowed}", limit.uid())?;
            }
            None => f.write_str("too many requests")?,
        }
        match (self.retry_after(), tightest) {
            (Some(wait), _) => write!(f, "; try again in {}", in_seconds(wait)),
            (None, Some(limit)) if limit.is_blocked() => Ok(()),
            (None, Some(limit)) if limit.is_never_possible() => {
                write!(f, "; a request that costs {} is never admitted", limit.cost())
            }
            (None, _) => f.write_str("; a request of this cost is never admitted"),
        }
    }
}

/// The text of a limit for clients: `5 requests per minute`, `10 at once`.
pub(in crate::web) struct InWords {
    pub(in crate::web) rate: Rate,
    pub(in crate::web) is_concurrency: bool,
}

impl fmt::Display for InWords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rate, is_concurrency } = *self;
        if is_concurrency {
            return write!(f, "{} at once", rate.limit());
        }
        let plural = if rate.limit() == 1 { "" } else { "s" };
        write!(f, "{} request{plural} per ", rate.limit())?;
        match rate.period_micros() {
            1_000_000 => f.write_str("second"),
            60_000_000 => f.write_str("minute"),
            3_600_000_000 => f.write_str("hour"),
            86_400_000_000 => f.write_str("day"),
            604_800_000_000 => f.write_str("week"),
            _ => humantime::format_duration(rate.period()).fmt(f),
        }
    }
}

/// Returns the text of a wait, at least one second: `12s`, `1h 30m`.
fn in_seconds(wait: Duration) -> humantime::FormattedDuration {
    humantime::format_duration(Duration::from_secs(whole_seconds(wait).max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_in_words() {
        let in_words = |rate: &str, is_concurrency| InWords { rate: rate.parse().unwrap(), is_concurrency }.to_string();
        let words = |rate: &str| in_words(rate, false);
        assert_eq!(in_words("10/30s", true), "10 at once");
        assert_eq!(words("5/min"), "5 requests per minute");
        assert_eq!(words("1/week"), "1 request per week");
        assert_eq!(words("100/5m30s"), "100 requests per 5m 30s");
        assert_eq!(words("1000/500ms"), "1000 requests per 500ms");
    }

    #[test]
    fn waits_are_rounded_up() {
        let micros = Duration::from_micros;
        assert_eq!(in_seconds(micros(1)).to_string(), "1s");
        assert_eq!(in_seconds(Duration::ZERO).to_string(), "1s");
    }
}
