//! Checks for two kinds of requests: the handshake of a WebSocket, and a CORS preflight.

use axum::http::{
    HeaderMap, HeaderName, Method, Version,
    header::{ACCESS_CONTROL_REQUEST_METHOD, CONNECTION, ORIGIN, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE},
    request::Parts,
};

/// Checks whether a request opens a WebSocket. Returns `None` if it asks for one and servers may differ in the
/// response.
///
/// Over HTTP/1.1 that is an upgrade (RFC 6455), over HTTP/2 an extended CONNECT (RFC 8441).
pub(super) fn opens_websocket(parts: &Parts) -> Option<bool> {
    if parts.version <= Version::HTTP_11 { by_upgrade(parts) } else { by_connect(parts) }
}

fn by_upgrade(parts: &Parts) -> Option<bool> {
    let headers = &parts.headers;
    if !lists(headers, UPGRADE, "websocket") {
        return Some(false);
    }
    let is_complete = parts.method == Method::GET
        && lists(headers, CONNECTION, "upgrade")
        && headers.get(SEC_WEBSOCKET_VERSION).is_some_and(|version| version == "13")
        && headers.contains_key(SEC_WEBSOCKET_KEY);
    is_complete.then_some(true)
}

#[cfg(feature = "http2")]
fn by_connect(parts: &Parts) -> Option<bool> {
    let protocol = parts.extensions.get::<hyper::ext::Protocol>();
    Some(parts.method == Method::CONNECT && protocol.is_some_and(|protocol| protocol.as_str() == "websocket"))
}

/// Returns the protocol of a CONNECT is known only with the feature `http2`.
#[cfg(not(feature = "http2"))]
fn by_connect(parts: &Parts) -> Option<bool> {
    if parts.method == Method::CONNECT { None } else { Some(false) }
}

/// Checks whether a field with a list of tokens contains a token.
fn lists(headers: &HeaderMap, name: HeaderName, token: &str) -> bool {
    let mut values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.any(|value| value.split(',').any(|listed| listed.trim().eq_ignore_ascii_case(token)))
}

/// Checks for a CORS preflight, which a browser sends before a request to another origin.
pub(crate) fn is_preflight(parts: &Parts) -> bool {
    let has = |name| parts.headers.contains_key(name);
    parts.method == Method::OPTIONS && has(ORIGIN) && has(ACCESS_CONTROL_REQUEST_METHOD)
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn opens(fields: &[(&str, &str)]) -> Option<bool> {
        let request = fields.iter().fold(Request::get("/"), |request, (name, value)| request.header(*name, *value));
        opens_websocket(&request.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn complete_upgrade_opens_a_websocket() {
        let rest = [("sec-websocket-version", "13"), ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")];
        for upgrade in [
            [("upgrade", "websocket"), ("connection", "upgrade")],
            [("upgrade", "h2c, WebSocket"), ("connection", "keep-alive, Upgrade")],
        ] {
            assert_eq!(opens(&[upgrade, rest].concat()), Some(true), "{upgrade:?}");
        }
    }

    #[test]
    fn incomplete_upgrade_is_unclear() {
        assert_eq!(opens(&[("upgrade", "websocket")]), None);
        assert_eq!(opens(&[("upgrade", "websocket"), ("connection", "upgrade"), ("sec-websocket-key", "x")]), None);
    }

    #[test]
    fn anything_else_does_not() {
        assert_eq!(opens(&[]), Some(false));
        assert_eq!(opens(&[("upgrade", "h2c"), ("connection", "upgrade")]), Some(false));
        assert_eq!(opens(&[("sec-websocket-key", "x"), ("sec-websocket-version", "13")]), Some(false));
    }

    #[test]
    #[cfg(feature = "http2")]
    fn over_http_2_a_connect_to_one_does() {
        let connect = |protocol: Option<&'static str>| {
            let mut request = Request::connect("https://example.com/chat").version(Version::HTTP_2).body(()).unwrap();
            if let Some(protocol) = protocol {
                request.extensions_mut().insert(hyper::ext::Protocol::from_static(protocol));
            }
            opens_websocket(&request.into_parts().0)
        };
        assert_eq!(connect(Some("websocket")), Some(true));
        assert_eq!(connect(Some("connect-udp")), Some(false));
        assert_eq!(connect(None), Some(false));
    }
}
