use std::{fmt, time::Duration};

use thiserror::Error;

use super::words::{InWords, in_seconds};
use crate::{
    engine::{Limit, Limits, Refusal},
    web::RequestContext,
};

/// The client is over a limit.
///
/// As a response it is a 429 that says when to come back, made by the [`Responder`](crate::Responder) of the throttle or
/// of the app.
#[derive(Clone, Debug, Error)]
pub struct Limited(Box<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    refusal: Refusal,
    context: RequestContext,
}

impl Limited {
    pub(in crate::web) fn new(limits: Limits, context: RequestContext) -> Self {
        Self(Box::new(Inner { refusal: Refusal::new(limits), context }))
    }

    /// The limits of the decision, those that had room included.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.0.refusal
    }

    /// The limits that had no room.
    pub fn exceeded(&self) -> impl Iterator<Item = &Limit> + Clone {
        self.0.refusal.exceeded()
    }

    /// How long until the same request would be admitted, if the client sends no other until then. Nothing, if it never
    /// will be, because it costs more than a limit can hold.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.refusal.retry_after()
    }

    pub(in crate::web) fn context(&self) -> &RequestContext {
        &self.0.context
    }
}

/// What is over, and for how long: the `detail` of the response.
impl fmt::Display for Limited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limit = self.0.refusal.tightest();
        write!(f, "{:?} allows {}", limit.uid(), InWords::new(limit))?;
        match limit.retry_after() {
            Some(wait) => write!(f, "; try again in {}", in_seconds(wait)),
            None => write!(f, ", and never a request that costs {}", limit.cost()),
        }
    }
}
