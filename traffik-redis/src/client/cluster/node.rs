//! A server of a cluster, and the one connection to it, made by redis-rs.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use fred::types::config::Server;
use futures_util::future::BoxFuture;
use redis::{Pipeline, Value, aio::MultiplexedConnection};

use super::connector::Connector;
use crate::client::{
    CallError, Reply,
    command::Command,
    connection::{Connection, Link},
    reasons::Reason,
    supervisor::Driver,
};

pub(super) struct Node {
    link: Arc<RedisLink>,
    pub(super) connection: Arc<Connection>,
}

struct RedisLink {
    server: Server,
    connector: Arc<Connector>,
    connection: Mutex<Option<MultiplexedConnection>>,
    was_asked: AtomicBool,
}

impl Node {
    pub(super) fn new(server: &Server, connector: &Arc<Connector>) -> Self {
        let (server, connector) = (server.clone(), Arc::clone(connector));
        let Connector { timeouts, given_up, .. } = &*connector;
        let (connection, was_asked) = (Mutex::default(), AtomicBool::new(false));
        let link = Arc::new(RedisLink { server, connector: Arc::clone(&connector), connection, was_asked });
        let connection = Arc::new(Connection::new(link.clone(), *timeouts, given_up));
        connection.supervisor().start();
        Self { link, connection }
    }

    pub(super) fn server(&self) -> &Server {
        &self.link.server
    }

    pub(super) fn is_up(&self) -> bool {
        self.connection.is_up()
    }

    /// Returns whether `ASK` redirected a command to this server since the last call of this method.
    pub(super) fn was_asked(&self) -> bool {
        self.link.was_asked.swap(false, Ordering::Relaxed)
    }
}

impl RedisLink {
    fn connection(&self) -> MutexGuard<'_, Option<MultiplexedConnection>> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Link for RedisLink {
    fn server(&self) -> String {
        self.server.to_string()
    }

    fn connect(&self) -> BoxFuture<'_, Result<Driver, Reason>> {
        Box::pin(async {
            let (connection, driver) = self.connector.connect(&self.server).await?;
            *self.connection() = Some(connection);
            Ok(driver)
        })
    }

    fn is_connected(&self) -> bool {
        self.connection().is_some()
    }

    fn send(&self, command: Command) -> BoxFuture<'_, Result<Reply, CallError>> {
        Box::pin(async move {
            let Some(mut connection) = self.connection().clone() else {
                return Err(CallError::NotRun("there is no connection".into()));
            };
            let mut message = Pipeline::with_capacity(2);
            if command.is_asking {
                self.was_asked.store(true, Ordering::Relaxed);
                message.cmd("ASKING");
            }
            message.cmd(command.name);
            for word in &command.words {
                message.arg(&**word);
            }
            let answer = connection.send_packed_commands(&message, command.is_asking.into(), 1).await;
            let answer = answer.map_err(|error| CallError::InDoubt(error.into()))?;
            Ok(answer.into_iter().next().map_or(Reply::Nothing, Reply::from))
        })
    }

    fn lost(&self) {
        *self.connection() = None;
        self.connector.stale.notify_one();
    }
}

impl From<Value> for Reply {
    fn from(value: Value) -> Self {
        match value {
            Value::Int(number) => Self::Integer(number),
            Value::BulkString(bytes) => Self::Bytes(bytes.into()),
            Value::SimpleString(text) | Value::VerbatimString { text, .. } => Self::Bytes(text.into()),
            Value::Okay => Self::Bytes("OK".into()),
            Value::Array(items) => Self::Items(items.into_iter().map(Self::from).collect()),
            Value::ServerError(error) => match error.details() {
                Some(details) => Self::Error(format!("{} {details}", error.code())),
                None => Self::Error(error.code().to_owned()),
            },
            // No command of this crate has another kind of reply.
            _ => Self::Nothing,
        }
    }
}
