//! One server, by fred.

use std::{error::Error as StdError, time::Duration};

use fred::{
    clients::Client,
    error::{Error as FredError, ErrorKind},
    interfaces::ClientLike,
    types::{
        Builder, ClusterHash, ConnectHandle, CustomCommand, Value,
        config::{Config, ReconnectPolicy},
    },
};
use tokio::time::timeout;

use super::{CallError, Reply};
use crate::{Error, scripts::Script};

/// How long connecting may take at first. Longer than one attempt, so that the client itself gives up before that.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// How long one attempt may take.
const ATTEMPT_WITHIN: Duration = Duration::from_secs(3);

/// How long what was written may stay unacknowledged before the connection counts as dead.
const DEAD_AFTER: Duration = Duration::from_millis(300);

pub(super) struct Server {
    client: Client,
    /// Drives the connection, and makes it again when it is lost.
    task: ConnectHandle,
}

impl Server {
    pub(super) async fn connect(config: Config, patience: Duration) -> Result<Self, Error> {
        let client = client(config, patience).map_err(|error| Error::Connect(error.into()))?;
        match timeout(CONNECT_WITHIN, client.init()).await {
            Ok(Ok(task)) => Ok(Self { client, task }),
            Ok(Err(error)) => Err(Error::Connect(error.into())),
            Err(_) => Err(Error::Timeout(CONNECT_WITHIN)),
        }
    }

    pub(super) async fn run(&self, script: &Script, keys: &[String], args: Vec<Vec<u8>>) -> Result<Reply, CallError> {
        let count = i64::try_from(keys.len()).unwrap_or(i64::MAX);
        let mut words = vec![Value::from(script.sha.as_str()), Value::from(count)];
        words.extend(keys.iter().map(|key| Value::from(key.as_str())));
        words.extend(args.into_iter().map(|arg| Value::Bytes(arg.into())));
        match self.call("EVALSHA", words.clone()).await {
            Err(CallError::Refused(reason)) if reason.starts_with("NOSCRIPT") => {
                if let Some(name) = words.first_mut() {
                    *name = Value::from(script.text.as_str());
                }
                self.call("EVAL", words).await
            }
            answer => answer,
        }
    }

    pub(super) async fn remove(&self, keys: &[String]) -> Result<(), CallError> {
        self.call("UNLINK", keys.iter().map(|key| Value::from(key.as_str())).collect()).await.map(drop)
    }

    pub(super) async fn clear(&self, pattern: &str) -> Result<(), CallError> {
        let mut next = Some("0".to_owned());
        while let Some(cursor) = next {
            let words = [cursor.as_str(), "MATCH", pattern, "COUNT", "1000"].map(Value::from).to_vec();
            let mut page = self.call("SCAN", words).await?.into_items().unwrap_or_default().into_iter();
            next = page.next().and_then(|cursor| cursor.text()).filter(|cursor| cursor != "0");
            let keys = page.next().and_then(Reply::into_items).unwrap_or_default();
            let keys: Vec<_> = keys.iter().filter_map(Reply::text).collect();
            if !keys.is_empty() {
                self.remove(&keys).await?;
            }
        }
        Ok(())
    }

    pub(super) fn is_cluster(&self) -> bool {
        self.client.is_clustered()
    }

    pub(super) fn connections(&self) -> usize {
        self.client.active_connections().len().max(1)
    }

    pub(super) async fn close(&self) -> Result<(), CallError> {
        self.client.quit().await.map_err(not_answered)
    }

    async fn call(&self, name: &'static str, words: Vec<Value>) -> Result<Reply, CallError> {
        // The client would keep it until it is connected again, and run it then.
        if !self.client.is_connected() {
            return Err(CallError::NotRun("there is no connection to the server".into()));
        }
        let command = CustomCommand::new_static(name, ClusterHash::FirstKey, false);
        match self.client.custom_raw(command, words).await.map(Reply::from) {
            Ok(Reply::Error(reason)) => Err(CallError::Refused(reason)),
            Ok(reply) => Ok(reply),
            Err(error) => Err(not_answered(error)),
        }
    }
}

/// The client itself would stay connected for as long as the process lives.
impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What the client makes of a call whose answer it did not get. Errors of the server are answers.
fn not_answered(error: FredError) -> CallError {
    // There is no connection to write to, or no room to wait for one.
    let surely_not_sent =
        matches!(error.kind(), ErrorKind::Unknown | ErrorKind::Routing | ErrorKind::Backpressure | ErrorKind::Config);
    let source: Box<dyn StdError + Send + Sync> = error.into();
    if surely_not_sent { CallError::NotRun(source) } else { CallError::InDoubt(source) }
}

/// A client that tries each command once, since one that was lost may have run, and reconnects for ever.
fn client(config: Config, patience: Duration) -> Result<Client, FredError> {
    let mut policy = ReconnectPolicy::new_exponential(0, 5, 500, 2);
    policy.set_jitter(20);
    Builder::from_config(config)
        .set_policy(policy)
        .with_config(|config| config.fail_fast = true)
        .with_performance_config(|performance| performance.default_command_timeout = patience)
        .with_connection_config(|connection| {
            connection.connection_timeout = ATTEMPT_WITHIN;
            connection.internal_command_timeout = Duration::from_millis(250);
            connection.max_command_attempts = 1;
            connection.tcp.nodelay = Some(true);
            #[cfg(target_os = "linux")]
            {
                connection.tcp.user_timeout = Some(DEAD_AFTER);
            }
        })
        .build()
}
