//! Identities: users by a verified token, or else by address; customers by a secret key, with our own services exempt; teams,
//! by an extractor that looks them up in the app's state.
//!
//! ```text
//! cargo run --example identities -- --demo        # sends requests to itself, prints the responses, and stops
//!
//! export TOKEN_SECRET=.. CUSTOMER_KEY=.. INTERNAL_KEY=..
//! cargo run --example identities                  # serves on 127.0.0.1:3000
//! cargo run --example identities -- --port 8080   # or on another port
//! ```

mod caller;
mod demo;
mod keys;
#[path = "../common/shutdown.rs"]
mod shutdown;
mod team;
mod tokens;

use std::{
    error::Error,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use axum::{
    Router,
    http::{StatusCode, request::Parts},
    middleware::from_fn_with_state,
    routing::get,
};
use tokio::net::TcpListener;
use traffik::{
    Client, ConfigError, DefaultIdentity, EXEMPTED, MemoryBackend, Rate, Settings, Throttle, Throttled, Traffik,
    TraffikBuilder, client_ip,
};

use self::{
    caller::{Caller, Proofs, authenticate},
    keys::{ApiKeys, Owner},
    team::{Team, Teams},
    tokens::Tokens,
};

/// The app's default: users by their name, and requests without a user by address. The parts of a key are never joined, so
/// no user name turns one client into another.
fn user_or_address(parts: &Parts) -> Result<Client, StatusCode> {
    match parts.extensions.get::<Caller>() {
        Some(Caller::User(name)) => Ok(("user", name.clone()).into()),
        Some(Caller::Customer(key)) => Ok(Client::secret(key.clone())),
        Some(Caller::Internal) => Ok(EXEMPTED),
        None => client_ip(parts).map(Client::from).ok_or(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

struct Search;

impl Throttle for Search {
    const UID: &'static str = "api:user-scoped";
    const RATE: Rate = Rate::literal("3/hour");
    type Identity = DefaultIdentity; // the app's default
}

/// The identity of one throttle, which requires an API key. The key is a secret: it is never shown, and stored as a digest.
fn api_key(parts: &Parts) -> Result<Client, StatusCode> {
    match parts.extensions.get::<Caller>() {
        Some(Caller::Internal) => Ok(EXEMPTED),
        Some(Caller::Customer(key)) => Ok(Client::secret(key.clone())),
        _ => Err(StatusCode::FORBIDDEN),
    }
}

struct Data;

impl Throttle for Data {
    const UID: &'static str = "api:data";
    const RATE: Rate = Rate::literal("2/hour");
    type Identity = DefaultIdentity;

    fn settings() -> Settings {
        Settings::new().identity(api_key)
    }
}

/// The members of a team share one limit.
struct Reports;

impl Throttle for Reports {
    const UID: &'static str = "api:reports";
    const RATE: Rate = Rate::literal("2/hour");
    type Identity = Team;
}

async fn search(_: Throttled<Search>) -> &'static str {
    "found\n"
}

async fn data(_: Throttled<Data>) -> &'static str {
    "data\n"
}

async fn reports(_: Throttled<Reports>) -> &'static str {
    "a report\n"
}

fn limits(builder: TraffikBuilder) -> Result<Traffik, ConfigError> {
    builder.identity(user_or_address).build()
}

fn app(traffik: &Traffik, proofs: Proofs, teams: Teams) -> Router {
    Router::new()
        .route("/search", get(search))
        .route("/data", get(data))
        .route("/reports", get(reports))
        .with_state(Arc::new(teams))
        // Around the handlers, whose limits need the caller.
        .layer(from_fn_with_state(Arc::new(proofs), authenticate))
        .layer(traffik.layer())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let port = match args.next().as_deref() {
        None => 3000,
        Some("--port") => args.next().ok_or("`--port` needs a number")?.parse()?,
        Some("--demo") => return demo::run().await,
        Some(other) => {
            return Err(format!("unknown argument `{other}`: there are `--port <number>` and `--demo`").into());
        }
    };

    let secret = |name: &str| match std::env::var(name) {
        Ok(secret) if secret.len() >= 32 => Ok(secret),
        _ => Err(format!("set {name} to 32 random characters or more, such as `openssl rand -hex 32` makes")),
    };
    let (customer, internal) = (secret("CUSTOMER_KEY")?, secret("INTERNAL_KEY")?);
    let keys = ApiKeys::new([(&*customer, Owner::Customer), (&*internal, Owner::Internal)]);
    let proofs = Proofs { tokens: Tokens::new(&secret("TOKEN_SECRET")?), keys };

    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    let address = listener.local_addr()?;
    println!("listening on http://{address}, until ctrl-c. Try:");
    println!("  curl -i http://{address}/search");
    println!("  curl -i -H \"x-api-key: $CUSTOMER_KEY\" http://{address}/data");
    println!("  curl -i -H 'authorization: Bearer {}' http://{address}/reports", proofs.tokens.issue("alice", 60)?);

    let traffik = limits(Traffik::builder(MemoryBackend::new("myapp")))?;
    let app = app(&traffik, proofs, Teams::some()).into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, app).with_graceful_shutdown(shutdown::shutdown_signal()).await?;
    Ok(traffik.close().await?)
}
