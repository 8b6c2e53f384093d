//! Parses the address of the server, and explains what is wrong with an invalid one.

use fred::types::config::{Config, ServerConfig};
use url::Url;

#[cfg(feature = "rustls")]
use super::tls;
use crate::Error;

const NO_TLS: &str =
    "it asks for TLS: turn on the feature `rustls` of traffik-redis. Nothing is sent in the clear instead";

const DATABASE: &str = "db";
const NODE: &str = "node";
const SERVICE: &str = "sentinelServiceName";

#[cfg(unix)]
const UNIX: &str = "it is not a Unix socket URL: write unix:///run/redis.sock, with ?db=3 at the end for another database, and \
                    give the password by `.password(..)`";

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
    if kind == "unix" && !tls {
        return unix(rest);
    }
    let (form, parameters) = match kind {
        "" => ("redis://user:password@host:6379/0", &[DATABASE][..]),
        "cluster" => ("redis-cluster://user:password@host:6379?node=host:port&node=host:port", &[NODE][..]),
        "sentinel" => (
            "redis-sentinel://host:26379/0?sentinelServiceName=mymaster&node=host:port",
            &[DATABASE, NODE, SERVICE, "sentinelUsername", "sentinelPassword"][..],
        ),
        _ => return wrong("it does not have a Redis scheme: write redis://host:6379/0"),
    };
    let no_url = || format!("it is not a URL of this kind: write {form}");
    // The client library would set up TLS by itself, and ignore what it does not know.
    let text = format!("redis://{rest}");
    let url = Url::parse(&text).or_else(|_| wrong(&no_url()))?;
    let database = database(&url, database_in_path(&url, parameters)?, parameters)?;
    let parsed = match kind {
        "cluster" => Config::from_url_clustered(&text),
        "sentinel" => Config::from_url_sentinel(&text),
        _ => Config::from_url_centralized(&text),
    };
    let config = Config { database, ..parsed.or_else(|_| wrong(&no_url()))? };
    if tls { secured(config) } else { Ok(config) }
}

fn database_in_path(url: &Url, parameters: &[&str]) -> Result<Option<u8>, Error> {
    match url.path().strip_prefix('/').unwrap_or_default() {
        "" => Ok(None),
        "0" if !parameters.contains(&DATABASE) => Ok(None),
        _ if !parameters.contains(&DATABASE) => wrong("a cluster has database 0 only: remove the path"),
        path => path.parse().map(Some).or_else(|_| wrong("its path is not a database from 0 to 255: write /3")),
    }
}

/// Returns the database. Returns an error for a parameter or another part that has no meaning.
fn database(url: &Url, in_path: Option<u8>, parameters: &[&str]) -> Result<Option<u8>, Error> {
    if url.fragment().is_some() {
        return wrong("nothing may follow a `#`: remove it, or percent-encode it as `%23`");
    }
    let (mut database, mut seen) = (in_path, Vec::new());
    for (name, value) in url.query_pairs() {
        if !parameters.contains(&&*name) {
            return wrong(&format!(
                "the parameter {name:?} is unknown: remove it, or write one of {}",
                parameters.join(", ")
            ));
        }
        if name != NODE && (seen.contains(&name) || (name == DATABASE && in_path.is_some())) {
            return wrong(&format!("it has {name:?} twice: remove one"));
        }
        if name == SERVICE && value.is_empty() {
            return wrong("its `sentinelServiceName` is empty: write the name that the sentinels have for the server");
        }
        if name == NODE
            && !value.rsplit_once(':').is_some_and(|(host, port)| is_host(host) && port.parse::<u16>().is_ok())
        {
            return wrong("one `node` is not a host and a port: write node=host:port");
        }
        if name == DATABASE {
            let number = value.parse().or_else(|_| wrong("its `db` is not a number from 0 to 255: write ?db=3"))?;
            database = Some(number);
        }
        seen.push(name);
    }
    Ok(database)
}

