use std::time::Duration;

#[cfg(feature = "fred-10")]
use fred::types::config::Config;

/// The server, in one of the forms that a user can give.
#[derive(Clone)]
pub(crate) enum Origin {
    Address(String),
    #[cfg(feature = "fred-10")]
    Config(Box<Config>),
    /// A client that the user keeps connected.
    #[cfg(feature = "fred-10")]
    Client(fred::clients::Client),
}

/// The settings of the connection to the server.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) origin: Origin,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) pool_size: usize,
    pub(crate) command_timeout: Duration,
}
