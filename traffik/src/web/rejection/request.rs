//! The request of a rejection.

use axum::http::request::Parts;

use super::{Limited, ThrottleRejection, Unavailable};
use crate::{limit::Definition, web::request_head::RequestHead};

impl ThrottleRejection {
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
