//! Errors of calls, and the reasons why there is no connection, with what to do about them.

use std::{error::Error, sync::Arc, time::Duration};

use fred::error::{Error as FredError, ErrorKind};
use thiserror::Error;
use traffik_core::backend::BackendError;

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
    /// Returns the error of a call that was not sent within its deadline.
    pub(crate) fn not_sent(deadline: Duration) -> Self {
        Self::NotRun(format!("no call was free within {deadline:?}").into())
    }

    /// Returns the error of a call without an answer within `patience`.
    pub(super) fn silence(patience: Duration, may_run: bool) -> Self {
        if may_run {
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
            Self::Refused(reason) => is_temporary(reason),
            Self::InDoubt(_) | Self::UnexpectedReply(_) | Self::Late(_) | Self::Closed => false,
        }
    }
}

/// Returns whether a server rejected a call that it might run later.
pub(crate) fn is_temporary(reason: &str) -> bool {
    let words = ["LOADING ", "TRYAGAIN ", "CLUSTERDOWN ", "MASTERDOWN ", "BUSY ", "NOSCRIPT "];
    words.iter().any(|word| reason.starts_with(word))
}

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

/// The reason why a connection could not be made.
#[derive(Debug, Error)]
#[error("{words}")]
pub(super) struct Reason {
    words: String,
    source: FredError,
}

const NO_TLS: &str = "the TLS handshake failed: check that the certificate is valid for this host, that its authority is trusted \
                      here, and that the server uses TLS at this port";

/// The advice for a server whose replies are not those of Redis.
const IS_IT_REDIS: &str =
    ": check that a Redis server listens at this address, and whether it uses TLS (rediss://) or not (redis://)";

impl Reason {
    /// Explains an error. Repeats the message of the server or the system, which has no password. Advises on a setting
    /// that may be wrong, unless a connection to this server has worked.
    pub(super) fn new(server: &str, error: FredError, has_worked: bool) -> Self {
        let said = error.details();
        let (words, advice) = match error.kind() {
            _ if said.starts_with("WRONGPASS") => ("the server rejected the username or the password", ""),
            _ if said.starts_with("NOAUTH") => (
                "the server requires a password: put it into the address, redis://user:password@host, or call `.password(..)`",
                "",
            ),
            _ if said.starts_with("NOPERM") => {
                ("the user lacks permissions for connecting: allow it +ping, +select and +info", "")
            }
            _ if said.starts_with("LOADING") => ("the server is still loading its data", ""),
            #[cfg(feature = "rustls")]
            ErrorKind::Tls => (NO_TLS, ""),
            // A failed handshake is reported as an error of the connection.
            ErrorKind::IO if said.contains("InvalidCertificate") || said.contains("InvalidData") => (NO_TLS, ""),
            ErrorKind::Protocol | ErrorKind::Parse => ("the reply is not one of Redis", IS_IT_REDIS),
            ErrorKind::Timeout => ("the server did not answer in time", IS_IT_REDIS),
            ErrorKind::IO if said.contains("refused") => ("no server listens at this address", ""),
            ErrorKind::IO if ["BrokenPipe", "ConnectionReset", "closed"].iter().any(|kind| said.contains(kind)) => {
                ("the server closed the connection", IS_IT_REDIS)
            }
            ErrorKind::IO => ("the server cannot be reached", ""),
            ErrorKind::Sentinel => ("the sentinels know of no primary that can be reached", ""),
            ErrorKind::Canceled => ("the connection was closed", ""),
            _ => ("the client could not connect", ""),
        };
        let advice = if has_worked { "" } else { advice };
        let said = message(said);
        let said = if said.is_empty() { String::new() } else { format!(" ({said})") };
        Self { words: format!("{server}: {words}{said}{advice}"), source: error }
    }
}

/// The reason for the end of a working connection, if nothing more is known.
pub(super) const CLOSED: &str = "the server closed it";

/// Returns the reason for the end of a working connection.
pub(super) fn of_loss(error: &FredError) -> String {
    match message(error.details()) {
        "" => CLOSED.to_owned(),
        said => format!("the server or the network closed it ({said})"),
    }
}

/// Returns what to do about a server that rejects writes for now. Inside a script, its message may be in the middle of
/// other text.
pub(crate) fn of_rejected_write(said: &str) -> Option<&'static str> {
    Some(match said {
        _ if said.contains("OOM ") => "it is out of memory: raise `maxmemory`, or remove other data from this server",
        _ if said.contains("MISCONF ") => {
            "it cannot save its data, and rejects writes until it can: check its disk and log"
        }
        _ if said.contains("NOREPLICAS ") => "it has fewer replicas than `min-replicas-to-write`",
        _ => return None,
    })
}

/// Explains the error of a server that is reachable and rejects a call. Keeps the message of the server.
fn of_refusal(said: &str) -> String {
    let words = match (said, of_rejected_write(said)) {
        (_, Some(words)) => words,
        _ if said.contains("READONLY ") => "it is a replica, and limits need the primary",
        _ if said.starts_with("LOADING ") => "it is still loading its data",
        _ => return said.to_owned(),
    };
    format!("{words} ({said})")
}

/// Extracts the message of the system from the form in which the client library repeats it.
fn message(said: &str) -> &str {
    said.split_once("message: \"").and_then(|(_, rest)| rest.split_once('"')).map_or(said, |(message, _)| message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Sent;

    #[test]
    fn silence_is_in_doubt_only_after_the_call_was_sent() {
        let (sent, patience) = (Sent::default(), Duration::from_millis(50));
        assert!(CallError::silence(patience, sent.may_run()).surely_did_not_run());
        sent.add();
        assert!(!CallError::silence(patience, sent.may_run()).surely_did_not_run());
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

    #[test]
    fn refusal_of_a_server_is_explained_and_repeated() {
        for (said, words) in [
            ("OOM command not allowed when used memory > 'maxmemory'. script: 1f, on @user_script:9.", "out of memory"),
            ("ERR Error running script (call to f_1f): @user_script:9: -OOM command not allowed", "out of memory"),
            ("READONLY You can't write against a read only replica.", "a replica"),
            ("LOADING Redis is loading the dataset in memory", "loading"),
        ] {
            let reason = of_refusal(said);
            assert!(reason.contains(words) && reason.contains(said), "{reason}");
        }
        assert_eq!(of_refusal("ERR syntax error"), "ERR syntax error");
    }
}
