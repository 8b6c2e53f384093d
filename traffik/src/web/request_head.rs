//! What a rejection keeps of its request.

use std::sync::Arc;

use axum::http::{
    HeaderMap, Method, Request,
    header::{ACCEPT, CONTENT_TYPE},
    request::Parts,
};

/// What a rejection keeps of its request.
#[derive(Clone, Debug, Default)]
pub(super) struct RequestHead {
    pub(super) format: ResponseFormat,
    pub(super) is_head: bool,
    /// `None` if no responder of the application may read it.
    request: Option<Arc<Request<()>>>,
}

impl RequestHead {
    /// Reads how to respond. Copies the request if a responder of the application may read it.
    pub(super) fn of(parts: &Parts, has_responder: bool) -> Self {
        Self {
            format: format_of(&parts.headers),
            is_head: parts.method == Method::HEAD,
            request: has_responder.then(|| Arc::new(copy(parts))),
        }
    }

    pub(super) fn request(&self) -> Option<&Request<()>> {
        self.request.as_deref()
    }
}

/// Copies everything except the extensions.
fn copy(parts: &Parts) -> Request<()> {
    let mut request = Request::new(());
    *request.method_mut() = parts.method.clone();
    *request.uri_mut() = parts.uri.clone();
    *request.version_mut() = parts.version;
    *request.headers_mut() = parts.headers.clone();
    request
}

/// The format of the default response to a rejected request, by what the client accepts.
///
/// A [`Responder`](crate::Responder) can make its own response in one format, and leave the others to
/// [`DefaultResponder`](crate::web::DefaultResponder):
///
/// ```
/// use axum::response::{Html, IntoResponse, Response};
/// use traffik::{Limited, Responder, web::{DefaultResponder, ResponseFormat}};
///
/// struct Pages;
///
/// impl Responder for Pages {
///     fn limited(&self, limited: &Limited) -> Response {
///         match limited.format() {
///             ResponseFormat::Html => (limited.status(), Html("<h1>Please slow down</h1>")).into_response(),
///             _ => DefaultResponder.limited(limited),
///         }
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResponseFormat {
    /// Problem details in JSON, for every client that does not ask for another format.
    #[default]
    Json,
    /// A page, for clients whose `Accept` prefers `text/html` over JSON.
    Html,
    /// A status of gRPC, for requests whose content type begins with `application/grpc`.
    #[non_exhaustive]
    Grpc {
        /// The content type of the response: `application/grpc`, `application/grpc-web` or `application/grpc-web-text`.
        content_type: &'static str,
    },
}

/// The content types of gRPC. One that begins with an earlier one comes before it.
const GRPC: [&str; 3] = ["application/grpc-web-text", "application/grpc-web", "application/grpc"];

fn format_of(headers: &HeaderMap) -> ResponseFormat {
    match headers.get(CONTENT_TYPE).and_then(|content_type| grpc_type(content_type.as_bytes())) {
        Some(content_type) => ResponseFormat::Grpc { content_type },
        None if prefers_html(headers) => ResponseFormat::Html,
        None => ResponseFormat::Json,
    }
}

fn grpc_type(content_type: &[u8]) -> Option<&'static str> {
    let begins_with =
        |kind: &&str| content_type.get(..kind.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(kind.as_bytes()));
    GRPC.into_iter().find(begins_with)
}

/// A quality value in thousandths.
type Quality = u16;

/// Returns whether the client prefers HTML over JSON. Without a preference, it gets JSON.
///
/// At the same quality, a type that is named precedes one that only a wildcard includes, as in `text/html, */*`.
fn prefers_html(headers: &HeaderMap) -> bool {
    let html = quality_of("text", "html", headers);
    // Clients that read JSON rarely name problem details.
    let json = quality_of("application", "problem+json", headers).max(quality_of("application", "json", headers));
    html.0 > 0 && html > json
}

/// Returns the quality of a media type, which is that of the most specific range, and the specificity. Without a range both
/// are 0.
fn quality_of(kind: &str, subtype: &str, headers: &HeaderMap) -> (Quality, u8) {
    let lines = headers.get_all(ACCEPT).into_iter();
    let ranges = lines.flat_map(|line| split_unquoted(line.as_bytes(), b',')).filter_map(MediaRange::parse);
    let matching = ranges.filter_map(|range| Some((range.specificity(kind, subtype)?, range.quality)));
    matching.max().map_or((0, 0), |(specificity, quality)| (quality, specificity))
}

