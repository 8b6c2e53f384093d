use std::time::Duration;

use thiserror::Error;

/// Why there is no [`RedisBackend`](crate::RedisBackend).
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The address is none that can be connected to.
    #[error("the address of the Redis server cannot be used: {0}")]
    Address(String),
    /// The address asks for TLS, and this process cannot speak it.
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
    /// No namespace was given.
    #[error(
        "no namespace was given: `.namespace(\"myapp\")` keeps the limits of this app apart from all others on the same \
         Redis"
    )]
    NoNamespace,
    /// There is a server, but it cannot keep limits: it is too old, a replica, or the user may not do what they take.
    #[error("this Redis cannot keep limits: {0}")]
    Unsuitable(String),
    /// There is no runtime of tokio's to connect in.
    #[error("there is no tokio runtime to connect in: connect inside of `#[tokio::main]`")]
    NoRuntime,
    /// The server could not be reached, or turned the connection down.
    #[error("no connection to Redis: {0}")]
    Connect(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The server did not answer in time.
    #[error(
        "no connection to Redis within {0:?}: is it there, is it Redis, and is TLS wanted at this port (rediss://) or not?"
    )]
    Timeout(Duration),
}
