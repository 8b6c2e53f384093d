use std::{fmt, time::Duration};

use axum::http::{Request, StatusCode};
use thiserror::Error;

use super::words::{InWords, in_seconds};
use crate::{
    engine::{Limit, Limits, Refusal},
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
pub struct Limited(Box<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    refusal: Refusal,
    /// The request, if the decision was made for it.
    context: Option<RequestContext>,
    head: RequestHead,
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
        self.0.head.format()
    }

    /// Returns the status of the default response.
    pub(super) fn refused_with(&self) -> StatusCode {
        let is_503 = |limit: &Limit| limit.definition().settings.request.refuses_with_503;
        if self.exceeded().all(is_503) { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::TOO_MANY_REQUESTS }
    }

    pub(in crate::web) fn context(&self) -> Option<&RequestContext> {
        self.0.context.as_ref()
    }

    pub(in crate::web) fn head(&self) -> &RequestHead {
        &self.0.head
    }

    pub(super) fn head_mut(&mut self) -> &mut RequestHead {
        &mut self.0.head
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
                let allowed = InWords::new(limit.rate(), limit.definition().is_held);
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
