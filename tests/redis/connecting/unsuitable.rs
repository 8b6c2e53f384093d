//! Errors for unsuitable servers.

use std::{
    io::{Read, Write},
    net::TcpListener,
    thread,
};

use traffik::{
    backend::Backend,
    decision::Charge,
    strategy::{FixedWindow, Gcra, SlidingWindowCounter, SlidingWindowLog},
};
use traffik_redis::RedisBackend;

use crate::{
    Client, PLENTY, Result, builder,
    log::Log,
    permissions::rules,
    raw::{Raw, Reply},
    server::Server,
};

/// Returns the reason why the backend did not connect.
async fn reason(address: impl Into<String>) -> Result<String> {
    let error = RedisBackend::builder(address).namespace("test:redis").connect().await.err();
    let error = error.ok_or("it was connected to")?.to_string();
    assert!(!error.contains("hunter2"), "{error}");
    Ok(error)
}

/// Returns the address of a listener that sends the same text to each client.
fn server_that_says(words: &'static [u8]) -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = format!("redis://{}", listener.local_addr()?);
    thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let mut heard = [0; 1024];
            let _ = stream.read(&mut heard).and_then(|_| stream.write_all(words));
        }
    });
    Ok(address)
}

#[tokio::test]
async fn missing_or_wrong_password_is_named_in_the_error() -> Result {
    let server = Server::start_with(&["--requirepass", "right"])?;
    let at = format!("127.0.0.1:{}", server.port());
    for (address, words) in [
        (format!("redis://:hunter2@{at}"), "rejected the username"),
        (format!("redis://hunter2:right@{at}"), "rejected the username"),
        (format!("redis://{at}"), "requires a password"),
    ] {
        let reason = reason(address).await?;
        assert!(reason.contains(words), "{reason}");
    }
    Ok(())
}

#[tokio::test]
async fn server_that_is_no_redis_is_an_error() -> Result {
    for words in [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], b"\x15\x03\x03\x00\x02\x02\x28", b""] {
        let reason = reason(server_that_says(words)?).await?;
        assert!(reason.contains("check that a Redis server listens"), "{reason}");
    }
    let port = crate::server::free_port()?;
    let reason = reason(format!("redis://:hunter2@127.0.0.1:{port}")).await?;
    assert!(reason.contains("no server listens") && reason.contains("Connection refused"), "{reason}");
    Ok(())
}

#[tokio::test]
async fn cluster_address_of_a_plain_server_is_an_error() -> Result {
    let server = Server::start_with(&["--requirepass", "right"])?;
    let cluster = format!("127.0.0.1:{}", server.port());
    let address = reason(format!("redis-cluster://:right@{cluster}")).await?;
    assert!(address.contains("cluster support disabled"), "{address}");
    let password = reason(format!("redis-cluster://:hunter2@{cluster}")).await?;
    assert!(password.contains("rejected the username"), "{password}");
    let password = reason(format!("redis-cluster://{cluster}")).await?;
    assert!(password.contains("requires a password"), "{password}");
    let absent = reason(format!("redis-cluster://127.0.0.1:{}", crate::server::free_port()?)).await?;
    assert!(absent.contains("no server listens"), "{absent}");

    let node =
        Server::start_with(&["--cluster-enabled", "yes", "--cluster-port", &crate::server::free_port()?.to_string()])?;
    let empty = reason(node.url().replace("redis://", "redis-cluster://")).await?;
    assert!(empty.contains("has no slots"), "{empty}");
    Ok(())
}

#[tokio::test]
async fn replica_is_an_error() -> Result {
    let primary = Server::start()?;
    let replica = Server::start_with(&["--replicaof", "127.0.0.1", &primary.port().to_string()])?;
    let reason = reason(replica.url()).await?;
    assert!(reason.contains("replica") && reason.contains("primary"), "{reason}");
    Ok(())
}

