//! The request of a rejection.

use axum::http::request::Parts;

use super::{Limited, ThrottleRejection, Unavailable};
use crate::{limit::Definition, web::request_head::RequestHead};

impl ThrottleRejection {
    /// Returns the rejection of this request, for one that was made without it, by
    /// [`Limits::or_refuse`](crate::Limits::or_refuse) or of a [`Refusal`](crate::Refusal): the default response is in a format
    /// that the request accepts, and a [`Responder`](crate::Responder) sees the request.
    ///
    /// ```
    /// use axum::http::request::Parts;
    /// use traffik::{Limits, ThrottleRejection};
    ///
    /// fn refuse(limits: Limits, parts: &Parts) -> Result<Limits, ThrottleRejection> {
    ///     limits.or_refuse().map_err(|refusal| refusal.for_request(parts))
    /// }
    /// ```
    #[must_use]
    pub fn for_request(self, parts: &Parts) -> Self {
        self.of(parts)
    }

    /// Sets the request that is rejected.
    #[cold]
    pub(in crate::web) fn of(self, parts: &Parts) -> Self {
        let has_responder = match &self {
            Self::Limited(limited) => limited.has_responder(),
            Self::Unavailable(unavailable) => unavailable.has_responder(),
            _ => false,
        };
        self.with_head(RequestHead::of(parts, has_responder))
    }

    /// Sets what is known of the request that is rejected.
    #[cold]
    pub(in crate::web) fn with_head(mut self, head: RequestHead) -> Self {
        let own = match &mut self {
            Self::Limited(limited) => Some(limited.head_mut()),
            Self::Unavailable(unavailable) => Some(unavailable.head_mut()),
            Self::Raised(raised) => raised.head_mut(),
            Self::Misconfigured(misconfigured) => Some(misconfigured.head_mut()),
            Self::Denied(denied) => Some(denied.head_mut()),
            Self::Unidentified(_) | Self::Declined(_) => None,
        };
        if let Some(own) = own {
            *own = head;
        }
        self
    }
}

impl Limited {
    fn has_responder(&self) -> bool {
        self.limits().iter().any(|limit| has_responder(limit.definition()))
    }
}

impl Unavailable {
    fn has_responder(&self) -> bool {
        self.definitions().iter().any(|definition| has_responder(definition))
    }
}

/// Returns whether the throttle or its app has a responder.
pub(in crate::web) fn has_responder(definition: &Definition) -> bool {
    let request = &definition.settings.request;
    request.responder.is_some() || request.responses.responder.is_some()
}
