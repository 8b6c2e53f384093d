//! Connecting to one server of a cluster.

use std::{pin::Pin, time::Duration};

use fred::{
    error::{Error as FredError, ErrorKind},
    types::config::Config,
};
use redis::{AsyncConnectionConfig, Cmd, RedisConnectionInfo, Value, aio::MultiplexedConnection};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};

use super::slots::Place;
use crate::client::{line::Patience, reasons};

/// How long the system, and TLS, may take.
const ATTEMPT_WITHIN: Duration = Duration::from_secs(1);

/// As many calls wait to be written, where the system does not take more at the moment.
const BUFFER: usize = 1024;

/// What it takes to get through.
pub(super) struct Dial {
    config: Config,
    patience: Patience,
}

/// What carries the calls of a connection, and ends with it.
pub(super) type Driver = Pin<Box<dyn Future<Output = ()> + Send>>;

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

impl Dial {
    pub(super) fn new(config: Config, patience: Patience) -> Self {
        Self { config, patience }
    }

    pub(super) fn patience(&self) -> Patience {
        self.patience
    }

    /// A connection, and what drives it. It is of no use before that runs.
    pub(super) async fn open(&self, place: &Place) -> Result<(MultiplexedConnection, Driver), String> {
        let within = ATTEMPT_WITHIN.max(self.patience.greeting);
        let stream = timeout(within, self.reach(place)).await.map_err(|_| format!("none within {within:?}"))?;
        let stream = stream.map_err(plainly)?;
        // The line has its own patience, and who the client is is told below, where the answer is heard.
        let config = AsyncConnectionConfig::new()
            .set_response_timeout(None)
            .set_connection_timeout(None)
            .set_pipeline_buffer_size(BUFFER);
        let info = RedisConnectionInfo::default().set_skip_set_lib_name();
        let (connection, driver) =
            MultiplexedConnection::new_with_config(&info, stream, config).await.map_err(|error| error.to_string())?;
        Ok((connection, Box::pin(driver)))
    }

    /// What is said first on a connection.
    pub(super) async fn greet(&self, mut connection: MultiplexedConnection) -> Result<(), String> {
        let greeting = self.greeting();
        match timeout(self.patience.greeting, connection.send_packed_command(&greeting)).await {
            Err(_) => Err(plainly(FredError::new(ErrorKind::Timeout, ""))),
            Ok(Err(error)) => Err(plainly(FredError::new(ErrorKind::Protocol, error.to_string()))),
            Ok(Ok(Value::ServerError(error))) => {
                let said = format!("{} {}", error.code(), error.details().unwrap_or_default());
                Err(plainly(FredError::new(ErrorKind::Unknown, said)))
            }
            Ok(Ok(_)) => Ok(()),
        }
    }

    fn greeting(&self) -> Cmd {
        let Some(password) = &self.config.password else { return redis::cmd("PING") };
        let mut greeting = redis::cmd("AUTH");
        if let Some(username) = &self.config.username {
            greeting.arg(username);
        }
        greeting.arg(password);
        greeting
    }

    async fn reach(&self, place: &Place) -> Result<Box<dyn Stream>, FredError> {
        let stream = TcpStream::connect((place.host.as_str(), place.port)).await?;
        stream.set_nodelay(true)?;
        #[cfg(target_os = "linux")]
        socket2::SockRef::from(&stream).set_tcp_user_timeout(Some(self.patience.greeting))?;
        self.secured(stream, place).await
    }

    #[cfg(feature = "rustls")]
    async fn secured(&self, stream: TcpStream, place: &Place) -> Result<Box<dyn Stream>, FredError> {
        use fred::{rustls::pki_types::ServerName, types::config::TlsConnector};

        let Some(tls) = &self.config.tls else { return Ok(Box::new(stream)) };
        let seed = self.config.server.hosts().first().map(|seed| seed.host.to_string()).unwrap_or_default();
        let name = ServerName::try_from(called(place, &tls.hostnames, &seed))
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
    async fn secured(&self, stream: TcpStream, _: &Place) -> Result<Box<dyn Stream>, FredError> {
        Ok(Box::new(stream))
    }
}

/// What a server's certificate is for: nodes tell one another's addresses rather than names.
#[cfg(feature = "rustls")]
fn called(place: &Place, names: &fred::types::config::TlsHostMapping, seed: &str) -> String {
    use fred::types::config::TlsHostMapping;

    let Ok(address) = place.host.parse() else { return place.host.clone() };
    match names {
        TlsHostMapping::None => place.host.clone(),
        TlsHostMapping::DefaultHost => seed.to_owned(),
        TlsHostMapping::Custom(names) => names.map(&address, seed).unwrap_or_else(|| place.host.clone()),
    }
}

fn plainly(error: FredError) -> String {
    reasons::in_plain_words(error).to_string()
}
