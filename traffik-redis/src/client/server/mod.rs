//! One connection to one server, by fred: the server itself, or the one that sentinels name.

mod keeper;
mod settings;

use std::{
    error::Error as StdError,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use fred::{
    clients::Client,
    error::{Error as FredError, ErrorKind},
    interfaces::ClientLike,
    types::{ClusterHash, CustomCommand, Value, config::Config},
};
use tokio::time::timeout;

use super::{
    CONNECT_WITHIN, CallError, Reply, Sent,
    line::{Line, Patience},
    pages::Pages,
    reasons,
    task::Task,
};
use crate::{Error, script::Script};

pub(super) struct Server {
    client: Client,
    line: Arc<Line>,
    /// Drives the connection, and makes it again when it is lost. Nobody does for a client that is not ours.
    keeper: Mutex<Option<Task<()>>>,
}

impl Server {
    /// Insists on a connection.
    pub(super) async fn connect(config: Config, patience: Patience) -> Result<Self, Error> {
        let client = settings::client(config, patience).map_err(|error| Error::Connect(error.into()))?;
        let connection = match timeout(CONNECT_WITHIN, keeper::connect(&client)).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => return Err(Error::Connect(reasons::in_plain_words(error).into())),
            Err(_) => return Err(Error::Timeout(CONNECT_WITHIN)),
        };
        Ok(Self::kept(client, patience, Some(connection)))
    }

    /// Connects in the background, now or whenever the server is there.
    pub(super) fn connect_later(config: Config, patience: Patience) -> Result<Self, Error> {
        let client = settings::client(config, patience).map_err(|error| Error::Connect(error.into()))?;
        Ok(Self::kept(client, patience, None))
    }

    fn kept(client: Client, patience: Patience, connection: Option<keeper::Connection>) -> Self {
        let line = Arc::new(Line::new(patience));
        if connection.is_some() {
            line.standing().up();
        }
        let keeper = Task::spawn(keeper::keep(client.clone(), Arc::clone(&line), connection));
        Self { client, line, keeper: Mutex::new(Some(keeper)) }
    }

    /// Goes by a client that somebody else keeps connected.
    pub(super) fn of(client: Client, patience: Patience) -> Self {
        if client.connection_config().max_command_attempts != 1 {
            tracing::warn!(
                "the client for Redis sends a call again whose answer was lost, and who made it is charged twice: set \
                 `max_command_attempts` of its `ConnectionConfig` to 1"
            );
        }
        let line = Line::new(patience);
        line.standing().up();
        Self { client, line: Arc::new(line), keeper: Mutex::new(None) }
    }

    pub(super) fn line(&self) -> &Line {
        &self.line
    }

    pub(super) fn is_connected(&self) -> bool {
        self.line.standing().is_up() && self.client.is_connected()
    }

    /// Waits until there is a connection, or it is known that there is none.
    pub(super) async fn ready(&self) -> Result<(), CallError> {
        self.revive();
        self.line.ready().await
    }

    pub(super) async fn run(
        &self,
        script: &Script,
        keys: &[String],
        args: Vec<Vec<u8>>,
        sent: &Sent,
    ) -> Result<Reply, CallError> {
        let count = i64::try_from(keys.len()).unwrap_or(i64::MAX);
        let mut words = vec![Value::from(script.sha.as_str()), Value::from(count)];
        words.extend(keys.iter().map(|key| Value::from(key.as_str())));
        words.extend(args.into_iter().map(|arg| Value::Bytes(arg.into())));
        match self.call("EVALSHA", words.clone(), sent).await {
            Err(CallError::Refused(reason)) if reason.starts_with("NOSCRIPT") => {
                if let Some(name) = words.first_mut() {
                    *name = Value::from(script.text.as_str());
                }
                self.call("EVAL", words, sent).await
            }
            answer => answer,
        }
    }

    pub(super) async fn command(&self, name: &'static str, words: &[&str]) -> Result<Reply, CallError> {
        self.call(name, words.iter().map(|word| Value::from(*word)).collect(), &Sent::default()).await
    }

    pub(super) async fn remove(&self, keys: &[String], sent: &Sent) -> Result<(), CallError> {
        let keys = keys.iter().map(|key| Value::from(key.as_str())).collect();
        self.call("UNLINK", keys, sent).await.map(drop)
    }

    pub(super) async fn clear(&self, pattern: &str) -> Result<(), CallError> {
        let mut pages = Pages::of(pattern);
        while let Some(words) = pages.next() {
            let page = self.command("SCAN", &words).await?;
            let keys = pages.read(page);
            if !keys.is_empty() {
                self.remove(&keys, &Sent::default()).await?;
            }
        }
        Ok(())
    }

    /// Lets go of the connection, unless it is somebody else's. What is under way ends at once, in doubt.
    pub(super) fn close(&self) {
        if self.keeper().take().is_some() {
            self.line.standing().close();
        }
    }

    /// Connects anew where the keeper has ended, together with its runtime.
    fn revive(&self) {
        let mut keeper = self.keeper();
        if keeper.as_ref().is_some_and(Task::is_over) {
            self.line.standing().start_again();
            *keeper = Some(Task::spawn(keeper::keep(self.client.clone(), Arc::clone(&self.line), None)));
        }
    }

    fn keeper(&self) -> MutexGuard<'_, Option<Task<()>>> {
        self.keeper.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn call(&self, name: &'static str, words: Vec<Value>, sent: &Sent) -> Result<Reply, CallError> {
        self.revive();
        let call = async {
            // The client would keep it until it is connected again, and run it then.
            if !self.client.is_connected() {
                return Err(CallError::NotRun("there is no connection".into()));
            }
            let command = CustomCommand::new_static(name, ClusterHash::FirstKey, false);
            match self.client.custom_raw(command, words).await.map(Reply::from) {
                Ok(Reply::Error(reason)) => Err(CallError::Refused(reason)),
                Ok(reply) => Ok(reply),
                Err(error) => Err(not_answered(error)),
            }
        };
        self.line.call(sent, call).await
    }
}

/// What the client makes of a call whose answer it did not get. Errors of the server are answers.
fn not_answered(error: FredError) -> CallError {
    // All others are told of calls that were written as well, an unknown error of one whose connection was lost.
    let surely_not_sent = matches!(error.kind(), ErrorKind::Backpressure | ErrorKind::Config);
    let source: Box<dyn StdError + Send + Sync> = error.into();
    if surely_not_sent { CallError::NotRun(source) } else { CallError::InDoubt(source) }
}
