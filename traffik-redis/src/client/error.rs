use std::{error::Error, sync::Arc, time::Duration};

use thiserror::Error;
use traffik_core::backend::BackendError;

use super::{Sent, reasons::of_refusal};

/// The error of a call without an answer. The variants differ in whether the call may have run.
#[derive(Debug, Error)]
pub(crate) enum CallError {
    /// The call certainly did not run.
    #[error("Redis was not asked: {0}")]
    NotRun(#[source] Box<dyn Error + Send + Sync>),
    /// The call may have run, or may still run: the connection was lost, or the deadline passed.
    #[error("no answer from Redis: {0}")]
    InDoubt(#[source] Box<dyn Error + Send + Sync>),
    /// The server answered with an error, and wrote nothing.
    #[error("Redis returned an error: {}", of_refusal(.0))]
    Refused(String),
    /// The server sent a reply that no script sends.
    #[error(transparent)]
    UnexpectedReply(#[from] UnexpectedReply),
    /// The call was sent, and the deadline of the caller passed. The call may still run.
    #[error("Redis did not answer within {0:?}")]
    Late(Duration),
    /// The client was closed.
    #[error("the connection to Redis is closed")]
    Closed,
}

/// A reply that no script sends.
#[derive(Debug, Error)]
#[error("Redis gave an unexpected reply: {0}")]
pub(crate) struct UnexpectedReply(pub(crate) &'static str);

impl CallError {
    /// Returns the error of a call without an answer within `patience`.
    pub(super) fn silence(patience: Duration, sent: &Sent) -> Self {
        if sent.may_run() {
            Self::InDoubt(format!("none within {patience:?}, and the call may still run").into())
        } else {
            Self::NotRun(format!("no server took the call within {patience:?}").into())
        }
    }

    /// Returns the error of each question in a call.
    pub(crate) fn shared(self: Arc<Self>) -> BackendError {
        match *self {
            Self::Closed => BackendError::Closed,
            Self::Late(deadline) => BackendError::Timeout(deadline),
            _ if self.surely_did_not_run() => BackendError::not_run(self),
            _ => BackendError::unavailable(self),
        }
    }

    /// Returns whether the same call can be made again without charging twice.
    fn surely_did_not_run(&self) -> bool {
        match self {
            Self::NotRun(_) => true,
            Self::Refused(reason) => NOT_YET.iter().any(|word| reason.starts_with(word)),
            Self::InDoubt(_) | Self::UnexpectedReply(_) | Self::Late(_) | Self::Closed => false,
        }
    }
}

/// The prefixes of errors with which a server rejects a call that it might run later.
const NOT_YET: &[&str] = &["LOADING ", "TRYAGAIN ", "CLUSTERDOWN ", "MASTERDOWN ", "BUSY ", "NOSCRIPT "];

impl From<CallError> for BackendError {
    fn from(error: CallError) -> Self {
        Arc::new(error).shared()
    }
}

impl From<UnexpectedReply> for BackendError {
    fn from(unexpected: UnexpectedReply) -> Self {
        Self::unavailable(unexpected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_in_doubt_only_after_the_call_was_sent() {
        let (sent, patience) = (Sent::default(), Duration::from_millis(50));
        assert!(CallError::silence(patience, &sent).surely_did_not_run());
        sent.add();
        assert!(!CallError::silence(patience, &sent).surely_did_not_run());
    }

    #[test]
    fn only_calls_that_surely_did_not_run_are_reported_so() {
        let refused = |reason: &str| CallError::Refused(reason.to_owned());
        for error in [
            CallError::NotRun("there is no connection".into()),
            refused("LOADING Redis is loading the dataset in memory"),
            refused("TRYAGAIN Multiple keys request during rehashing of slot"),
            refused("CLUSTERDOWN The cluster is down"),
            refused("BUSY Redis is busy running a script."),
            refused("NOSCRIPT No matching script."),
        ] {
            assert!(matches!(BackendError::from(error), BackendError::NotRun(_)));
        }
        for error in [
            CallError::InDoubt("the connection was lost".into()),
            UnexpectedReply("no list").into(),
            refused("OOM command not allowed when used memory > 'maxmemory'."),
        ] {
            assert!(BackendError::from(error).may_have_run());
        }
    }
}