#[tokio::test]
async fn server_whose_memory_is_full_is_an_error() -> Result {
    let server = Server::start()?;
    server.raw()?.call(&["CONFIG", "SET", "maxmemory", "1"])?;
    let reason = reason(server.url()).await?;
    assert!(reason.contains("out of memory") && reason.contains("maxmemory") && !reason.contains("Lua"), "{reason}");
    server.raw()?.call(&["CONFIG", "SET", "maxmemory", "0"])?;
    server.raw()?.call(&["CONFIG", "SET", "min-replicas-to-write", "1"])?;
    let reason = self::reason(server.url()).await?;
    assert!(reason.contains("min-replicas-to-write"), "{reason}");
    server.raw()?.call(&["CONFIG", "SET", "min-replicas-to-write", "0"])?;
    builder(&server).connect().await?;
    Ok(())
}

#[tokio::test]
async fn server_that_evicts_keys_is_warned_of() -> Result {
    let server = Server::start()?;
    let (log, _guard) = Log::begin();
    builder(&server).connect().await?;
    server.raw()?.call(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"])?;
    builder(&server).connect().await?;
    assert_eq!(log.text(), "");

    server.raw()?.call(&["CONFIG", "SET", "maxmemory", "100mb"])?;
    builder(&server).connect().await?;
    assert!(log.text().contains("WARN") && log.text().contains("allkeys-lru"), "{}", log.text());
    Ok(())
}

/// A user with all permissions but one. Nothing about it is cached.
fn user_without(missing: &str, raw: &mut Raw) -> Result {
    let mut words = vec!["ACL".to_owned(), "SETUSER".to_owned(), "limits".to_owned()];
    words.extend(rules()?.into_iter().filter(|rule| rule != missing));
    raw.call(&["ACL", "DELUSER", "limits"])?;
    raw.call(&words)?;
    // Programs that other users loaded would be cached.
    raw.call(&["SCRIPT", "FLUSH"])?;
    Ok(())
}

#[tokio::test]
async fn user_with_the_documented_permissions_connects() -> Result {
    let server = Server::start()?;
    let mut raw = server.raw()?;
    user_without("", &mut raw)?;
    let connect = || RedisBackend::builder(format!("redis://limits:secret@127.0.0.1:{}/0", server.port()));
    let backend = connect().namespace("test:redis").command_timeout(PLENTY).connect().await?;
    for client in [
        Client::new("alice", FixedWindow, "5/30d")?,
        Client::new("bob", SlidingWindowCounter, "5/30d")?,
        Client::new("carol", Gcra::new().burst(5), "5/30d")?,
        Client::new("dave", SlidingWindowLog, "5/30d")?,
    ] {
        let charged = client.decide(&backend, 5).await?;
        assert!(charged.admitted && !client.decide(&backend, 1).await?.admitted);
        assert!(!backend.peek(&[client.hit(1)]).await?.is_admitted());
        backend.adjust(&[Charge::new(client.hit(1), charged.at).refund()]).await?;
        assert!(client.decide(&backend, 1).await?.admitted);
        backend.reset(&[client.hit(1)]).await?;
        assert!(client.decide(&backend, 5).await?.admitted);
    }
    backend.clear().await?;
    assert_eq!(raw.keys()?, Vec::<String>::new());
    backend.close().await?;
    // The server refused no command in the whole test.
    assert_eq!(raw.call(&["ACL", "LOG"])?, Reply::List(Vec::new()));
    Ok(())
}

#[tokio::test]
async fn user_without_a_required_permission_is_an_error() -> Result {
    let server = Server::start()?;
    let mut raw = server.raw()?;
    for missing in [
        "+evalsha",
        "+eval",
        "+time",
        "+get",
        "+getrange",
        "+set",
        "+setrange",
        "+pexpireat",
        "+hget",
        "+hset",
        "+hdel",
        "+hincrby",
        "+hgetall",
        "~{test:redis|*",
        "~{test:redis}|control",
    ] {
        user_without(missing, &mut raw)?;
        let reason = reason(format!("redis://limits:secret@127.0.0.1:{}", server.port())).await?;
        assert!(reason.contains("lacks permissions") && reason.contains("ACL SETUSER"), "{missing}: {reason}");
    }
    Ok(())
}
