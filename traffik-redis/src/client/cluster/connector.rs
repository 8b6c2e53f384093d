//! Connects to one server of a cluster.

use std::{
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use fred::{
    error::{Error as FredError, ErrorKind},
    types::config::{Config, Server},
};
use redis::{AsyncConnectionConfig, Cmd, RedisConnectionInfo, RedisResult, Value, aio::MultiplexedConnection};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::Notify,
    time::timeout,
};

use crate::client::{
    reasons::{self, Reason},
    supervisor::Driver,
    timeouts::Timeouts,
};

/// The maximum number of calls that wait to be written while the system accepts no more data.
const BUFFER: usize = 1024;

/// Connects to servers of a cluster.
pub(super) struct Connector {
    pub(super) config: Config,
    pub(super) timeouts: Timeouts,
    pub(super) given_up: Arc<AtomicU64>,
    /// Notified when the slot map is out of date, or a connection is lost.
    pub(super) stale: Notify,
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

impl Connector {
    /// Returns a connection, which works while its driver runs.
    pub(super) async fn connect(&self, server: &Server) -> Result<(MultiplexedConnection, Driver), Reason> {
        let Timeouts { attempt, handshake, .. } = self.timeouts;
        let stream = within(attempt, self.reach(server)).await?;
        // Calls have their own timeouts, and the answer to `AUTH` is read below.
        let config = AsyncConnectionConfig::new()
            .set_response_timeout(None)
            .set_connection_timeout(None)
            .set_pipeline_buffer_size(BUFFER);
        let info = RedisConnectionInfo::default().set_skip_set_lib_name();
        let opened = MultiplexedConnection::new_with_config(&info, stream, config).await;
        let (mut connection, driver) =
            opened.map_err(|error| reasons::in_plain_words(FredError::new(ErrorKind::Protocol, error.to_string())))?;
        let mut driver = Box::pin(driver);
        within(handshake, async {
            let command = self.handshake();
            tokio::select! {
                biased;
                answer = connection.send_packed_command(&command) => accepted(answer),
                () = &mut driver => Err(FredError::new(ErrorKind::Protocol, "")),
            }
        })
        .await?;
        let driver = Box::pin(async move {
            driver.await;
            reasons::CLOSED.to_owned()
        });
        Ok((connection, driver))
    }

    fn handshake(&self) -> Cmd {
        let Some(password) = &self.config.password else { return redis::cmd("PING") };
        redis::cmd("AUTH").arg(&self.config.username).arg(password).take()
    }

    async fn reach(&self, server: &Server) -> Result<Box<dyn Stream>, FredError> {
        let stream = TcpStream::connect((&*server.host, server.port)).await?;
        stream.set_nodelay(true)?;
        #[cfg(target_os = "linux")]
        socket2::SockRef::from(&stream).set_tcp_user_timeout(Some(self.timeouts.handshake))?;
        self.secured(stream, server).await
    }

    #[cfg(feature = "rustls")]
    async fn secured(&self, stream: TcpStream, server: &Server) -> Result<Box<dyn Stream>, FredError> {
        use fred::{rustls::pki_types::ServerName, types::config::TlsConnector};

        let Some(tls) = &self.config.tls else { return Ok(Box::new(stream)) };
        let seed = self.config.server.hosts().first().map(|seed| seed.host.to_string()).unwrap_or_default();
        let name = ServerName::try_from(certified_name(server, &tls.hostnames, &seed))
            .map_err(|error| FredError::new(ErrorKind::Tls, error.to_string()))?;
        #[allow(clippy::match_wildcard_for_single_variants, unreachable_patterns)]
        match &tls.connector {
            TlsConnector::Rustls(connector) => {
                let stream = connector.connect(name, stream).await;
                Ok(Box::new(stream.map_err(|error| FredError::new(ErrorKind::Tls, error.to_string()))?))
            }
            _ => Err(FredError::new(ErrorKind::Tls, "the connector for TLS has to be one of rustls")),
        }
    }

    #[cfg(not(feature = "rustls"))]
    async fn secured(&self, stream: TcpStream, _: &Server) -> Result<Box<dyn Stream>, FredError> {
        Ok(Box::new(stream))
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

fn accepted(answer: RedisResult<Value>) -> Result<(), FredError> {
    match answer {
        Ok(Value::ServerError(error)) => {
            let said = format!("{} {}", error.code(), error.details().unwrap_or_default());
            Err(FredError::new(ErrorKind::Unknown, said))
        }
        Ok(_) => Ok(()),
        Err(error) => Err(FredError::new(ErrorKind::Protocol, error.to_string())),
    }
}

async fn within<T>(time: Duration, step: impl Future<Output = Result<T, FredError>>) -> Result<T, Reason> {
    let done = timeout(time, step).await.unwrap_or_else(|_| Err(FredError::new(ErrorKind::Timeout, "")));
    done.map_err(reasons::in_plain_words)
}
