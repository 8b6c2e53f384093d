//! Parses the address of the server, and explains what is wrong with an invalid one.

use fred::types::config::{Config, ServerConfig};

#[cfg(feature = "rustls")]
use super::tls;
use crate::Error;

const NO_TLS: &str =
    "it asks for TLS: turn on the feature `rustls` of traffik-redis. Nothing is sent in the clear instead";

/// Parses an address. No error repeats the address, which may hold a password.
pub(super) fn parse(address: &str) -> Result<Config, Error> {
    let Some((scheme, rest)) = address.split_once("://") else {
        return wrong("it has no scheme: write redis://host:6379/0");
    };
    let (base, kind) = scheme.split_once(['-', '+']).unwrap_or((scheme, ""));
    let tls = match base {
        "redis" | "valkey" => false,
        "rediss" | "valkeys" if cfg!(feature = "rustls") => true,
        "rediss" | "valkeys" => return wrong(NO_TLS),
        "unix" if kind.is_empty() => return unix(rest),
        _ => return wrong("it does not have a Redis scheme: write redis://host:6379/0"),
    };
    if kind != "unix" && has_raw_password(rest) {
        return wrong(
            "its password has a raw `@`, `/`, `?` or `#`: percent-encode it (`%40`, `%2F`, `%3F`, `%23`), or give it by \
             `.password(..)`",
        );
    }
    // The client library would set up TLS by itself.
    let config = match kind {
        "" => Config::from_url_centralized(&format!("redis://{rest}"))
            .or_else(|_| wrong("it is not a server URL: write redis://user:password@host:6379/0")),
        "cluster" => Config::from_url_clustered(&format!("redis-cluster://{rest}")).or_else(|_| {
            wrong(
                "it is not a cluster URL: write redis-cluster://user:password@host:6379?node=host:port&node=host:port",
            )
        }),
        "sentinel" => Config::from_url_sentinel(&format!("redis-sentinel://{rest}")).or_else(|_| {
            wrong(
                "it is not a sentinel URL: write \
                 redis-sentinel://host:26379/0?sentinelServiceName=mymaster&node=host:port",
            )
        }),
        "unix" if !tls => unix(rest),
        _ => wrong("it does not have a Redis scheme: write redis://host:6379/0"),
    }?;
    if tls { secured(config) } else { Ok(config) }
}

/// Returns whether an `@` comes after the host: the text before it was meant for the password. Credentials of sentinels
/// may contain one.
fn has_raw_password(rest: &str) -> bool {
    let after_host = rest.find(['/', '?', '#']).and_then(|end| rest.get(end..)).unwrap_or_default();
    let mut parts = after_host.split(['?', '&']);
    parts.any(|part| {
        part.contains('@') && !part.starts_with("sentinelUsername=") && !part.starts_with("sentinelPassword=")
    })
}

#[cfg(feature = "rustls")]
fn secured(config: Config) -> Result<Config, Error> {
    Ok(Config { tls: Some(tls::by_the_system()?), ..config })
}

#[cfg(not(feature = "rustls"))]
fn secured(_: Config) -> Result<Config, Error> {
    wrong(NO_TLS)
}

fn wrong<T>(reason: &str) -> Result<T, Error> {
    Err(Error::Address(reason.into()))
}

/// Parses `/run/redis.sock`, with an optional `?db=3`.
#[cfg(unix)]
fn unix(path: &str) -> Result<Config, Error> {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let database = match query {
        "" => Some(None),
        query => query.strip_prefix("db=").and_then(|number| number.parse().ok()).map(Some),
    };
    match database {
        Some(database) if path.starts_with('/') => {
            Ok(Config { server: ServerConfig::Unix { path: path.into() }, database, ..Config::default() })
        }
        _ => wrong(
            "it is not a Unix socket URL: write unix:///run/redis.sock, with ?db=3 at the end for another database, and \
             give the password by `.password(..)`",
        ),
    }
}

