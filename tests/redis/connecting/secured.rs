//! TLS: which servers are trusted, and the errors for others.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use traffik::strategy::FixedWindow;
use traffik_redis::{
    RedisBackend, RedisBackendBuilder,
    fred::{
        rustls::{ClientConfig, RootCertStore, crypto::ring, pki_types::CertificateDer},
        types::config::{Config, ServerConfig, TlsConnector},
    },
};

use crate::{
    Client, PLENTY, Result,
    server::{Folder, Server, free_port},
};

/// A certificate authority, trusted or not.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Result<Self> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Ok(Self(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?))
    }

    fn certificate(&self) -> CertificateDer<'static> {
        self.0.der().clone()
    }

    /// Returns a server with a certificate for `name`, and its TLS address.
    fn start(&self, name: &str, arguments: &[&str]) -> Result<(Server, u16)> {
        let (folder, port, key) = (Folder::new()?, free_port()?, KeyPair::generate()?);
        let certificate = CertificateParams::new([name.to_owned()])?.signed_by(&key, &self.0)?;
        let [cert_file, key_file, ca_file] = ["cert.pem", "key.pem", "ca.pem"].map(|name| folder.path().join(name));
        std::fs::write(&cert_file, certificate.pem())?;
        std::fs::write(&key_file, key.serialize_pem())?;
        std::fs::write(&ca_file, self.0.pem())?;
        let files = [cert_file, key_file, ca_file].map(|file| file.to_string_lossy().into_owned());
        let [cert_file, key_file, ca_file] = &files;
        let port_text = port.to_string();
        let tls = [
            "--tls-port",
            &port_text,
            "--tls-auth-clients",
            "no",
            "--tls-cert-file",
            cert_file,
            "--tls-key-file",
            key_file,
            "--tls-ca-cert-file",
            ca_file,
        ];
        // The server reads the files at its start, and never again.
        Ok((Server::start_with(&[&tls[..], arguments].concat())?, port))
    }
}

/// Returns a backend that trusts one authority.
fn trusting(authority: &Authority, server: ServerConfig) -> Result<RedisBackendBuilder> {
    let mut authorities = RootCertStore::empty();
    authorities.add(authority.certificate())?;
    let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(authorities)
        .with_no_client_auth();
    let config = Config { server, tls: Some(TlsConnector::from(tls).into()), ..Config::default() };
    Ok(RedisBackend::from_config(config).namespace("test:redis").command_timeout(PLENTY))
}

fn at(port: u16) -> ServerConfig {
    ServerConfig::new_centralized("127.0.0.1", port)
}

async fn decides(backend: &RedisBackend) -> Result {
    for _ in 0..5 {
        assert!(Client::new("alice", FixedWindow, "5/30d")?.decide(backend, 1).await?.admitted);
    }
    assert!(!Client::new("alice", FixedWindow, "5/30d")?.decide(backend, 1).await?.admitted);
    Ok(())
}

async fn refused(builder: RedisBackendBuilder, words: &str) -> Result {
    let error = builder.connect().await.err().ok_or("it was connected to")?.to_string();
    assert!(error.contains(words), "{error}");
    Ok(())
}

#[tokio::test]
async fn server_with_a_trusted_certificate_connects() -> Result {
    let (ours, other) = (Authority::new()?, Authority::new()?);
    let (server, port) = ours.start("127.0.0.1", &[])?;
    decides(&trusting(&ours, at(port))?.connect().await?).await?;

    refused(trusting(&other, at(port))?, "TLS handshake failed").await?;
    // The system does not know this authority.
    let address = |scheme: &str, port: u16| {
        RedisBackend::builder(format!("{scheme}://127.0.0.1:{port}")).namespace("test:redis").command_timeout(PLENTY)
    };
    refused(address("rediss", port), "TLS").await?;
    refused(address("redis", port), "whether it uses TLS").await?;
    refused(trusting(&ours, at(server.port()))?, "TLS").await
}

#[tokio::test]
async fn certificate_for_another_name_is_rejected() -> Result {
    let ours = Authority::new()?;
    let (_server, port) = ours.start("redis.example", &[])?;
    refused(trusting(&ours, at(port))?, "TLS handshake failed").await
}

#[tokio::test]
async fn cluster_over_tls_connects() -> Result {
    let (ours, other) = (Authority::new()?, Authority::new()?);
    let bus = free_port()?.to_string();
    let arguments = ["--cluster-enabled", "yes", "--cluster-port", &bus, "--tls-cluster", "yes"];
    let (server, port) = ours.start("127.0.0.1", &arguments)?;
    server.serve_all_slots()?;
    let hosts = || ServerConfig::new_clustered(vec![("127.0.0.1".to_owned(), port)]);
    decides(&trusting(&ours, hosts())?.connect().await?).await?;
    refused(trusting(&other, hosts())?, "TLS handshake failed").await
}
