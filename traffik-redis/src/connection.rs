//! The one place that knows the client library: connecting, and calling the server, each within a deadline.

use std::{fmt, time::Duration};

use fred::{
    clients::Client,
    error::{Error as FredError, ErrorKind},
    interfaces::ClientLike,
    types::{
        Builder, ClusterHash, ConnectHandle, CustomCommand, Value,
        config::{Config, ReconnectPolicy},
    },
    util::redis_keyslot,
};
use tokio::time::timeout;
use traffik::backend::BackendError;

use crate::{Error, scripts::Script};

/// How long connecting may take at first. Longer than one attempt, so that the client itself gives up before that.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// How long one attempt may take.
const ATTEMPT_WITHIN: Duration = Duration::from_secs(3);

/// How long what was written may stay unacknowledged before the connection counts as dead.
const DEAD_AFTER: Duration = Duration::from_millis(300);

pub(crate) struct Connection {
    client: Client,
    /// Drives the connection, and makes it again when it is lost.
    task: ConnectHandle,
    deadline: Duration,
}

impl Connection {
    pub(crate) async fn open(config: Config, deadline: Duration) -> Result<Self, Error> {
        let client = client(config, deadline).map_err(|error| Error::Connect(error.into()))?;
        match timeout(CONNECT_WITHIN, client.init()).await {
            Ok(Ok(task)) => Ok(Self { client, task, deadline }),
            Ok(Err(error)) => Err(Error::Connect(error.into())),
            Err(_) => Err(Error::Timeout(CONNECT_WITHIN)),
        }
    }

    /// Runs a program. One that the server does not know, as after a restart, is sent whole.
    pub(crate) async fn run(
        &self,
        script: &Script,
        keys: &[String],
        args: impl IntoIterator<Item = Vec<u8>>,
    ) -> Result<Reply, BackendError> {
        let slot = slot_of(keys);
        let count = i64::try_from(keys.len()).unwrap_or(i64::MAX);
        let mut words = vec![Value::from(script.sha.as_str()), Value::from(count)];
        words.extend(keys.iter().map(|key| Value::from(key.as_str())));
        words.extend(args.into_iter().map(|arg| Value::Bytes(arg.into())));
        let call = async {
            match self.command("EVALSHA", slot.clone(), words.clone()).await {
                Err(error) if is_unknown_script(&error) => {
                    if let Some(name) = words.first_mut() {
                        *name = Value::from(script.text.as_str());
                    }
                    self.command("EVAL", slot, words).await
                }
                answer => answer,
            }
        };
        self.within_deadline(call).await
    }

    /// Removes keys.
    pub(crate) async fn remove(&self, keys: &[String]) -> Result<(), BackendError> {
        let words = keys.iter().map(|key| Value::from(key.as_str())).collect();
        self.within_deadline(self.command("UNLINK", slot_of(keys), words)).await.map(drop)
    }

    /// Some of the keys that match a pattern, and the cursor to go on from; none at the end.
    pub(crate) async fn scan(
        &self,
        cursor: &str,
        pattern: &str,
    ) -> Result<(Option<String>, Vec<String>), BackendError> {
        let words = [cursor, "MATCH", pattern, "COUNT", "1000"].map(Value::from).to_vec();
        let page = self.within_deadline(self.command("SCAN", ClusterHash::FirstKey, words)).await?;
        let mut items = page.into_items().unwrap_or_default().into_iter();
        let cursor = items.next().and_then(|cursor| cursor.text()).filter(|cursor| cursor != "0");
        let keys = items.next().and_then(Reply::into_items).unwrap_or_default();
        Ok((cursor, keys.iter().filter_map(Reply::text).collect()))
    }

    pub(crate) async fn close(&self) -> Result<(), BackendError> {
        self.within_deadline(async { self.client.quit().await.map(|()| Value::Null) }).await.map(drop)
    }

    async fn command(&self, name: &'static str, slot: ClusterHash, words: Vec<Value>) -> Result<Value, FredError> {
        self.client.custom(CustomCommand::new_static(name, slot, false), words).await
    }

    async fn within_deadline(
        &self,
        call: impl Future<Output = Result<Value, FredError>>,
    ) -> Result<Reply, BackendError> {
        match timeout(self.deadline, call).await {
            Ok(Ok(value)) => Ok(Reply(value)),
            Ok(Err(error)) if *error.kind() == ErrorKind::Timeout => Err(BackendError::Timeout(self.deadline)),
            Ok(Err(error)) => Err(BackendError::unavailable(error)),
            Err(_) => Err(BackendError::Timeout(self.deadline)),
        }
    }
}

/// The client itself would stay connected for as long as the process lives.
impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A client that tries each command once, since one that was lost may have run, and reconnects for ever.
fn client(config: Config, deadline: Duration) -> Result<Client, FredError> {
    let mut policy = ReconnectPolicy::new_exponential(0, 5, 500, 2);
    policy.set_jitter(20);
    Builder::from_config(config)
        .set_policy(policy)
        .with_config(|config| config.fail_fast = true)
        .with_performance_config(|performance| performance.default_command_timeout = deadline)
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

fn slot_of(keys: &[String]) -> ClusterHash {
    keys.first().map_or(ClusterHash::Random, |key| ClusterHash::Custom(redis_keyslot(key.as_bytes())))
}

fn is_unknown_script(error: &FredError) -> bool {
    error.details().starts_with("NOSCRIPT")
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}

/// What the server answered.
pub(crate) struct Reply(Value);

impl Reply {
    pub(crate) fn into_items(self) -> Option<Vec<Self>> {
        match self.0 {
            Value::Array(items) => Some(items.into_iter().map(Self).collect()),
            _ => None,
        }
    }

    pub(crate) fn integer(&self) -> Option<u64> {
        match self.0 {
            Value::Integer(number) => u64::try_from(number).ok(),
            _ => None,
        }
    }

    pub(crate) fn bytes(&self) -> Option<&[u8]> {
        self.0.as_bytes()
    }

    pub(crate) fn text(&self) -> Option<String> {
        self.0.as_string()
    }
}