#[cfg(not(unix))]
fn unix(_: &str) -> Result<Config, Error> {
    wrong("there are no Unix sockets on this system")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(address: &str) -> String {
        parse(address).unwrap_err().to_string()
    }

    #[test]
    fn servers_are_taken() {
        for address in [
            "redis://localhost",
            "redis://localhost:6379/0",
            "redis://user:secret@127.0.0.1:6380/3",
            "redis://[::1]",
            "valkey://localhost",
            "redis-sentinel://a:26379/0?sentinelServiceName=main&node=b:26379",
            "valkey-sentinel://a?sentinelServiceName=main",
            "redis-cluster://a:7000?node=b:7001&node=c:7002",
            "valkey-cluster://u:p@a:7000",
        ] {
            assert!(parse(address).is_ok(), "{address}");
        }
        for address in ["rediss://localhost", "valkeys://localhost", "rediss-sentinel://a?sentinelServiceName=main"] {
            assert_eq!(parse(address).is_ok(), cfg!(feature = "rustls"), "{address}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn unix_sockets_are_taken() {
        for address in ["unix:///run/redis.sock", "redis+unix:///run/redis.sock", "valkey+unix:///r@s.sock?db=3"] {
            assert!(parse(address).is_ok(), "{address}");
        }
        for address in ["unix://run/redis.sock", "unix:///r?db=x", "unix:///r?pass=hunter2", "unix+cluster:///r"] {
            assert!(parse(address).is_err() && !reason(address).contains("hunter2"), "{address}");
        }
        assert_eq!(parse("unix:///r?db=3").unwrap().database, Some(3));
        assert_eq!(parse("unix:///r").unwrap().database, None);
    }

    #[cfg(not(feature = "rustls"))]
    #[test]
    fn tls_without_its_feature_is_an_error_and_never_plain_text() {
        for address in ["rediss://h", "valkeys://h", "rediss-cluster://h:1", "rediss-sentinel://h", "rediss+unix:///h"]
        {
            assert!(reason(address).contains("`rustls`"), "{address}");
        }
    }

    #[test]
    fn others_are_refused_in_plain_words() {
        assert!(reason("http://localhost").contains("scheme"));
        assert!(reason("redis-bloom://localhost").contains("scheme"));
        assert!(reason("localhost:6379").contains("redis://"));
        assert!(reason("redis-sentinel://localhost:26379").contains("sentinelServiceName"));
        assert!(reason("redis://localhost/300").contains("redis://"));
    }

    #[test]
    fn raw_delimiter_in_a_password_is_an_error_that_says_so() {
        for address in [
            "redis://:hun?ter2@localhost",
            "redis://user:hun/ter2@localhost:6379/0",
            "redis://user:1#2@localhost",
            "redis-cluster://user:1?2@a:7000?node=b:7001",
            "redis-sentinel://user:1?2@a:26379/0?sentinelServiceName=main",
        ] {
            let reason = reason(address);
            assert!(reason.contains("percent-encode") && !reason.contains("ter2"), "{address}: {reason}");
        }
        let password = |address| parse(address).unwrap().password;
        for address in ["redis://:p@ss@localhost", "redis://:p%40ss@localhost", "redis-cluster://:p@ss@a:7000"] {
            assert_eq!(password(address).as_deref(), Some("p@ss"), "{address}");
        }
        assert!(parse("redis-sentinel://a/0?sentinelServiceName=main&sentinelPassword=p@ss").is_ok());
    }

    #[test]
    fn no_error_repeats_a_password() {
        for address in [
            "redis://:hunter2@",
            "http://u:hunter2@h",
            "redis://u:hunter2@h:port/0",
            "redis-sentinel://u:hunter2@h",
            "redis-cluster://u:hunter2@h:port",
            "hunter2",
        ] {
            assert!(!reason(address).contains("hunter2"), "{address}");
        }
    }
}
