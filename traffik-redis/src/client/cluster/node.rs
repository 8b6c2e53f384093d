//! A server of a cluster, and the one connection to it, made by redis-rs.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use fred::{
    error::{Error as FredError, ErrorKind},
    types::config::{Config, Server},
};
use futures_util::future::BoxFuture;
use redis::{AsyncConnectionConfig, Cmd, Pipeline, RedisConnectionInfo, Value, aio::MultiplexedConnection};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::Notify,
    time::timeout,
};

use crate::{
    client::{
        CallError, Reply, Sent,
        command::Command,
        connection::{Connection, Link},
        error::CLOSED,
        supervisor::Driver,
        timeouts::Timeouts,
    },
    instruments::Counts,
    lock::lock,
};

/// The maximum number of calls that wait to be written while the system accepts no more data.
const BUFFER: usize = 1024;

/// The facts that all servers of a cluster share.
pub(super) struct Shared {
    pub(super) config: Config,
    pub(super) timeouts: Timeouts,
    pub(super) counts: Arc<Counts>,
    /// Notified when the slot map is out of date, or a connection is lost.
    pub(super) stale: Notify,
}

pub(super) struct Node {
    pub(super) server: Server,
    pub(super) connection: Arc<Connection>,
    /// Set by an `ASK` redirect to this server.
    pub(super) was_asked: AtomicBool,
}

struct RedisLink {
    server: Server,
    shared: Arc<Shared>,
    connection: Mutex<Option<MultiplexedConnection>>,
}

impl Node {
    /// Connects to a server in the background.
    pub(super) fn new(server: &Server, shared: &Arc<Shared>) -> Self {
        let link = RedisLink { server: server.clone(), shared: Arc::clone(shared), connection: Mutex::default() };
        let connection = Arc::new(Connection::new(Arc::new(link), shared.timeouts, &shared.counts));
        connection.supervisor.start();
        Self { server: server.clone(), connection, was_asked: AtomicBool::new(false) }
    }

    /// Sends a command. With `is_asking` the server accepts a slot that it does not own yet.
    pub(super) async fn call(&self, command: Command, sent: &Sent) -> Result<Reply, CallError> {
        self.was_asked.fetch_or(command.is_asking, Ordering::Relaxed);
        self.connection.call(command, sent).await
    }
}

impl RedisLink {
    async fn reach(&self) -> Result<Box<dyn Stream>, FredError> {
        let stream = TcpStream::connect((&*self.server.host, self.server.port)).await?;
        stream.set_nodelay(true)?;
        #[cfg(target_os = "linux")]
        socket2::SockRef::from(&stream).set_tcp_user_timeout(Some(self.shared.timeouts.handshake))?;
        secured(stream, &self.server, &self.shared.config).await
    }

    fn handshake(&self) -> Cmd {
        let Config { username, password, .. } = &self.shared.config;
        let Some(password) = password else { return redis::cmd("PING") };
        redis::cmd("AUTH").arg(username).arg(password).take()
    }
}

impl Link for RedisLink {
    fn server(&self) -> String {
        self.server.to_string()
    }

    fn connect(&self) -> BoxFuture<'_, Result<Driver, FredError>> {
        Box::pin(async {
            let Timeouts { attempt, handshake, .. } = self.shared.timeouts;
            let stream = within(attempt, self.reach()).await?;
            // Calls have their own timeouts, and the answer to `AUTH` is read below.
            let config = AsyncConnectionConfig::new()
                .set_response_timeout(None)
                .set_connection_timeout(None)
                .set_pipeline_buffer_size(BUFFER);
            let info = RedisConnectionInfo::default().set_skip_set_lib_name();
            let opened = MultiplexedConnection::new_with_config(&info, stream, config).await;
            let (mut connection, driver) = opened.map_err(|error| protocol(&error))?;
            let mut driver = Box::pin(driver);
            within(handshake, async {
                let command = self.handshake();
                let answer = tokio::select! {
                    biased;
                    answer = connection.send_packed_command(&command) => answer.map_err(|error| protocol(&error))?,
                    () = &mut driver => return Err(FredError::new(ErrorKind::Protocol, "")),
                };
                if let Reply::Error(said) = answer.into() {
                    Err(FredError::new(ErrorKind::Unknown, said))
                } else {
                    Ok(())
                }
            })
            .await?;
            *lock(&self.connection) = Some(connection);
            Ok(Box::pin(async {
                driver.await;
                CLOSED.to_owned()
            }) as Driver)
        })
    }

    fn is_connected(&self) -> bool {
        lock(&self.connection).is_some()
    }

    fn send(&self, command: Command) -> BoxFuture<'_, Result<Reply, CallError>> {
        Box::pin(async move {
            let Some(mut connection) = lock(&self.connection).clone() else {
                return Err(CallError::NotRun("there is no connection".into()));
            };
            let mut message = Pipeline::with_capacity(2);
            if command.is_asking {
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
        *lock(&self.connection) = None;
        self.shared.stale.notify_one();
    }
}

fn protocol(error: &redis::RedisError) -> FredError {
    FredError::new(ErrorKind::Protocol, error.to_string())
}

async fn within<T>(time: Duration, step: impl Future<Output = Result<T, FredError>>) -> Result<T, FredError> {
    timeout(time, step).await.unwrap_or_else(|_| Err(FredError::new(ErrorKind::Timeout, "")))
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

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

#[cfg(not(feature = "rustls"))]
async fn secured(stream: TcpStream, _: &Server, _: &Config) -> Result<Box<dyn Stream>, FredError> {
    Ok(Box::new(stream))
}

#[cfg(feature = "rustls")]
async fn secured(stream: TcpStream, server: &Server, config: &Config) -> Result<Box<dyn Stream>, FredError> {
    use fred::{rustls::pki_types::ServerName, types::config::TlsConnector};

    let Some(tls) = &config.tls else { return Ok(Box::new(stream)) };
    let failed = |error: String| FredError::new(ErrorKind::Tls, error);
    let seed = config.server.hosts().first().map(|seed| seed.host.to_string()).unwrap_or_default();
    let name = ServerName::try_from(certified_name(server, &tls.hostnames, &seed));
    let name = name.map_err(|error| failed(error.to_string()))?;
    #[allow(clippy::match_wildcard_for_single_variants, unreachable_patterns)]
    match &tls.connector {
        TlsConnector::Rustls(connector) => {
            let stream = connector.connect(name, stream).await;
            Ok(Box::new(stream.map_err(|error| failed(error.to_string()))?))
        }
        _ => Err(failed("the connector for TLS has to be one of rustls".to_owned())),
    }
}

/// Returns the name that the certificate of a server is for. Nodes report addresses of one another rather than names.
#[cfg(feature = "rustls")]
fn certified_name(server: &Server, names: &fred::types::config::TlsHostMapping, seed: &str) -> String {
    use fred::types::config::TlsHostMapping;

    let Ok(address) = server.host.parse() else { return server.host.to_string() };
    match names {
        TlsHostMapping::None => server.host.to_string(),
        TlsHostMapping::DefaultHost => seed.to_owned(),
        TlsHostMapping::Custom(names) => names.map(&address, seed).unwrap_or_else(|| server.host.to_string()),
    }
}