/// A range of media types. Parameters other than the quality are ignored: no response has any that a client could choose.
struct MediaRange<'a> {
    kind: &'a [u8],
    subtype: &'a [u8],
    quality: Quality,
}

impl<'a> MediaRange<'a> {
    fn parse(text: &'a [u8]) -> Option<Self> {
        let mut parts = split_unquoted(text, b';').map(<[u8]>::trim_ascii);
        let (kind, subtype) = split_once(parts.next()?, b'/')?;
        let weight = parts.find_map(|parameter| match split_once(parameter, b'=')? {
            (name, value) if name.eq_ignore_ascii_case(b"q") => Some(value),
            _ => None,
        });
        // A range with an invalid quality is ignored.
        let quality = weight.map_or(Some(1000), quality)?;
        Some(Self { kind, subtype, quality })
    }

    /// Returns how precisely the range names a media type, or `None` if it does not include it.
    fn specificity(&self, kind: &str, subtype: &str) -> Option<u8> {
        let is = |range: &[u8], name: &str| range.eq_ignore_ascii_case(name.as_bytes());
        match (self.kind, self.subtype) {
            (b"*", b"*") => Some(0),
            (range, b"*") if is(range, kind) => Some(1),
            (range, subrange) if is(range, kind) && is(subrange, subtype) => Some(2),
            _ => None,
        }
    }
}

/// Returns a quality value: `0` or `1`, with at most three decimal places.
fn quality(value: &[u8]) -> Option<Quality> {
    let (&whole, rest) = value.split_first()?;
    let decimals = match rest {
        [] => rest,
        [b'.', decimals @ ..] if decimals.len() <= 3 => decimals,
        _ => return None,
    };
    let digits = std::iter::once(&whole).chain(decimals).chain(b"000".iter().skip(decimals.len()));
    let thousandths = digits.map(|digit| digit.is_ascii_digit().then(|| Quality::from(digit - b'0')));
    let thousandths = thousandths.reduce(|all, digit| Some(all? * 10 + digit?))?;
    thousandths.filter(|&quality| quality <= 1000)
}

fn split_once(text: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let mut parts = text.splitn(2, |&byte| byte == separator);
    Some((parts.next()?, parts.next()?))
}

/// Returns the texts between separators that are not within quotes (RFC 9110, section 5.6).
pub(super) fn split_unquoted(line: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    line.split(move |&byte| {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            byte if byte == separator => return !is_quoted,
            _ => {}
        }
        false
    })
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn accepts_html(lines: &[&'static str]) -> bool {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(ACCEPT, HeaderValue::from_static(line));
        }
        prefers_html(&headers)
    }

    #[test]
    fn page_is_for_clients_that_prefer_html() {
        for accept in [
            "text/html",
            "TEXT/HTML",
            "text/*",
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
            "text/html, */*; q=0.01",
            "text/html, application/xhtml+xml, */*",
            "text/html;charset=utf-8;q=0.5, application/json;q=0.4",
            "application/json;q=0.5,text/html;q=0.501",
            "text/html;q=1.000 , application/*;Q=0.999",
            "*/*;q=0.1, text/html;q=0.2",
            "application/problem+json;q=0, application/json;q=0, */*",
            r#"x/y;z=", application/json", text/html"#,
        ] {
            assert!(accepts_html(&[accept]), "{accept}");
        }
        assert!(accepts_html(&["application/json;q=0.5", "text/html"]), "several lines are one");
    }

    #[test]
    fn everyone_else_gets_json() {
        for accept in [
            "",
            "*/*",
            "text/plain",
            "application/json",
            "application/json, text/plain, */*",
            "application/json, text/javascript, */*; q=0.01",
            "text/html, application/json",
            "text/html;q=0.5, application/*",
            "text/html;q=0.8, application/json;q=0.5, */*;q=0.9",
            "text/html;q=0",
            "text/html;q=0, application/json;q=0, */*;q=0",
            "text/*, application/*",
            "text/html;q=2",
            "text/html;q=0.5000",
            "text/html;q=",
            "text/html;q=.5",
            "text/html;q=1.001",
            "text/html;q=1;q=0.5, application/json",
            "text/*, text/html;q=0",
            "text",
            "/, ;q=1, text/html/x",
            r#"x/y;z=", text/html"#,
        ] {
            assert!(!accepts_html(&[accept]), "{accept}");
        }
        assert!(!accepts_html(&[]));
    }
}
