//! TLS for the connections to a cluster.

#[cfg(feature = "rustls")]
use fred::error::ErrorKind;
use fred::{
    error::Error as FredError,
    types::config::{Config, Server},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};

pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

#[cfg(not(feature = "rustls"))]
pub(super) async fn secured(stream: TcpStream, _: &Server, _: &Config) -> Result<Box<dyn Stream>, FredError> {
    Ok(Box::new(stream))
}

#[cfg(feature = "rustls")]
pub(super) async fn secured(stream: TcpStream, server: &Server, config: &Config) -> Result<Box<dyn Stream>, FredError> {
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
