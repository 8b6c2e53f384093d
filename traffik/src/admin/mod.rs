//! Changing limits over HTTP: a router with everything that [`control`](crate::control) can do. Requires the feature `admin`.
//!
//! ```
//! use axum::{Router, routing::get};
//! use traffik::{MemoryBackend, Traffik, admin::{self, Guard}};
//!
//! # let secret = "0123456789abcdef0123456789abcdef";
//! let traffik = Traffik::new(MemoryBackend::new("myapp"))?;
//! let app: Router = Router::new()
//!     .route("/", get(|| async { "hello" }))
//!     .layer(traffik.layer())
//!     // After the layers that throttle, so that no limit keeps an operator out.
//!     .nest("/limits-admin", admin::router(&traffik, Guard::bearer(secret)?));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! ```text
//! curl -H "authorization: Bearer $SECRET" localhost:3000/limits-admin/limits
//! curl -H "authorization: Bearer $SECRET" -X PATCH --json '{"rate": "20/min"}' localhost:3000/limits-admin/limits/search
//! ```
//!
//! # Endpoints
//!
//! | method | path | body | answer |
//! |---|---|---|---|
//! | GET | `/` | | everything that a page shows first: see [below](#the-first-answer) |
//! | GET | `/limits` | | an array of [`LimitInfo`] |
//! | GET | `/limits/{uid}` | | a [`LimitInfo`] |
//! | PATCH | `/limits/{uid}` | a [`Change`]: some of `rate`, `cost`, `enabled`, `dry_run` | the [limit](#changes) |
//! | PUT | `/limits/{uid}` | a [new limit](#limits-as-values) | the limit, in this process |
//! | DELETE | `/limits/{uid}` | | the `uid` of a limit as a value, which was removed in this process |
//! | POST | `/limits/{uid}/disable` | `for`, or nothing | the limit |
//! | POST | `/limits/{uid}/enable` | | the limit |
//! | POST | `/limits/{uid}/clear` | `setting`, or nothing for all | the limit |
//! | GET | `/limits/{uid}/clients` | | an array of [`ClientInfo`] |
//! | POST | `/limits/{uid}/block` | `client`, and perhaps an [end](#values) and a `reason` | the [client](#changes) |
//! | POST | `/limits/{uid}/unblock` | `client` | the client |
//! | POST | `/limits/{uid}/exempt` | `client`, and perhaps an end | the client |
//! | POST | `/limits/{uid}/end-exemption` | `client` | the client |
//! | POST | `/limits/{uid}/override` | `client`, `rate`, and perhaps an end | the client |
//! | POST | `/limits/{uid}/end-override` | `client` | the client |
//! | POST | `/limits/{uid}/peek` | `client` | `limit`, how the client stands (a [`Limit`](crate::Limit)), and `clients`, its changes |
//! | POST | `/limits/{uid}/reset` | `client` | the same, after what is stored for the client was deleted |
//! | POST | `/disable-all`, `/enable-all` | | the [limits](#changes) |
//! | POST | `/clear-changes` | | the limits, without the local changes of settings |
//! | POST | `/refresh` | | an array of [`LimitInfo`], after the shared changes were read |
//! | GET | `/health` | | the [health](crate::health) of the backends, as their last calls showed |
//! | POST | `/health/check` | | the same, after each backend was asked |
//! | GET | `/limits-file` | | the state of the limits file (feature `file`) |
//! | POST | `/limits-file/reload` | | the same, after the file was loaded |
//! | GET | `/events` | | a [stream](#events) of events |
//!
//! The paths follow the one at which the router is nested, and `/` is that path without a slash at its end.
//!
//! A uid in a path is percent-encoded where it has a `/`, `?`, `#` or `%`. A body is JSON with `Content-Type: application/json`
//! and at most 16 KiB. An unknown key is an error, also in the query of a change. All answers are JSON with
//! `Cache-Control: no-store`.
//!
//! Operators who may not make changes can use all `GET`, and `peek`, `refresh` and `health/check`.
//!
//! # Changes
//!
//! `?scope=shared`, the default, changes a limit in [all processes](crate::control::Shared), whichever of them the request
//! reaches. `?scope=local` changes this process alone. `PATCH`, `disable`, `enable`, `clear`, `block`, `unblock`, `exempt`,
//! `end-exemption`, `override`, `end-override`, `disable-all` and `enable-all` have a scope. A local change is
//! [stronger](crate::control#sources) than a shared one.
//!
//! The answer has the `scope`, `outlives_restart`, and what changed:
//!
//! - `limit`, a [`LimitInfo`];
//! - for all limits `limits`, an array of them;
//! - for a client `uid` and `clients`, an array with a [`ClientInfo`] for each source that has changes for it.
//!
//! | change | `outlives_restart` |
//! |---|---|
//! | local | `false` |
//! | shared, on Redis | `true` |
//! | shared, with a backend in memory | `false` |
//! | in the limits file | the file does |
//!
//! Several settings in one `PATCH` are one change, which no decision of this process sees in part. In all processes each setting
//! is stored by itself. A change is made also if the client disconnects.
//!
//! # Limits as values
//!
//! `PUT /limits/{uid}` adds a limit, or replaces one, as [`Traffik::replace_limit`] does. The body has `rate`, and perhaps `cost`,
//! `dry_run`, `strategy`, `penalty` and `fields`, each as in a table `[new."uid"]` of the limits file. What the body does not have
//! is as for a new limit. So a `PUT` on a limit that the program added ends its strategy, backend, identity, rules and outage policy,
//! and all other settings of the program. `PATCH` changes its rate or cost, and keeps the rest. `DELETE` removes a limit as
//! [`Traffik::remove_limit`] does. Both change this process alone and do not outlive a restart. For a throttle, or a limit of the
//! file, they are a 409.
//!
//! # Backends
//!
//! `peek` and `reset` of a limit whose requests [choose](crate::Settings::backend_of) a backend act in the one that `?backend=`
//! names. Without it `reset` acts in all of them, and `peek` is a 422.
//!
//! # Values
//!
//! Values are as in the limits file:
//!
//! | value | form |
//! |---|---|
//! | rate | a text such as `"20/min"` |
//! | cost | an integer, from 0 on |
//! | `for` | a duration, such as `"90s"`, `"10m"` or `"1h 30m"` |
//! | `until` | a moment with its offset, such as `"2030-01-31T18:00:00Z"`. Without `for` and `until` a change for a client lasts until it is removed. An end that has passed is an error |
//! | `client` | an address, a number, a name, or several parts with `/` between them. Quotes make a text of what would be something else: `"\"42\""`. See [`Key`](crate::client::Key) |
//! | `setting` | `"rate"`, `"cost"`, `"enabled"`, `"dry_run"` or `"rules"` |
//!
//! The address of a client becomes the network that the app counts by. But
//! `203.0.113.0/24` is a client with two parts, an address and a number, and no network. A secret client cannot be written. Lists
//! show it as `[secret]`, with its digest.
//!
//! In answers a duration is an integer, with its unit in the name: `ends_in_ms`, `retry_after_ms`, `duration_us`. Moments are
//! texts in UTC.
//!
//! # The first answer
//!
//! `GET /` returns an object with
//!
//! | field | contents |
//! |---|---|
//! | `namespace` | the namespace of the app's own backend |
//! | `disabled` | `true` if the app admits everything: see [`Traffik::disabled`] |
//! | `operator` | `name` and `may_change` |
//! | `outlives_restart` | `local`, `shared` and `file`: whether changes of each source outlive a restart |
//! | `limits` | an array of [`LimitInfo`] |
//! | `health` | the [health](crate::health) of the backends |
//! | `limits_file` | the state of the limits file, or null |
//! | `lost_settlements` | [`Traffik::lost_settlements`] |
//!
//! # Events
//!
//! `GET /events` is a stream of server-sent events. Each has JSON as its data:
//!
//! | event | data |
//! |---|---|
//! | `decision` | an [event](crate::observe::Event): `at`, `uid`, `outcome`, `decided_by`, `backend`, `rate`, `cost`, `remaining`, `retry_after_ms`, `duration_us`, `enforced`, `near`, `client` |
//! | `changed` | an empty object, after limits were added, changed or removed, or clients were changed, by any source: list them again |
//! | `limits_file` | the state of the limits file, after it was read |
//! | `lost` | `count`: the number of events that the client did not read in time |
//!
//! The client of a decision is the digest of the [log of refusals](crate::TraffikBuilder::log_secret), or null. `?limit=` selects
//! the decisions of one uid, and `?outcome=` those of one outcome, such as `refused`.
//!
//! Events are those of this process. No decision waits for a client: one that is more than 1024 events behind loses the oldest.
//! At most 16 streams are open in an app. A comment is sent every 15 seconds. While no stream is open, no event is made for them.
//! A stream ends when the client disconnects and with [`Traffik::close_event_streams`].
//!
//! # Errors
//!
//! Errors are problem details (RFC 9457), and their `detail` says what to change.
//!
//! | status | cause |
//! |---|---|
//! | 400 | the body is not JSON, or the query is wrong |
//! | 401 | the guard does not know the operator |
//! | 403 | the operator may not make changes, or another site may have caused the request: see [`Guard`] |
//! | 404 | there is no such limit, path or limits file |
//! | 405 | the path has other methods |
//! | 409 | a limit is to be added or removed that is no value: a throttle, or a limit of the file |
//! | 413, 415 | the body is too large, or not declared as JSON |
//! | 422 | a value is wrong: a rate that cannot be parsed or that the strategy does not support, an unknown key, an invalid limits file |
//! | 503 | the backend does not answer, too many streams are open, or the app is closing |
//!
//! # Log
//!
//! Each change is a line with the target `traffik::admin`: at `INFO`, or at `WARN` if it failed. Its fields are `operator`,
//! `uid`, `change`, `value` (what the operator set), `scope`, `client` (a digest), and `from` and `to`, which were in force before
//! and after. Reasons of blocks are not logged. Requests that the guard does not let in are at most one `WARN` a second, with
//! the `status` of the response.

