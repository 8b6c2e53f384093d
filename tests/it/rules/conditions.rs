//! Conditions of rules, alone and combined.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::{
    body::Body,
    http::{HeaderValue, Method, Request, Version, request::Parts},
};
use traffik::{Bypass, Rule, throttle_layer, web::ThrottleLayer};

use super::probe::{Probe, applies, bypass_skips, get, rule_lets_apply};

fn layer() -> ThrottleLayer<Probe> {
    throttle_layer::<Probe>()
}

fn with_method(method: Method) -> Request<Body> {
    let mut request = get("/a");
    *request.method_mut() = method;
    request
}

#[test]
fn several_rules_match_only_together() {
    let layer = layer().rule::<Probe>(Rule::prefix("/a")).rule::<Probe>(Rule::path("/**/z"));
    assert_eq!(["/a/z", "/a", "/z"].map(|path| applies(&layer, get(path))), [true, false, false]);
}

#[test]
fn or_rule_matches_if_one_part_does() {
    let rule = || Rule::path("/a").or(Rule::path("/b").and(Rule::methods([Method::GET])));
    assert_eq!(["/a", "/b", "/c"].map(|path| rule_lets_apply(rule(), path)), [true, true, false]);
}

#[test]
fn one_bypass_overrides_all_rules() {
    let layer = layer()
        .rule::<Probe>(Rule::prefix("/a"))
        .bypass::<Probe>(Bypass::path("/a/x"))
        .bypass::<Probe>(Bypass::path("/a/y"));
    assert_eq!(["/a/x", "/a/y", "/a/z"].map(|path| applies(&layer, get(path))), [false, false, true]);
    let both = || Bypass::prefix("/a").and(Bypass::when(|parts| parts.uri.query().is_some()));
    assert_eq!(["/a", "/a?q", "/b?q"].map(|path| bypass_skips(both(), path)), [false, true, false]);
}

#[test]
fn head_matches_get_in_rules_and_not_in_bypasses() {
    let of = |layer: ThrottleLayer<Probe>| {
        [Method::GET, Method::HEAD, Method::POST].map(|method| applies(&layer, with_method(method)))
    };
    assert_eq!(of(layer().rule::<Probe>(Rule::methods([Method::GET]))), [true, true, false]);
    assert_eq!(of(layer().bypass::<Probe>(Bypass::methods([Method::GET]))), [false, true, true]);
    assert_eq!(of(layer().rule::<Probe>(Rule::methods([Method::HEAD]))), [false, true, false]);
}

