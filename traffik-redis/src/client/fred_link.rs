//! A connection made by fred: to the server itself, or to the primary that sentinels name.

use std::error::Error as StdError;

use fred::{
    clients::Client,
    error::{Error as FredError, ErrorKind},
    interfaces::ClientLike,
    types::{
        Builder, ClusterHash, ConnectHandle, CustomCommand, Value,
        config::{Config, Server},
    },
};
use futures_util::future::BoxFuture;
use tokio::runtime::Handle;

use super::{
    CallError, Reply,
    command::Command,
    connection::Link,
    error::{CLOSED, of_loss},
    supervisor::Driver,
    timeouts::Timeouts,
};
use crate::Error;

pub(super) struct FredLink(Client);

impl FredLink {
    /// Creates a client that sends each command once, because a lost command may have run. It does not reconnect by
    /// itself: the supervisor does.
    pub(super) fn new(config: Config, timeouts: Timeouts) -> Result<Self, Error> {
        let client = Builder::from_config(config)
            .with_config(|config| config.fail_fast = true)
            .with_performance_config(|performance| performance.default_command_timeout = timeouts.answer)
            .with_connection_config(|connection| {
                connection.connection_timeout = timeouts.attempt;
                connection.internal_command_timeout = timeouts.handshake;
                connection.max_command_attempts = 1;
                connection.tcp.nodelay = Some(true);
                #[cfg(target_os = "linux")]
                {
                    connection.tcp.user_timeout = Some(timeouts.handshake);
                }
            })
            .build();
        client.map(Self).map_err(|error| Error::Connect(error.into()))
    }

    /// Wraps a client that the user keeps connected.
    pub(super) fn of_user(client: &Client) -> Result<Self, Error> {
        if client.is_clustered() {
            let reason = "a client of fred's for a cluster may mix up answers while slots move: give the address of the \
                          cluster, or its `Config`";
            return Err(Error::Address(reason.into()));
        }
        if client.connection_config().max_command_attempts != 1 {
            tracing::warn!(
                max_command_attempts = client.connection_config().max_command_attempts,
                "the client of `RedisBackend::from_client` sends a call again if its answer was lost, and the request is \
                 charged twice: set `ConnectionConfig::max_command_attempts` to 1"
            );
        }
        Ok(Self(client.clone()))
    }
}

impl Link for FredLink {
    fn server(&self) -> String {
        let servers = self.0.client_config().server.hosts();
        servers.iter().map(Server::to_string).collect::<Vec<_>>().join(", ")
    }

    fn connect(&self) -> BoxFuture<'_, Result<Driver, FredError>> {
        Box::pin(async {
            let mut abandoned = Abandoned(Some(self.0.clone()));
            let task = self.0.init().await;
            abandoned.0 = None;
            let mut router = Router(task?);
            let ended = async move {
                match (&mut router.0).await {
                    Ok(Err(error)) => of_loss(&error),
                    _ => CLOSED.to_owned(),
                }
            };
            Ok(Box::pin(ended) as Driver)
        })
    }

    fn is_connected(&self) -> bool {
        self.0.is_connected()
    }

    fn send(&self, command: Command) -> BoxFuture<'_, Result<Reply, CallError>> {
        Box::pin(async move {
            let words = command.words.into_iter().map(Value::Bytes).collect();
            let command = CustomCommand::new_static(command.name, ClusterHash::Custom(command.slot), false);
            self.0.custom_raw(command, words).await.map(Reply::from).map_err(not_answered)
        })
    }
}

/// The task of fred for a connection. Dropping this ends the task.
struct Router(ConnectHandle);

impl Drop for Router {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Ends a dropped attempt to connect. fred would continue the attempt, and keep the resulting connection.
struct Abandoned(Option<Client>);

impl Drop for Abandoned {
    fn drop(&mut self) {
        if let (Some(client), Ok(_)) = (&self.0, Handle::try_current()) {
            // A new attempt replaces the old one, closes its connection, and ends here.
            drop(Router(client.connect()));
        }
    }
}

/// Returns the error of a call without an answer. Errors of the server are answers.
fn not_answered(error: FredError) -> CallError {
    // fred also reports all other kinds for calls that were written, such as `Unknown` for a lost connection.
    let surely_not_sent = matches!(error.kind(), ErrorKind::Backpressure | ErrorKind::Config);
    let source: Box<dyn StdError + Send + Sync> = error.into();
    if surely_not_sent { CallError::NotRun(source) } else { CallError::InDoubt(source) }
}
