//! Who may call the router.

use axum::http::{Request, StatusCode, request::Parts};
use traffik::{
    Traffik,
    admin::{Guard, GuardError, Operator},
};

use super::{Api, Reply, Result, SECRET};
use crate::http::app::{builder, throttle};

throttle!(Guarded, "admin:guarded", "5/hour");

const PATH: &str = "/limits/admin:guarded";
const CHANGE: &str = r#"{"cost": 2}"#;

fn app() -> Result<Traffik> {
    Ok(builder().0.register::<Guarded>().build()?)
}

fn cost(traffik: &Traffik) -> Result<u64> {
    Ok(traffik.limit("admin:guarded")?.info()?.cost().value())
}

/// Finds the operator in a cookie, as a session would.
fn by_cookie(parts: &Parts) -> std::result::Result<Operator, StatusCode> {
    let cookie = parts.headers.get("cookie").and_then(|cookie| cookie.to_str().ok());
    match cookie.ok_or(StatusCode::UNAUTHORIZED)?.strip_prefix("session=").ok_or(StatusCode::UNAUTHORIZED)? {
        "guest" => Err(StatusCode::FORBIDDEN),
        "viewer" => Ok(Operator::new("viewer").read_only()),
        name => Ok(Operator::new(name)),
    }
}

async fn by_cookie_later(parts: &Parts) -> std::result::Result<Operator, StatusCode> {
    tokio::task::yield_now().await;
    by_cookie(parts)
}

