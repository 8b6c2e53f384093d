//! Where the server is: the addresses that are taken, and why others are not.

use fred::types::config::Config;

use crate::Error;

/// What to connect to. The address holds a password, perhaps, and so no error repeats it.
pub(crate) fn parse(address: &str) -> Result<Config, Error> {
    let Some((scheme, _)) = address.split_once("://") else {
        return Err(Error::Address("it has no scheme: write redis://host:6379/0".into()));
    };
    match scheme {
        "redis" => {}
        "rediss" if cfg!(feature = "rustls") => {}
        "rediss" => {
            let fix =
                "rediss needs TLS: turn on the feature `rustls` of traffik-redis. Nothing is sent in the clear instead";
            return Err(Error::Address(fix.into()));
        }
        "redis-cluster" | "rediss-cluster" => return Err(Error::Address("clusters are not supported yet".into())),
        "redis-sentinel" | "rediss-sentinel" => return Err(Error::Address("sentinels are not supported yet".into())),
        "redis+unix" | "unix" => return Err(Error::Address("Unix sockets are not supported yet".into())),
        _ => return Err(Error::Address("its scheme is none of Redis: write redis://host:6379/0".into())),
    }
    Config::from_url_centralized(address)
        .map_err(|_| Error::Address("it is no URL of a server: write redis://user:password@host:6379/0".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(address: &str) -> String {
        parse(address).unwrap_err().to_string()
    }

    #[test]
    fn servers_are_taken() {
        for address in
            ["redis://localhost", "redis://localhost:6379/0", "redis://user:secret@127.0.0.1:6380/3", "redis://[::1]"]
        {
            assert!(parse(address).is_ok(), "{address}");
        }
        assert_eq!(parse("rediss://localhost").is_ok(), cfg!(feature = "rustls"));
    }

    #[cfg(not(feature = "rustls"))]
    #[test]
    fn tls_without_its_feature_is_an_error_and_never_plain_text() {
        assert!(reason("rediss://localhost").contains("`rustls`"));
    }

    #[test]
    fn others_are_refused_in_plain_words() {
        assert!(reason("http://localhost").contains("scheme"));
        assert!(reason("localhost:6379").contains("redis://"));
        assert!(reason("redis-cluster://localhost:6379").contains("clusters"));
        assert!(reason("redis-sentinel://localhost:26379").contains("sentinels"));
        assert!(reason("redis+unix:///run/redis.sock").contains("Unix"));
    }

    #[test]
    fn no_error_repeats_a_password() {
        for address in ["redis://:hunter2@", "http://u:hunter2@h", "redis://u:hunter2@h:port/0", "hunter2"] {
            assert!(!reason(address).contains("hunter2"), "{address}");
        }
    }
}