mod app;
mod clients;
mod endpoint;
mod events;
mod gate;
mod guard;
mod limits;
#[cfg(feature = "file")]
mod limits_file;

use std::sync::Arc;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::{Method, StatusCode},
    middleware::from_fn_with_state,
    routing::{get, post},
};

use self::endpoint::Problem;
pub use self::guard::{AsyncGuard, Guard, GuardError, Operator};
#[cfg(doc)]
use crate::control::{Change, ClientInfo, LimitInfo};
use crate::{engine::Traffik, observe::LogThrottle};

/// The target of the log.
const TARGET: &str = "traffik::admin";

/// The largest body of a request, in bytes.
const MAX_BODY: usize = 16 * 1024;

/// What all requests share.
#[derive(Debug)]
struct Admin {
    traffik: Traffik,
    guard: Guard,
    rejections: LogThrottle,
}

/// Returns a router that shows and changes the limits of an app to operators that the guard lets in. See the
/// [module](self) for its endpoints.
///
/// Add it to an app with [`Router::nest`], after the layers that throttle. In an app with a state, add
/// `admin::router(&traffik, guard).with_state(())`.
pub fn router(traffik: &Traffik, guard: Guard) -> Router {
    // This process reads shared changes from now on.
    let _ = traffik.shared();
    let admin = Arc::new(Admin { traffik: traffik.clone(), guard, rejections: LogThrottle::default() });
    let of_limit = Router::new()
        .route("/", get(limits::one).patch(limits::change).put(limits::put).delete(limits::remove))
        .route("/disable", post(limits::disable))
        .route("/enable", post(limits::enable))
        .route("/clear", post(limits::clear))
        .route("/clients", get(limits::clients))
        .route("/block", post(clients::block))
        .route("/unblock", post(clients::unblock))
        .route("/exempt", post(clients::exempt))
        .route("/end-exemption", post(clients::end_exemption))
        .route("/override", post(clients::override_rate))
        .route("/end-override", post(clients::end_override))
        .route("/peek", post(clients::peek))
        .route("/reset", post(clients::reset));
    let router = Router::new()
        .route("/", get(app::overview))
        .route("/limits", get(limits::list))
        .nest("/limits/{uid}", of_limit)
        .route("/disable-all", post(limits::disable_all))
        .route("/enable-all", post(limits::enable_all))
        .route("/clear-changes", post(limits::clear_changes))
        .route("/refresh", post(app::refresh))
        .route("/health", get(app::health))
        .route("/health/check", post(app::check_health))
        .route("/events", get(events::events));
    #[cfg(feature = "file")]
    let router =
        router.route("/limits-file", get(limits_file::show)).route("/limits-file/reload", post(limits_file::reload));
    router
        .fallback(async || {
            Problem::new(StatusCode::NOT_FOUND, "there is no such path: see the documentation of traffik::admin")
        })
        .method_not_allowed_fallback(async |method: Method| {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, format!("the path has no method {method}"))
        })
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(from_fn_with_state(Arc::clone(&admin), gate::gate))
        .with_state(admin)
}
