use std::{fmt, sync::Arc};

use axum::http::{header::HOST, request::Parts, uri::Authority};
use traffik_core::client::Client;

/// What calls share a limit by.
#[derive(Clone)]
pub(super) enum Key {
    Host,
    One(Client),
    By(Arc<dyn Fn(&Parts) -> Client + Send + Sync>),
}

impl Key {
    /// Returns the key of a request, or `None` if it has no host.
    pub(super) fn of(&self, parts: &Parts) -> Option<Client> {
        match self {
            Self::Host => host(parts).map(Client::from),
            Self::One(client) => Some(client.clone()),
            Self::By(function) => Some(function(parts)),
        }
    }
}

fn host(parts: &Parts) -> Option<String> {
    if let Some(host) = parts.uri.host() {
        return Some(host.to_ascii_lowercase());
    }
    let authority: Authority = parts.headers.get(HOST)?.to_str().ok()?.parse().ok()?;
    Some(authority.host().to_ascii_lowercase())
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => f.write_str("Host"),
            Self::One(client) => f.debug_tuple("One").field(client).finish(),
            Self::By(_) => f.write_str("By(..)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;

    fn key(uri: &str, host: Option<&str>) -> Option<Client> {
        let mut request = Request::get(uri);
        if let Some(host) = host {
            request = request.header(HOST, host);
        }
        Key::Host.of(&request.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn host_of_a_request_is_that_of_its_uri_or_its_header() {
        let host = |host: &str| Some(Client::from(host.to_owned()));
        assert_eq!(key("https://API.Example.com:8443/x", None), host("api.example.com"));
        assert_eq!(key("http://[::1]:80/", Some("other")), host("[::1]"));
        assert_eq!(key("/x", Some("Api.example.com:8443")), host("api.example.com"));
        assert_eq!(key("/x", Some("")), None);
        assert_eq!(key("/x", None), None);
    }
}
