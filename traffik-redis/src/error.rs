use std::time::Duration;

use thiserror::Error;
use traffik_core::OutOfRange;

/// The error of creating a [`RedisBackend`](crate::RedisBackend).
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The address is not that of a Redis server.
    #[error("the address of the Redis server cannot be used: {0}")]
    Address(String),
    /// The address requires TLS, and this process cannot set it up.
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
    /// No namespace was given.
    #[error(
        "no namespace was given: `.namespace(\"myapp\")` keeps the limits of this app apart from all others on the same \
         Redis"
    )]
    NoNamespace,
    /// A setting has a value that is out of its range.
    #[error(transparent)]
    OutOfRange(#[from] OutOfRange),
    /// The server cannot keep limits: it is too old, a replica, it rejects writes, or the user lacks permissions.
    #[error("this Redis cannot keep limits: {0}")]
    Unsuitable(String),
    /// The caller is not in a Tokio runtime.
    #[error("there is no Tokio runtime to connect in: call this inside of `#[tokio::main]`")]
    NoRuntime,
    /// The server could not be reached, or rejected the connection.
    #[error("no connection to Redis: {0}")]
    Connect(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The server did not answer in time.
    #[error(
        "no connection to Redis within {0:?}: check the address, that a Redis server listens there, and whether it uses TLS at \
         this port (rediss://)"
    )]
    Timeout(Duration),
}