/// Sends a change with headers.
async fn change_with(api: &Api, headers: &[(&str, &str)]) -> Result<StatusCode> {
    let mut request = Request::patch(format!("/admin{PATH}?scope=local"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Ok(api.send(request, CHANGE).await?.status())
}

#[tokio::test]
async fn request_without_the_token_is_a_401_at_every_path() -> Result {
    let traffik = app()?;
    let api = Api::behind(&traffik, Guard::bearer(SECRET)?);
    let wrong = ["0123456789abcdeF", "0123456789abcdef0", "0123456789abcde", ""].map(|token| api.with_token(token));
    for api in std::iter::once(&api).chain(&wrong) {
        for path in ["", "/limits", PATH, "/events", "/health", "/no-such-path"] {
            let reply = api.get(path).await?;
            assert_eq!(reply.problem(), (401, "send the token of an operator as `Authorization: Bearer <token>`"));
            assert_eq!(reply.header("www-authenticate"), Some("Bearer realm=\"traffik\""));
        }
        assert_eq!(api.patch(PATH, CHANGE).await?.status, 401);
        assert_eq!(api.patch("/limits", CHANGE).await?.status, 401);
    }
    assert_eq!(cost(&traffik)?, 1);
    Ok(())
}

#[tokio::test]
async fn token_is_found_in_any_case_of_its_scheme_and_only_once() -> Result {
    let traffik = app()?;
    let api = Api::behind(&traffik, Guard::bearer(SECRET)?);
    let ok = format!("Bearer {SECRET}");
    for (headers, status) in [
        (vec![("authorization", "bearer 0123456789abcdef")], 200),
        (vec![("authorization", "BEARER  0123456789abcdef ")], 200),
        (vec![("authorization", "Basic 0123456789abcdef")], 401),
        (vec![("authorization", SECRET)], 401),
        (vec![("authorization", ok.as_str()), ("authorization", ok.as_str())], 401),
        (vec![("cookie", ok.as_str())], 401),
    ] {
        assert_eq!(change_with(&api, &headers).await?, status, "{headers:?}");
    }
    Ok(())
}

#[test]
fn secret_that_is_short_or_no_token_is_an_error() -> Result {
    let text = |error: GuardError| error.to_string();
    for secret in ["", "0123456789abcde"] {
        let error = Guard::bearer(secret).map_err(text).err().unwrap_or_default();
        assert!(error.contains("set it to a value of at least 16"), "{error}");
    }
    for secret in ["0123456789abcdef\n", "0123456789 abcdef", "0123456789abcdéf"] {
        assert_eq!(Guard::bearer(secret).err(), Some(GuardError::Characters));
        assert!(GuardError::Characters.to_string().contains("trim it"));
    }
    assert!(!format!("{:?}", Guard::bearer(SECRET)?).contains(SECRET));
    Ok(())
}

#[tokio::test]
async fn operator_who_may_read_makes_no_change() -> Result {
    let traffik = app()?;
    let (reader, other) = (Operator::new("dashboard").read_only(), "fedcba9876543210");
    let guard = Guard::bearer(SECRET)?.or(Guard::bearer_of(reader, other)?);
    let api = Api::behind(&traffik, guard).with_token(other);
    let overview = api.get("").await?;
    assert_eq!(overview.body["operator"], serde_json::json!({ "name": "dashboard", "may_change": false }));
    let client = r#"{"client": "alice", "rate": "9/hour"}"#;
    assert_eq!(api.post(&format!("{PATH}/peek"), r#"{"client": "alice"}"#).await?.status, 200);
    assert_eq!(api.post("/health/check", "").await?.status, 200);
    let is_refused =
        |reply: &Reply| reply.problem() == (403, "the operator \"dashboard\" may read, and make no changes");
    for verb in [
        "disable",
        "enable",
        "clear",
        "block",
        "unblock",
        "exempt",
        "end-exemption",
        "override",
        "end-override",
        "reset",
    ] {
        for scope in ["local", "shared"] {
            let reply = api.post(&format!("{PATH}/{verb}?scope={scope}"), client).await?;
            assert!(is_refused(&reply), "{verb}: {reply:?}");
        }
    }
    assert!(is_refused(&api.patch(PATH, CHANGE).await?));
    for path in ["/disable-all", "/enable-all", "/clear-changes", "/limits-file/reload"] {
        assert!(is_refused(&api.post(path, "").await?), "{path}");
    }
    let info = traffik.limit("admin:guarded")?.info()?;
    assert_eq!((info.cost().value(), info.enabled().value(), info.clients()), (1, true, 0));
    assert_eq!(api.with_token(SECRET).patch(PATH, CHANGE).await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn function_lets_in_and_its_response_is_sent() -> Result {
    let traffik = app()?;
    for guard in [Guard::by(by_cookie), Guard::by_async(by_cookie_later)] {
        let api = Api::behind(&traffik, guard);
        for (cookie, status) in [("", 401), ("session=guest", 403), ("session=viewer", 200), ("session=dana", 200)] {
            let request = Request::get("/admin").header("cookie", cookie);
            let response = api.send(request, "").await?;
            assert_eq!(response.status(), status, "{cookie}");
            assert_eq!(response.headers()["cache-control"], "no-store");
        }
    }
    Ok(())
}

#[tokio::test]
async fn change_by_a_cookie_must_come_from_a_page_of_the_same_origin() -> Result {
    let traffik = app()?;
    let api = Api::behind(&traffik, Guard::by(by_cookie));
    let (session, own) = (("cookie", "session=dana"), ("x-traffik-admin", "1"));
    for headers in [
        vec![session],
        vec![session, own],
        vec![session, ("sec-fetch-site", "same-origin")],
        vec![session, own, ("sec-fetch-site", "same-site")],
        vec![session, own, ("sec-fetch-site", "cross-site")],
        vec![session, own, ("sec-fetch-site", "none")],
        vec![session, own, ("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")],
    ] {
        assert_eq!(change_with(&api, &headers).await?, 403, "{headers:?}");
    }
    assert_eq!(cost(&traffik)?, 1);
    // As a page over plain HTTP sends it.
    let plain = Request::patch(format!("/admin{PATH}")).header("cookie", "session=dana").header("x-traffik-admin", "1");
    let refused = api.reply(plain, CHANGE).await?;
    assert!(refused.problem().1.contains("only over HTTPS and on localhost"), "{refused:?}");
    let same_origin = ("sec-fetch-site", "same-origin");
    assert_eq!(change_with(&api, &[("cookie", "session=viewer"), own, same_origin]).await?, 403);
    assert_eq!(change_with(&api, &[session, own, same_origin]).await?, 200);
    assert_eq!(cost(&traffik)?, 2);
    Ok(())
}

#[tokio::test]
async fn page_of_another_site_reads_nothing_and_opens_no_stream() -> Result {
    let traffik = app()?;
    let api = Api::behind(&traffik, Guard::by(by_cookie));
    let get = |path: &str, sites: &[&str]| {
        let request = Request::get(format!("/admin{path}")).header("cookie", "session=dana");
        sites.iter().fold(request, |request, site| request.header("sec-fetch-site", *site))
    };
    for path in ["", PATH, "/events", "/no-such-path"] {
        for sites in [&["cross-site"][..], &["same-site"], &["SAME-ORIGIN"], &[""], &["same-origin", "cross-site"]] {
            let reply = api.reply(get(path, sites), "").await?;
            let (status, detail) = reply.problem();
            assert!(status == 403 && detail.contains("the page of another site"), "{path} {sites:?}: {reply:?}");
        }
    }
    for path in ["", "/events"] {
        // An address that the operator enters, a program, and a page of the same origin.
        for sites in [&["none"][..], &[], &["same-origin"]] {
            assert_eq!(api.send(get(path, sites), "").await?.status(), 200, "{path} {sites:?}");
        }
    }
    let any = Api::behind(&traffik, Guard::by(by_cookie).accept_any_origin());
    assert_eq!(any.send(get("/events", &["cross-site"]), "").await?.status(), 200);
    let token = Api::new(&traffik)?;
    assert_eq!(token.send(get("/events", &["cross-site"]), "").await?.status(), 200);
    Ok(())
}

#[tokio::test]
async fn login_on_another_site_redirects_back_to_any_page_but_the_stream() -> Result {
    let traffik = app()?;
    let api = Api::behind(&traffik, Guard::by(by_cookie));
    let (mode, dest) = (("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document"));
    let status = async |request: axum::http::request::Builder, headers: &[(&str, &str)]| -> Result<u16> {
        let request = request.header("cookie", "session=dana").header("sec-fetch-site", "cross-site");
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        Ok(api.send(request, "").await?.status().as_u16())
    };
    let page = || Request::get("/admin");
    for path in ["", "/limits", PATH, "/health"] {
        assert_eq!(status(Request::get(format!("/admin{path}")), &[mode, dest]).await?, 200, "{path}");
    }
    for path in ["/events", "/events?limit=admin:guarded"] {
        assert_eq!(status(Request::get(format!("/admin{path}")), &[mode, dest]).await?, 403, "{path}");
    }
    for headers in [
        vec![mode],
        vec![dest],
        vec![mode, ("sec-fetch-dest", "iframe")],
        vec![("sec-fetch-mode", "no-cors"), dest],
        vec![("sec-fetch-mode", "cors"), ("sec-fetch-dest", "empty")],
        vec![mode, dest, ("sec-fetch-dest", "iframe")],
    ] {
        assert_eq!(status(page(), &headers).await?, 403, "{headers:?}");
    }
    // A form of another site.
    let form = Request::post(format!("/admin{PATH}/disable"));
    assert_eq!(status(form, &[mode, dest, ("x-traffik-admin", "1")]).await?, 403);
    assert!(traffik.limit("admin:guarded")?.info()?.enabled().value());
    Ok(())
}

#[tokio::test]
async fn origin_is_checked_for_the_guard_that_lets_in() -> Result {
    let traffik = app()?;
    let api = Api::behind(&traffik, Guard::by(by_cookie).or(Guard::bearer(SECRET)?));
    assert_eq!(change_with(&api.with_token(SECRET), &[]).await?, 200);
    assert_eq!(change_with(&api.with_token(SECRET), &[("cookie", "session=dana")]).await?, 403);
    let any = Api::behind(&traffik, Guard::by(by_cookie).accept_any_origin());
    assert_eq!(change_with(&any, &[("cookie", "session=dana")]).await?, 200);
    Ok(())
}
