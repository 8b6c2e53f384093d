use std::{fmt, time::Duration};

use thiserror::Error;

use super::words::{InWords, in_seconds};
use crate::{
    engine::{Limit, Limits, Refusal},
    web::RequestContext,
};

/// The client is over a limit.
///
/// As a response it is a 429 that says when to try again. The [`Responder`](crate::Responder) of the throttle or of the
/// app makes it.
#[derive(Clone, Debug, Error)]
pub struct Limited(Box<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    refusal: Refusal,
    /// The request, if the decision was made for it.
    context: Option<RequestContext>,
}

impl Limited {
    pub(in crate::web) fn new(limits: Limits, context: RequestContext) -> Self {
        Self(Box::new(Inner { refusal: Refusal::new(limits), context: Some(context) }))
    }

    /// Returns the limits of the decision, including those that had room.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.0.refusal
    }

    /// Returns the limits that had no room.
    pub fn exceeded(&self) -> impl Iterator<Item = &Limit> + Clone {
        self.0.refusal.exceeded()
    }

    /// Returns how long until the same request would be admitted, if the client sends no other until then. Returns
    /// `None` if the request costs more than a limit can hold.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.refusal.retry_after()
    }

    pub(in crate::web) fn context(&self) -> Option<&RequestContext> {
        self.0.context.as_ref()
    }
}

/// Makes the rejection of a request from a refusal that was found without it.
impl From<Refusal> for Limited {
    fn from(refusal: Refusal) -> Self {
        Self(Box::new(Inner { refusal, context: None }))
    }
}

/// Writes the limit that was exceeded and the wait: the `detail` of the response.
impl fmt::Display for Limited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limit = self.0.refusal.tightest();
        write!(f, "{:?} allows {}", limit.uid(), InWords::new(limit))?;
        match limit.retry_after() {
            Some(wait) => write!(f, "; try again in {}", in_seconds(wait)),
            None => write!(f, "; a request that costs {} is never admitted", limit.cost()),
        }
    }
}
