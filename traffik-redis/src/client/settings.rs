use std::time::Duration;

use fred::{
    interfaces::ClientLike,
    types::config::{Config, ServerConfig},
};

use super::{address, line::Patience};
use crate::Error;

/// Where the server is, in one of the ways that a user may say it.
#[derive(Clone)]
pub(crate) enum Origin {
    Address(String),
    Config(Box<Config>),
    /// A client of the user's own, which is used as it is.
    Client(fred::clients::Client),
}

/// What there is to connect to.
pub(super) enum Way {
    Server(Config),
    #[cfg(feature = "cluster")]
    Cluster(Config),
    Own(fred::clients::Client),
}

/// How to reach it.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) origin: Origin,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) pool_size: usize,
    pub(crate) command_timeout: Duration,
}

impl Settings {
    pub(super) fn patience(&self) -> Patience {
        Patience::new(self.command_timeout)
    }

    /// What the origin comes to, with what is laid over it.
    pub(super) fn way(&self) -> Result<Way, Error> {
        let config = match &self.origin {
            Origin::Address(address) => address::parse(address)?,
            Origin::Config(config) => (**config).clone(),
            Origin::Client(client) if client.is_clustered() => {
                return Err(Error::Address(
                    "a client of fred's for a cluster may mix up answers while slots move: give the address of the \
                     cluster, or its `Config`"
                        .into(),
                ));
            }
            Origin::Client(client) => return Ok(Way::Own(client.clone())),
        };
        let config = Config {
            username: self.username.clone().or(config.username),
            password: self.password.clone().or(config.password),
            ..config
        };
        match config.server {
            #[cfg(feature = "cluster")]
            ServerConfig::Clustered { .. } => Ok(Way::Cluster(config)),
            #[cfg(not(feature = "cluster"))]
            ServerConfig::Clustered { .. } => Err(Error::Address(
                "it is the address of a cluster: turn on the feature `cluster` of traffik-redis".into(),
            )),
            _ => Ok(Way::Server(config)),
        }
    }
}
