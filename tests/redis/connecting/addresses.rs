use traffik::{backend::Backend, strategy::FixedWindow};
use traffik_redis::{
    RedisBackend, RedisBackendBuilder,
    fred::{
        clients::Client as FredClient,
        interfaces::ClientLike,
        types::{
            Builder, RespVersion,
            config::{Config, ConnectionConfig, ReconnectPolicy, ServerConfig},
        },
    },
};

use crate::{Client, PLENTY, Result, log::Log, server::Server};

/// Checks that five fit together on all backends.
async fn admits(builder: RedisBackendBuilder, how_many: u64) -> Result {
    let backend = builder.namespace("test:redis").command_timeout(PLENTY).connect().await?;
    let alice = Client::new("alice", FixedWindow, "5/30d")?;
    for _ in 0..how_many {
        assert!(alice.decide(&backend, 1).await?.admitted);
    }
    backend.close().await?;
    Ok(())
}

fn limits(server: &Server, database: &str) -> Result<usize> {
    let mut raw = server.raw()?;
    raw.call(&["SELECT", database])?;
    Ok(raw.keys()?.len())
}

#[tokio::test]
async fn address_with_a_database_or_of_valkey_connects() -> Result {
    let server = Server::start()?;
    let port = server.port();
    admits(RedisBackend::builder(format!("redis://127.0.0.1:{port}/3")), 2).await?;
    admits(RedisBackend::builder(format!("redis://127.0.0.1:{port}?db=3")), 3).await?;
    assert_eq!((limits(&server, "0")?, limits(&server, "3")?), (0, 1));
    admits(RedisBackend::builder(format!("valkey://127.0.0.1:{port}")), 5).await?;
    assert_eq!((limits(&server, "0")?, limits(&server, "3")?), (1, 1));
    Ok(())
}

#[tokio::test]
async fn address_of_a_unix_socket_connects() -> Result {
    let server = Server::start_with(&["--unixsocket", "FOLDER/redis.sock"])?;
    let path = server.folder().join("redis.sock");
    admits(RedisBackend::builder(format!("unix://{}", path.display())), 2).await?;
    admits(RedisBackend::builder(format!("redis+unix://{}?db=0", path.display())), 2).await?;
    admits(RedisBackend::builder(format!("valkey+unix://{}?db=2", path.display())), 5).await?;
    assert_eq!((limits(&server, "0")?, limits(&server, "2")?), (1, 1));
    Ok(())
}

#[tokio::test]
async fn address_with_user_and_password_connects() -> Result {
    let server =
        Server::start_with(&["--requirepass", "hunter2", "--user", "traffik", "on", ">pass@word", "~*", "+@all"])?;
    let at = format!("127.0.0.1:{}", server.port());
    admits(RedisBackend::builder(format!("redis://:hunter2@{at}")), 1).await?;
    admits(RedisBackend::builder(format!("redis://traffik:pass%40word@{at}/0")), 1).await?;
    admits(RedisBackend::builder(format!("redis://{at}")).password("hunter2"), 1).await?;
    admits(RedisBackend::builder(format!("redis://nobody:x@{at}")).username("traffik").password("pass@word"), 1).await
}

#[tokio::test]
async fn several_connections_share_one_limit() -> Result {
    let server = Server::start()?;
    let backend = crate::builder(&server).pool_size(3).connect().await?;
    let alice = Client::new("alice", FixedWindow, "5/30d")?;
    let mut admitted = 0;
    for _ in 0..9 {
        admitted += u64::from(alice.decide(&backend, 1).await?.admitted);
    }
    assert_eq!(admitted, 5);
    let clients = server.raw()?.call(&["CLIENT", "LIST"])?.text();
    assert_eq!(clients.lines().filter(|line| line.contains("evalsha")).count(), 3, "{clients}");
    Ok(())
}

#[tokio::test]
async fn fred_configuration_connects() -> Result {
    let server = Server::start_with(&["--requirepass", "hunter2"])?;
    let mut config = Config { server: ServerConfig::new_centralized("127.0.0.1", server.port()), ..Config::default() };
    admits(RedisBackend::from_config(config.clone()).password("hunter2"), 1).await?;
    config.password = Some("hunter2".to_owned());
    config.database = Some(1);
    admits(RedisBackend::from_config(config.clone()), 1).await?;
    // This connection uses RESP3, with the same results.
    config.version = RespVersion::RESP3;
    admits(RedisBackend::from_config(config), 4).await
}

/// A client that is shared with the app is used unchanged.
#[tokio::test]
async fn shared_fred_client_connects() -> Result {
    let server = Server::start()?;
    let (log, _guard) = Log::begin();
    let connect = async |attempts| {
        let config = Config { server: ServerConfig::new_centralized("127.0.0.1", server.port()), ..Config::default() };
        let mut builder = Builder::from_config(config);
        builder.set_policy(ReconnectPolicy::new_exponential(0, 5, 100, 2));
        builder
            .set_connection_config(ConnectionConfig { max_command_attempts: attempts, ..ConnectionConfig::default() });
        let client: FredClient = builder.build()?;
        client.init().await?;
        Result::Ok(client)
    };
    let client = connect(1).await?;
    admits(RedisBackend::from_client(client.clone()), 2).await?;
    assert!(client.is_connected());
    assert_eq!(log.text(), "");

    admits(RedisBackend::from_client(connect(3).await?), 2).await?;
    assert!(log.text().contains("WARN") && log.text().contains("max_command_attempts"), "{}", log.text());
    Ok(())
}
