//! Sends requests of each kind of caller to the program over TCP, prints the responses as a table, and returns an error if
//! one differs.
//!
//! The clock of the limits stands still.

use std::{
    error::Error,
    net::{Ipv4Addr, SocketAddr},
};

use reqwest::Client;
use tokio::net::TcpListener;
use traffik::{MemoryBackend, Traffik, test::ManualClock};

use super::{
    caller::Proofs,
    keys::{ApiKeys, Owner},
    team::Teams,
    tokens::Tokens,
};

const INTERNAL: &str = "internal-9f86d081884c7d659a2feaa0c55ad015";
const ACME: &str = "acme-60303ae22b998861bce3b28f33eec1be";
const GLOBEX: &str = "globex-fd61a03af4f77d870fc21e05e7e80678";

/// A caller and its credentials.
#[derive(Clone, Copy)]
enum Visitor {
    /// Has a token of this server.
    User(&'static str),
    /// Has a token that another server signed.
    Forged(&'static str),
    /// Has a token that has expired.
    Late(&'static str),
    Key(&'static str, &'static str),
    Anonymous,
}

use Visitor::{Anonymous, Forged, Key, Late, User};

const NONE: &str = "";
const ACMES: Visitor = Key("acme", ACME);
const GLOBEXES: Visitor = Key("globex", GLOBEX);
const SERVICE: Visitor = Key("our own service", INTERNAL);
const CHEAT: Visitor = Key("a made-up key", "internal-let-me-in");

/// The caller and the path, and the expected status and `RateLimit` field.
const ROWS: &[(Visitor, &str, u16, &str)] = &[
    // By user, from any address.
    (User("alice"), "/search", 200, r#""api:user-scoped";r=2;t=3600"#),
    (User("alice"), "/search", 200, r#""api:user-scoped";r=1;t=3600"#),
    (User("bob"), "/search", 200, r#""api:user-scoped";r=2;t=3600"#),
    (User("alice"), "/search", 200, r#""api:user-scoped";r=0;t=3600"#),
    (User("alice"), "/search", 429, r#""api:user-scoped";r=0;t=3600"#),
    // A caller without a token counts by address, so it cannot use up a user's limit. A user name is never an address.
    (Anonymous, "/search", 200, r#""api:user-scoped";r=2;t=3600"#),
    (User("127.0.0.1"), "/search", 200, r#""api:user-scoped";r=2;t=3600"#),
    (Anonymous, "/search", 200, r#""api:user-scoped";r=1;t=3600"#),
    // Only a valid token of this server names a user.
    (Forged("bob"), "/search", 401, NONE),
    (Late("bob"), "/search", 401, NONE),
    (User("bob"), "/search", 200, r#""api:user-scoped";r=1;t=3600"#),
    // By API key. Our own services are exempt.
    (ACMES, "/data", 200, r#""api:data";r=1;t=3600"#),
    (ACMES, "/data", 200, r#""api:data";r=0;t=3600"#),
    (ACMES, "/data", 429, r#""api:data";r=0;t=3600"#),
    (GLOBEXES, "/data", 200, r#""api:data";r=1;t=3600"#),
    (SERVICE, "/data", 200, NONE),
    (SERVICE, "/data", 200, NONE),
    (SERVICE, "/data", 200, NONE),
    // The prefix of a key means nothing.
    (CHEAT, "/data", 401, NONE),
    (CHEAT, "/search", 401, NONE),
    (User("alice"), "/data", 403, NONE),
    (Anonymous, "/data", 403, NONE),
    // By team, from the app's state.
    (User("alice"), "/reports", 200, r#""api:reports";r=1;t=3600"#),
    (User("bob"), "/reports", 200, r#""api:reports";r=0;t=3600"#),
    (User("alice"), "/reports", 429, r#""api:reports";r=0;t=3600"#),
    (User("carol"), "/reports", 200, NONE),
    (User("carol"), "/reports", 200, NONE),
    (User("carol"), "/reports", 200, NONE),
    (User("dave"), "/reports", 403, NONE),
    (Anonymous, "/reports", 401, NONE),
];

/// Serves the program, sends the requests, and prints the responses.
pub(super) async fn run() -> Result<(), Box<dyn Error>> {
    let tokens = || Tokens::new("the secret of this demo");
    let keys = ApiKeys::new([(INTERNAL, Owner::Internal), (ACME, Owner::Customer), (GLOBEX, Owner::Customer)]);
    let traffik = super::limits(Traffik::builder(MemoryBackend::with_clock("myapp", ManualClock::new())))?;
    let app = super::app(&traffik, Proofs { tokens: tokens(), keys }, Teams::some());

    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let base = format!("http://{}", listener.local_addr()?);
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    let server = tokio::spawn(async move { axum::serve(listener, app).await });
    let asked = ask_all(&base, &tokens()).await;
    server.abort();
    asked
}

async fn ask_all(base: &str, tokens: &Tokens) -> Result<(), Box<dyn Error>> {
    // The server is on this machine: ignore the proxies of the environment.
    let client = Client::builder().no_proxy().build()?;
    println!("{:<28} {:<9} {:>6}  ratelimit", "caller", "path", "status");
    for (visitor, path, status, ratelimit) in ROWS {
        let request = client.get(format!("{base}{path}"));
        let (name, request) = match *visitor {
            User(name) => (name.to_owned(), request.bearer_auth(tokens.issue(name, 60)?)),
            Forged(name) => {
                let forger = Tokens::new("the secret of another server");
                (format!("{name}, with a forged token"), request.bearer_auth(forger.issue(name, 60)?))
            }
            Late(name) => (format!("{name}, with an old token"), request.bearer_auth(tokens.issue(name, -60)?)),
            Key(name, key) => (name.to_owned(), request.header("x-api-key", key)),
            Anonymous => ("anonymous".to_owned(), request),
        };
        let response = request.send().await?;
        let found = response.headers().get("ratelimit").map_or(Ok(NONE), |value| value.to_str())?;
        println!("{name:<28} {path:<9} {:>6}  {found}", response.status().as_u16());
        if (response.status().as_u16(), found) != (*status, *ratelimit) {
            return Err(format!("{name} at {path}: expected {status} and `{ratelimit}`").into());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn demo_of_the_program_succeeds() {
        super::run().await.unwrap();
    }
}
