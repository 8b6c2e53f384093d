//! A connection made by fred: to a server, or to the primary that sentinels name.

use std::error::Error as StdError;

use fred::{
    clients::Client,
    error::{Error as FredError, ErrorKind},
    interfaces::ClientLike,
    types::{
        ConnectHandle,
        config::{Config, ConnectionConfig, Server, TcpConfig},
    },
};
use tokio::runtime::Handle;

use super::{
    CallError, Reply,
    command::Command,
    error::{CLOSED, of_loss},
    supervisor::Driver,
    timeouts::Timeouts,
};
#[cfg(feature = "fred-10")]
use crate::Error;

pub(super) struct FredLink(Client);

impl FredLink {
    /// Creates a client that sends each command once, because a lost command may have run. It does not reconnect by
    /// itself: the supervisor does.
    pub(super) fn new(config: Config, timeouts: Timeouts) -> Self {
        let config = Config { fail_fast: true, ..config };
        let connection = ConnectionConfig {
            connection_timeout: timeouts.attempt,
            internal_command_timeout: timeouts.handshake,
            max_command_attempts: 1,
            tcp: TcpConfig {
                nodelay: Some(true),
                #[cfg(target_os = "linux")]
                user_timeout: Some(timeouts.handshake),
                ..Default::default()
            },
            ..Default::default()
        };
        Self(Client::new(config, None, Some(connection), None))
    }

    /// Wraps a client that the user keeps connected.
    #[cfg(feature = "fred-10")]
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

    /// Returns the address of the server, for errors.
    pub(super) fn server(&self) -> String {
        let servers = self.0.client_config().server.hosts();
        servers.iter().map(Server::to_string).collect::<Vec<_>>().join(", ")
    }

    /// Connects. Makes one attempt.
    pub(super) async fn connect(&self) -> Result<Driver, FredError> {
        let mut abandoned = Abandoned(Some(self.0.clone()));
        let task = self.0.init().await;
        abandoned.0 = None;
        let mut router = Router(task?);
        Ok(Box::pin(async move {
            match (&mut router.0).await {
                Ok(Err(error)) => of_loss(&error),
                _ => CLOSED.to_owned(),
            }
        }))
    }

    pub(super) fn is_connected(&self) -> bool {
        self.0.is_connected()
    }

    /// Sends a command once. The answer may be an error of the server.
    pub(super) async fn send(&self, command: Command) -> Result<Reply, CallError> {
        if command.is_asking {
            return self.send_asking(command).await;
        }
        let (command, words) = command.into_custom();
        self.0.custom_raw(command, words).await.map(Reply::from).map_err(not_answered)
    }

    /// Sends a command right after `ASKING`, with no other call in between.
    async fn send_asking(&self, command: Command) -> Result<Reply, CallError> {
        let (both, slot) = (self.0.pipeline(), command.slot);
        for (command, words) in [Command::new("ASKING", slot).into_custom(), command.into_custom()] {
            both.custom_raw(command, words).await.map_err(not_answered)?;
        }
        let mut answers = both.try_all::<fred::types::Value>().await.into_iter();
        match (answers.next(), answers.next()) {
            // The server answered both.
            (_, Some(answer)) => Ok(answer.map_or_else(|error| Reply::Error(error.details().to_owned()), Reply::from)),
            (Some(Err(error)), None) => Err(not_answered(error)),
            (_, None) => Err(CallError::InDoubt("no answer to the command".into())),
        }
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
