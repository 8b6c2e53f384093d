//! A path matches a pattern if a slow matcher says so. A path with several readings matches a rule more often than a
//! bypass. No pattern panics.

#![no_main]

use std::{
    convert::Infallible,
    pin::pin,
    task::{Context, Poll, Waker},
};

use axum::{
    body::Body,
    http::{Request, Response, Uri},
};
use libfuzzer_sys::fuzz_target;
use tower::{Layer, ServiceExt, service_fn};
use traffik::{
    Bypass, DefaultIdentity, MemoryBackend, Rate, Rule, Throttle, Traffik, test::RequestExt, throttle_layer,
    web::ThrottleLayer,
};

struct Probe;

impl Throttle for Probe {
    const UID: &'static str = "fuzz:paths";
    const RATE: Rate = Rate::literal("1_000_000_000/1000h");
    type Identity = DefaultIdentity;
}

/// Returns whether the throttle of a layer applies to a request for `path`, or `None` if the layer refuses its pattern.
fn applies(layer: ThrottleLayer<Probe>, path: &Uri) -> Option<bool> {
    let inner = service_fn(|_: Request<Body>| async { Ok::<_, Infallible>(Response::new(Body::empty())) });
    let app = Traffik::new(MemoryBackend::new("fuzz")).unwrap();
    let request = Request::get(path).body(Body::empty()).unwrap().with_peer("127.0.0.1:1");
    let answer = pin!(app.layer().layer(layer.layer(inner)).oneshot(request));
    let mut answer = answer;
    let Poll::Ready(Ok(response)) = answer.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("the layer was not ready on the first poll")
    };
    (response.status() == 200).then(|| response.headers().contains_key("ratelimit"))
}

/// Matches segments, of which `**` stands for any number.
fn matches(pattern: &[&str], path: &[&str]) -> bool {
    match pattern {
        [] => path.is_empty(),
        ["**", rest @ ..] => (0..=path.len()).any(|skipped| matches(rest, &path[skipped..])),
        [first, rest @ ..] => path
            .split_first()
            .is_some_and(|(name, path)| matches_segment(first.as_bytes(), name.as_bytes()) && matches(rest, path)),
    }
}

/// Matches a segment, in which `*` stands for any number of bytes.
fn matches_segment(pattern: &[u8], name: &[u8]) -> bool {
    match pattern {
        [] => name.is_empty(),
        [b'*', rest @ ..] => (0..=name.len()).any(|skipped| matches_segment(rest, &name[skipped..])),
        [first, rest @ ..] => name.first() == Some(first) && matches_segment(rest, &name[1..]),
    }
}

fn segments(path: &str) -> Vec<&str> {
    path.split('/').filter(|segment| !segment.is_empty()).collect()
}

/// Returns whether all servers read a path in the same way.
fn is_plain(path: &str) -> bool {
    let is_name = |name: &str| !matches!(name, "" | "." | "..") && !name.contains('%');
    path == "/" || path.starts_with('/') && path.split('/').skip(1).all(is_name)
}

/// Returns whether a pattern is written as clients send paths.
fn is_literal(pattern: &str) -> bool {
    pattern.is_ascii() && !pattern.contains(|c: char| c.is_ascii_control() || " \"<>^`%".contains(c))
}

// The first line is a pattern, the second a path.
fuzz_target!(|text: &str| {
    let (pattern, path) = text.split_once('\n').unwrap_or((text, "/"));
    let layer = throttle_layer::<Probe>;
    if path.len() > 200 || pattern.len() > 60 || pattern.matches('*').count() > 6 || !path.starts_with('/') {
        return;
    }
    let Ok(uri) = path.parse::<Uri>() else { return };
    let path = uri.path();

    let rule = applies(layer().rule::<Probe>(Rule::path(pattern)), &uri);
    let bypass = applies(layer().bypass::<Probe>(Bypass::path(pattern)), &uri).map(|applies| !applies);
    assert_eq!(rule.is_some(), bypass.is_some(), "{pattern:?}");
    let (Some(rule), Some(bypass)) = (rule, bypass) else { return };
    assert!(rule || !bypass, "{pattern:?} as a bypass matches {path:?}, and as a rule does not");

    let is_match = matches(&segments(pattern), &segments(path));
    let is_folder = pattern.len() > 1 && pattern.ends_with('/');
    if is_plain(path) && is_literal(pattern) {
        assert_eq!(rule, is_match, "{pattern:?} as a rule for {path:?}");
        // A bypass counts the slash at the end of its pattern.
        assert_eq!(bypass, is_match && !is_folder, "{pattern:?} as a bypass for {path:?}");
    } else if is_literal(pattern) && is_match {
        // Read as sent, without doubled slashes.
        assert!(rule, "{pattern:?} as a rule for {path:?}");
    }

    if let Some(below) = applies(layer().rule::<Probe>(Rule::prefix(pattern)), &uri)
        && is_plain(path)
        && is_literal(pattern)
    {
        assert_eq!(below, segments(path).starts_with(&segments(pattern)), "{pattern:?} as a prefix of {path:?}");
    }
});