/// Returns a request with some or all of the fields of a handshake.
fn handshake(fields: usize) -> Request<Body> {
    let all = [
        ("upgrade", "WebSocket"),
        ("connection", "keep-alive, Upgrade"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let some = all.into_iter().take(fields);
    let mut request = get("/chat");
    for (name, value) in some {
        request.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    request
}

#[test]
fn incomplete_websocket_handshake_matches_rules_of_either_kind() {
    let of = |layer: ThrottleLayer<Probe>| [0, 1, 3, 4].map(|fields| applies(&layer, handshake(fields)));
    assert_eq!(of(layer().rule::<Probe>(Rule::websocket())), [false, true, true, true]);
    assert_eq!(of(layer().rule::<Probe>(Rule::http())), [true, true, true, false]);
    assert_eq!(of(layer().bypass::<Probe>(Bypass::websocket())), [true, true, true, false]);
    assert_eq!(of(layer().bypass::<Probe>(Bypass::http())), [false, true, true, true]);
}

#[test]
fn http_2_handshake_is_a_connect_to_websocket() {
    let connect = || {
        let mut request =
            Request::connect("https://example.com/chat").version(Version::HTTP_2).body(Body::empty()).unwrap();
        request.extensions_mut().insert(hyper::ext::Protocol::from_static("websocket"));
        request
    };
    assert!(applies(&layer().rule::<Probe>(Rule::websocket().and(Rule::path("/chat"))), connect()));
    assert!(!applies(&layer().rule::<Probe>(Rule::http()), connect()));
}

#[test]
fn target_in_any_form_has_a_path() {
    let layer = layer().rule::<Probe>(Rule::path("/a"));
    assert!(applies(&layer, get("http://example.com/a?b")));
    assert!(!applies(&layer, get("http://example.com")));

    let everything = || throttle_layer::<Probe>().rule::<Probe>(Rule::path("/**"));
    let nothing_past = || throttle_layer::<Probe>().bypass::<Probe>(Bypass::path("/**"));
    for (method, target) in [(Method::OPTIONS, "*"), (Method::CONNECT, "example.com:443")] {
        let request = || Request::builder().method(&method).uri(target).body(Body::empty()).unwrap();
        assert!(applies(&everything(), request()) && applies(&nothing_past(), request()), "{target}");
    }
}

#[test]
fn letter_case_and_encoded_data_distinguish_paths() {
    assert!(!rule_lets_apply(Rule::path("/api"), "/API"));
    assert!(rule_lets_apply(Rule::path("/files/*"), "/files/a%2Fb"));
    assert!(rule_lets_apply(Rule::path("/files/a/b"), "/files/a%2Fb"));
    assert!(!bypass_skips(Bypass::path("/files/*"), "/files/a%2Fb"));
    assert!(bypass_skips(Bypass::path("/files/größe"), "/files/gr%C3%B6%C3%9Fe"));
    assert!(!bypass_skips(Bypass::path("/health"), "/he%61lth"));
    assert!(!bypass_skips(Bypass::path("/health"), "/health/") && bypass_skips(Bypass::path("/health/"), "/health/"));
}

#[test]
fn regex_matches_a_part_in_rules_and_the_whole_path_in_bypasses() {
    let paths = ["/v1/users", "/x/v1/users", "/v1/users/7"];
    assert_eq!(paths.map(|path| rule_lets_apply(Rule::regex(r"/v\d+/users"), path)), [true, true, true]);
    assert_eq!(paths.map(|path| rule_lets_apply(Rule::regex(r"^/v\d+/users$"), path)), [true, false, false]);
    assert_eq!(paths.map(|path| bypass_skips(Bypass::regex(r"/v\d+/users"), path)), [true, false, false]);
    assert_eq!(paths.map(|path| bypass_skips(Bypass::regex(r"/v1/users|/x"), path)), [true, false, false]);
}

/// A long path on which a backtracking matcher would not finish.
#[test]
fn long_path_is_matched_quickly() {
    let path = "/a".repeat(30_000);
    for pattern in ["/**/a/**/a/**/a/**/a/**/b", "/**/*a*a*a*a*a*b/**", "/**/a/a/a/a/a/a/b"] {
        assert!(!rule_lets_apply(Rule::path(pattern), &path), "{pattern}");
    }
    let name = format!("/{}", "a".repeat(60_000));
    assert!(!rule_lets_apply(Rule::path("/*a*a*a*a*a*a*a*a*b"), &name));
    assert!(!rule_lets_apply(Rule::regex(r"^/(a+)+b$"), &name));
    assert!(rule_lets_apply(Rule::path("/b"), &format!("{}/b", "/a/..".repeat(10_000))));
}

/// A function that counts its calls, and its answer.
fn counting(answer: bool) -> (impl Fn(&Parts) -> bool + Send + Sync + 'static, Arc<AtomicUsize>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&calls);
    (
        move |_: &Parts| {
            counter.fetch_add(1, Ordering::SeqCst);
            answer
        },
        calls,
    )
}

#[test]
fn cheap_conditions_are_checked_first_in_any_order() {
    let (function, calls) = counting(true);
    let layer = layer().rule::<Probe>(Rule::when(function).and(Rule::methods([Method::POST])).and(Rule::path("/b")));
    assert!(!applies(&layer, get("/b")) && !applies(&layer, with_method(Method::POST)));
    assert_eq!(calls.load(Ordering::SeqCst), 0);
    let mut request = get("/b");
    *request.method_mut() = Method::POST;
    assert!(applies(&layer, request));
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[test]
fn async_function_is_called_only_if_other_rules_leave_it_open() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&calls);
    let is_asked = Rule::async_when(move |parts: &Parts| {
        counter.fetch_add(1, Ordering::SeqCst);
        let holds = parts.headers.contains_key("x-hit");
        async move { holds }
    });
    let layer = layer().rule::<Probe>(is_asked).rule::<Probe>(Rule::prefix("/a")).bypass::<Probe>(Bypass::path("/a/b"));
    let hit = || {
        let mut request = get("/a");
        request.headers_mut().insert("x-hit", "1".parse().unwrap());
        request
    };
    assert!(!applies(&layer, get("/b")) && !applies(&layer, get("/a/b")));
    assert_eq!(calls.load(Ordering::SeqCst), 0);
    assert!(!applies(&layer, get("/a")) && applies(&layer, hit()));
    assert_eq!(calls.load(Ordering::SeqCst), 2);
}

#[test]
fn async_function_is_not_called_if_a_later_rule_settles_it() {
    let calls = Arc::new(AtomicUsize::new(0));
    let is_asked = || {
        let counter = Arc::clone(&calls);
        Rule::async_when(move |_: &Parts| {
            counter.fetch_add(1, Ordering::SeqCst);
            async { true }
        })
    };
    let layer =
        layer().rule::<Probe>(is_asked().or(Rule::path("/x"))).rule::<Probe>(is_asked().and(Rule::prefix("/a")));
    assert!(!applies(&layer, get("/b")) && calls.load(Ordering::SeqCst) == 0);
    assert!(applies(&layer, get("/a")) && calls.load(Ordering::SeqCst) == 2);
}

#[test]
fn async_functions_are_combined_like_others() {
    let says = |answer: bool| Rule::async_when(move |_: &Parts| async move { answer });
    for (one, other) in [(true, true), (true, false), (false, true), (false, false)] {
        assert_eq!(rule_lets_apply(says(one).and(says(other)), "/a"), one && other);
        assert_eq!(rule_lets_apply(says(one).or(says(other)), "/a"), one || other);
        assert_eq!(rule_lets_apply(says(one).and(says(other).or(Rule::path("/a"))), "/a"), one);
    }
    let says = |answer: bool| Bypass::async_when(move |_: &Parts| async move { answer });
    assert!(bypass_skips(says(true), "/a") && !bypass_skips(says(false), "/a"));
}
