//! A library crate that declares throttles: under strict lints, with traffik under another name.

#![deny(
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    rust_2018_idioms,
    clippy::pedantic,
    clippy::nursery,
    clippy::unwrap_used,
    clippy::indexing_slicing
)]
#![forbid(unsafe_code)]

// The macros look for `::traffik`. This line does for a crate what the option `crate = limits` does for one attribute.
extern crate limits as traffik;

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    response::IntoResponse,
    routing::get,
};
use limits::{
    Client, Settings, Throttle,
    strategy::{SlidingWindowCounter, TokenBucket},
    throttled,
};

/// The state of the routes.
#[derive(Clone, Debug)]
pub struct Book;

/// The limit for all reads.
#[derive(Clone, Copy, Debug, Throttle)]
#[limit("guestbook:read", "100/min", strategy = SlidingWindowCounter, crate = limits)]
pub struct Reads;

/// Returns a page.
#[throttled(Reads)]
pub async fn page(Path(page): Path<u64>) -> String {
    page.to_string()
}

/// Searches the book, the slowest route.
#[throttled("guestbook:search", "1000/hour", strategy = TokenBucket::new().burst(50), cost = 5)]
#[throttled("guestbook:search:burst", "100/s", settings = by_reader)]
#[allow(clippy::unused_async)]
pub async fn search(State(_): State<Book>, Query(_words): Query<Vec<(String, String)>>) -> impl IntoResponse {
    Json(["found"])
}

/// The most arguments that clippy's pedantic lints allow, before the attribute adds one.
#[throttled("guestbook:seven", "2/min", crate = limits)]
#[axum::debug_handler(state = Book)]
async fn seven(
    State(_a): State<Book>,
    State(_b): State<Book>,
    State(_c): State<Book>,
    State(_d): State<Book>,
    State(_e): State<Book>,
    State(_f): State<Book>,
    State(_g): State<Book>,
) -> &'static str {
    std::future::ready("seven").await
}

fn by_reader(settings: Settings) -> Settings {
    settings.identity(|parts| {
        let reader = parts.headers.get("x-reader").and_then(|reader| reader.to_str().ok());
        Client::from(reader.unwrap_or_default().to_owned())
    })
}

/// A type with handlers.
#[derive(Clone, Copy, Debug)]
pub struct Pages;

impl Pages {
    /// Returns all pages.
    #[throttled(Reads)]
    pub async fn list() -> &'static str {
        std::future::ready("1 2 3").await
    }
}

/// Returns the routes.
pub fn routes() -> Router {
    /// A handler inside a function.
    #[throttled("guestbook:inside", "3/min")]
    async fn inside() -> &'static str {
        std::future::ready("inside").await
    }

    Router::new()
        .route("/pages/{page}", get(page))
        .route("/pages", get(Pages::list))
        .route("/search", get(search))
        .route("/seven", get(seven))
        .route("/inside", get(inside))
        .with_state(Book)
}
