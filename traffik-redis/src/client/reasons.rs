//! Why there is no connection, in words that say what to do about it.

use std::error::Error;

use fred::error::{Error as FredError, ErrorKind};
use thiserror::Error;

/// Why a connection was not made, or was lost.
#[derive(Debug, Error)]
#[error("{server}: {words}{0}{doubt}", .said.as_ref().map(|said| format!(" ({said})")).unwrap_or_default())]
pub(super) struct Reason {
    server: String,
    words: &'static str,
    /// What may be set up wrong, unless a connection to this server has worked.
    doubt: &'static str,
    /// What the server or the system says, which repeats no password.
    said: Option<String>,
    #[source]
    source: Option<Box<dyn Error + Send + Sync>>,
}

const NO_TLS: &str = "the TLS handshake failed: check that the certificate is valid for this host, that its authority is trusted \
                      here, and that the server uses TLS at this port";

/// What a server may be that does not answer as Redis does.
const IS_IT_REDIS: &str =
    ": check that a Redis server listens at this address, and whether it uses TLS (rediss://) or not (redis://)";

impl Reason {
    pub(super) fn at(self, server: String) -> Self {
        Self { server, ..self }
    }

    /// Leaves out what cannot be wrong, since a connection to this server has worked.
    pub(super) fn without_doubt(self) -> Self {
        Self { doubt: "", ..self }
    }
}

pub(super) fn in_plain_words(error: FredError) -> Reason {
    let said = error.details().to_owned();
    let (words, doubt) = match error.kind() {
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
        // A handshake that fails comes as an error of the connection.
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
    let said = Some(message(&said).to_owned()).filter(|said| !said.is_empty());
    Reason { server: String::new(), words, doubt, said, source: Some(error.into()) }
}

/// Why a working connection ended, if nothing more is known.
pub(super) const CLOSED: &str = "the server closed it";

/// Why a working connection ended.
pub(super) fn of_loss(error: &FredError) -> String {
    match message(error.details()) {
        "" => CLOSED.to_owned(),
        said => format!("the server or the network closed it ({said})"),
    }
}

/// What a server means that is there and will not do what it was asked, with what it says. Inside of a program it says so in
/// the middle of other words, as it may.
pub(crate) fn of_refusal(said: &str) -> String {
    let words = match said {
        _ if said.contains("OOM ") => "it is out of memory: raise `maxmemory`, or remove other data from this server",
        _ if said.contains("READONLY ") => "it is a replica, and limits need the primary",
        _ if said.contains("MISCONF ") => {
            "it cannot save its data, and rejects writes until it can: check its disk and log"
        }
        _ if said.contains("NOREPLICAS ") => "it has fewer replicas than `min-replicas-to-write`",
        _ if said.starts_with("LOADING ") => "it is still loading its data",
        _ => return said.to_owned(),
    };
    format!("{words} ({said})")
}

/// What the system says, out of the form in which the client library repeats it.
fn message(said: &str) -> &str {
    said.split_once("message: \"").and_then(|(_, rest)| rest.split_once('"')).map_or(said, |(message, _)| message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_refuses_is_told_in_plain_words_and_in_its_own() {
        for (said, words) in [
            ("OOM command not allowed when used memory > 'maxmemory'. script: 1f, on @user_script:9.", "out of memory"),
            ("ERR Error running script (call to f_1f): @user_script:9: -OOM command not allowed", "out of memory"),
            ("READONLY You can't write against a read only replica.", "a replica"),
            ("LOADING Redis is loading the dataset in memory", "loading"),
        ] {
            let told = of_refusal(said);
            assert!(told.contains(words) && told.contains(said), "{told}");
        }
        assert_eq!(of_refusal("ERR syntax error"), "ERR syntax error");
    }
}