/// Returns whether the client library takes the host of a `node`: it takes no IPv6 address.
fn is_host(text: &str) -> bool {
    !text.is_empty() && !text.contains([':', '/'])
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

/// Parses `/run/redis.sock`, with an optional `?db=3`. As elsewhere, `%23` in the path is a `#`.
#[cfg(unix)]
fn unix(rest: &str) -> Result<Config, Error> {
    let url = Url::parse(&format!("file://{rest}")).ok().filter(|_| rest.starts_with('/'));
    let Some((url, path)) = url.and_then(|url| url.to_file_path().ok().map(|path| (url, path))) else {
        return wrong(UNIX);
    };
    let database = database(&url, None, &[DATABASE])?;
    Ok(Config { server: ServerConfig::Unix { path }, database, ..Config::default() })
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
    fn addresses_of_servers_are_parsed() {
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
    fn addresses_of_unix_sockets_are_parsed() {
        for address in ["unix:///run/redis.sock", "redis+unix:///run/redis.sock", "valkey+unix:///r@s.sock?db=3"] {
            assert!(parse(address).is_ok(), "{address}");
        }
        for address in [
            "unix://run/redis.sock",
            "unix:///r?db=x",
            "unix:///r?pass=hunter2",
            "unix+cluster:///r",
            "unix:///r?db=1&db=2",
        ] {
            assert!(parse(address).is_err() && !reason(address).contains("hunter2"), "{address}");
        }
        assert_eq!(parse("unix:///r?db=3").unwrap().database, Some(3));
        assert_eq!(parse("unix:///r").unwrap().database, None);
        for (address, path) in [("unix:///a b.sock", "/a b.sock"), ("unix:///%231%.sock?db=3", "/#1%.sock")] {
            assert_eq!(parse(address).unwrap().server, ServerConfig::Unix { path: path.into() });
        }
    }

    #[test]
    fn every_part_of_an_address_is_used_or_an_error_that_names_it() {
        let database = |address| parse(address).unwrap().database;
        assert_eq!(database("redis://127.0.0.1:6379?db=3"), Some(3));
        assert_eq!(database("redis://127.0.0.1:6379/?db=3"), Some(3));
        assert_eq!(database("redis-sentinel://a?sentinelServiceName=main&db=3"), Some(3));
        assert_eq!(database("redis-sentinel://a/2?sentinelServiceName=main"), Some(2));
        for (address, part) in [
            ("redis://h?db=x", "`db`"),
            ("redis://h?db=256", "`db`"),
            ("redis://h/1?db=2", "\"db\" twice"),
            ("redis://h?db=1&db=2", "\"db\" twice"),
            ("redis://h?dbb=3", "\"dbb\""),
            ("redis://h?protocol=resp3", "\"protocol\""),
            ("redis://h?node=b:7001", "\"node\""),
            ("redis://h#3", "`#`"),
            ("redis://h/x", "its path"),
            ("redis://h/300", "its path"),
            ("redis://h/1/2", "its path"),
            ("redis-cluster://a:7000?node=b", "`node`"),
            ("redis-cluster://a:7000?node=b:x", "`node`"),
            ("redis-cluster://a:7000?node=", "`node`"),
            ("redis-sentinel://a/x?sentinelServiceName=main", "its path"),
            ("redis-sentinel://a?sentinelServiceName=main&node=b:70000", "`node`"),
            ("redis-sentinel://a?sentinelServiceName=", "`sentinelServiceName`"),
            ("redis-cluster://a:7000?db=3", "\"db\""),
            ("redis-cluster://a:7000/3", "database 0 only"),
            ("redis-cluster://a:7000?nodes=b:7001", "\"nodes\""),
            ("redis-sentinel://a?sentinelServiceName=main&sentinelServiceName=b", "\"sentinelServiceName\" twice"),
            ("redis-sentinel://a?sentinelServiceName=main&password=p", "\"password\""),
        ] {
            assert!(reason(address).contains(part), "{address}: {}", reason(address));
        }
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
    fn other_addresses_are_errors_that_show_the_form() {
        assert!(reason("http://localhost").contains("scheme"));
        assert!(reason("redis-bloom://localhost").contains("scheme"));
        assert!(reason("localhost:6379").contains("redis://"));
        assert!(reason("redis-sentinel://localhost:26379").contains("sentinelServiceName"));
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
