//! Sets up TLS with the authorities that the system trusts, for `rediss://`.

use std::sync::Arc;

use fred::{
    rustls::{
        ClientConfig, RootCertStore,
        crypto::{CryptoProvider, ring},
    },
    rustls_native_certs::load_native_certs,
    types::config::{TlsConfig, TlsConnector},
};

use crate::Error;

/// Creates the TLS configuration. That of the client library would panic if the app has two cryptography providers in
/// its dependencies.
pub(super) fn by_the_system() -> Result<TlsConfig, Error> {
    let mut authorities = RootCertStore::empty();
    let found = load_native_certs();
    authorities.add_parsable_certificates(found.certs);
    if authorities.is_empty() {
        let why = found.errors.first().map_or_else(String::new, |error| format!(" ({error})"));
        return Err(Error::Tls(format!("the system trusts no authority{why}: install `ca-certificates`")));
    }
    let provider = CryptoProvider::get_default().cloned().unwrap_or_else(|| Arc::new(ring::default_provider()));
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Tls(error.to_string()))?
        .with_root_certificates(authorities)
        .with_no_client_auth();
    Ok(TlsConnector::from(config).into())
}
