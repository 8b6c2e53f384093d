use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::response::IntoResponse;

use super::rejection::{ThrottleRejection, Unidentified};
use crate::request::Source;

/// Why a limiter has no client, for each identity.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeptRejection(Arc<Mutex<Vec<(Source, ThrottleRejection)>>>);

impl KeptRejection {
    pub(super) fn keep(&self, identity: Source, rejection: ThrottleRejection) {
        self.lock().push((identity, rejection));
    }

    /// Returns the rejection by an identity. A clone that asks later receives one with the same status.
    pub(super) fn take(&self, identity: Source) -> Option<ThrottleRejection> {
        let mut kept = self.lock();
        let (_, rejection) = kept.iter_mut().find(|(by, _)| *by == identity)?;
        let status = rejection.status();
        Some(std::mem::replace(rejection, Unidentified::new(status.into_response()).into()))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(Source, ThrottleRejection)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
