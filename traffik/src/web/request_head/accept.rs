//! The field `Accept` (RFC 9110, section 12.5.1).

use axum::http::{HeaderMap, header::ACCEPT};

use crate::web::unquoted::split_unquoted;

/// A quality value in thousandths.
type Quality = u16;

/// Returns whether the client prefers HTML over JSON. Without a preference, it gets JSON.
///
/// At the same quality, a type that is named precedes one that only a wildcard includes, as in `text/html, */*`.
pub(super) fn prefers_html(headers: &HeaderMap) -> bool {
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
