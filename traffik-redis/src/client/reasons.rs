//! Why there is no connection, in words that say what to do about it.

use std::error::Error;

use fred::error::{Error as FredError, ErrorKind};
use thiserror::Error;

/// An error of the client library, and what it means here.
#[derive(Debug, Error)]
#[error("{words}{0}", .said.as_ref().map(|said| format!(" ({said})")).unwrap_or_default())]
pub(super) struct Reason {
    words: &'static str,
    said: Option<String>,
    #[source]
    source: Option<Box<dyn Error + Send + Sync>>,
}

const NO_TLS: &str = "the TLS handshake failed: is the server's certificate for this host and signed by an authority that is \
                      known here, and does it speak TLS at this port?";

/// The client repeats what the server said, which repeats no password.
pub(super) fn in_plain_words(error: FredError) -> Reason {
    let said = error.details().to_owned();
    let words = match error.kind() {
        _ if said.starts_with("WRONGPASS") => "the server knows no such user and password",
        _ if said.starts_with("NOAUTH") => {
            "the server wants a password: give it in the address, redis://user:password@host, or by `.password(..)`"
        }
        _ if said.starts_with("NOPERM") => {
            "the user may not do what connecting takes: allow it +ping, +select and +info"
        }
        _ if said.starts_with("LOADING") => "the server is still loading its data",
        #[cfg(feature = "rustls")]
        ErrorKind::Tls => NO_TLS,
        // A handshake that fails comes as an error of the connection.
        ErrorKind::IO if said.contains("InvalidCertificate") || said.contains("InvalidData") => NO_TLS,
        ErrorKind::Protocol | ErrorKind::Parse => {
            "what answers does not speak as Redis does: is it Redis, and does it want TLS at this port (rediss://)?"
        }
        ErrorKind::Timeout => {
            "the server did not answer in time: is it Redis, and does it want TLS at this port (rediss://) or not?"
        }
        ErrorKind::IO if said.contains("refused") => "nobody listens there",
        ErrorKind::IO if ["BrokenPipe", "ConnectionReset", "closed"].iter().any(|kind| said.contains(kind)) => {
            "the connection was closed from the other side: is it Redis, and does it want TLS at this port (rediss://)?"
        }
        ErrorKind::IO => "the server cannot be reached",
        ErrorKind::Sentinel => "the sentinels know of no primary that can be reached",
        ErrorKind::Canceled => "the connection was closed",
        _ => "the client could not connect",
    };
    Reason { words, said: Some(message(&said).to_owned()).filter(|said| !said.is_empty()), source: Some(error.into()) }
}

/// What a server means that is there and will not do what it was asked, with what it says. Inside of a program it says so in
/// the middle of other words, as it may.
pub(crate) fn of_refusal(said: &str) -> String {
    let words = match said {
        _ if said.contains("OOM ") => {
            "it is out of memory, and may not forget anything to make room: give it more (`maxmemory`), or fewer other data"
        }
        _ if said.contains("READONLY ") => "it is a replica, and limits are written",
        _ if said.contains("MISCONF ") => "it cannot save its data, and writes nothing until it can",
        _ if said.contains("NOREPLICAS ") => "it has too few replicas to write anything",
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
