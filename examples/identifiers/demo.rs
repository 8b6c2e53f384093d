//! The same program, asked over TCP by callers of every kind: what comes back, as a table, and an error where it is not
//! what it should be.
//!
//! Its limits go by a clock that stands still.

use std::{
    error::Error,
    net::{Ipv4Addr, SocketAddr},
};

use reqwest::Client;
use tokio::net::TcpListener;
use traffik::{Traffik, backend::MemoryBackend, test::ManualClock};

use super::{
    caller::Proofs,
    keys::{ApiKeys, Owner},
    team::Teams,
    tokens::Tokens,
};

const INTERNAL: &str = "internal-9f86d081884c7d659a2feaa0c55ad015";
const ACME: &str = "acme-60303ae22b998861bce3b28f33eec1be";
const GLOBEX: &str = "globex-fd61a03af4f77d870fc21e05e7e80678";

/// Who asks, and how he proves it.
#[derive(Clone, Copy)]
enum Who {
    /// With a token of this server.
    User(&'static str),
    /// With a token that another server signed.
    Forged(&'static str),
    /// With a token whose time is over.
    Late(&'static str),
    Key(&'static str, &'static str),
    Anonymous,
}

use Who::{Anonymous, Forged, Key, Late, User};

const NONE: &str = "";
const ACMES: Who = Key("acme", ACME);
const GLOBEXES: Who = Key("globex", GLOBEX);
const SERVICE: Who = Key("a service of ours", INTERNAL);
const CHEAT: Who = Key("a cheat", "internal-let-me-in");

/// Who asks for what, what comes back, and how he stands then.
const ROWS: &[(Who, &str, u16, &str)] = &[
    // By user, wherever they come from.
    (User("alice"), "/search", 200, r#""api:user-scoped";r=2;t=3600"#),
    (User("alice"), "/search", 200, r#""api:user-scoped";r=1;t=3600"#),
    (User("bob"), "/search", 200, r#""api:user-scoped";r=2;t=3600"#),
    (User("alice"), "/search", 200, r#""api:user-scoped";r=0;t=3600"#),
    (User("alice"), "/search", 429, r#""api:user-scoped";r=0;t=3600"#),
    // Who is not logged in counts by address, and so does not use up what is alice's. Nor can a user be an address.
    (Anonymous, "/search", 200, r#""api:user-scoped";r=2;t=3600"#),
    (User("127.0.0.1"), "/search", 200, r#""api:user-scoped";r=2;t=3600"#),
    (Anonymous, "/search", 200, r#""api:user-scoped";r=1;t=3600"#),
    // A user is who a token of ours says.
    (Forged("bob"), "/search", 401, NONE),
    (Late("bob"), "/search", 401, NONE),
    (User("bob"), "/search", 200, r#""api:user-scoped";r=1;t=3600"#),
    // By key, with which nobody counts services of ours.
    (ACMES, "/data", 200, r#""api:data";r=1;t=3600"#),
    (ACMES, "/data", 200, r#""api:data";r=0;t=3600"#),
    (ACMES, "/data", 429, r#""api:data";r=0;t=3600"#),
    (GLOBEXES, "/data", 200, r#""api:data";r=1;t=3600"#),
    (SERVICE, "/data", 200, NONE),
    (SERVICE, "/data", 200, NONE),
    (SERVICE, "/data", 200, NONE),
    // How a key begins lets nobody in.
    (CHEAT, "/data", 401, NONE),
    (CHEAT, "/search", 401, NONE),
    (User("alice"), "/data", 403, NONE),
    (Anonymous, "/data", 403, NONE),
    // By team, which the app's state tells.
    (User("alice"), "/reports", 200, r#""api:reports";r=1;t=3600"#),
    (User("bob"), "/reports", 200, r#""api:reports";r=0;t=3600"#),
    (User("alice"), "/reports", 429, r#""api:reports";r=0;t=3600"#),
    (User("carol"), "/reports", 200, NONE),
    (User("carol"), "/reports", 200, NONE),
    (User("carol"), "/reports", 200, NONE),
    (User("dave"), "/reports", 403, NONE),
    (Anonymous, "/reports", 401, NONE),
];

/// Serves the program, asks it, and shows the answers.
pub(super) async fn run() -> Result<(), Box<dyn Error>> {
    let tokens = || Tokens::new("a secret for as long as the demo runs");
    let keys = ApiKeys::new([(INTERNAL, Owner::Internal), (ACME, Owner::Customer), (GLOBEX, Owner::Customer)]);
    let traffik = super::limits(Traffik::builder(MemoryBackend::new("myapp").clock(ManualClock::new())))?;
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
    // The server is on this machine, whatever the environment says of proxies.
    let client = Client::builder().no_proxy().build()?;
    println!("{:<28} {:<9} {:>6}  ratelimit", "who", "path", "status");
    for (who, path, status, ratelimit) in ROWS {
        let request = client.get(format!("{base}{path}"));
        let (name, request) = match *who {
            User(name) => (name.to_owned(), request.bearer_auth(tokens.issue(name, 60)?)),
            Forged(name) => {
                let forger = Tokens::new("what somebody else signs with");
                (format!("{name}, by a forged token"), request.bearer_auth(forger.issue(name, 60)?))
            }
            Late(name) => (format!("{name}, by an old token"), request.bearer_auth(tokens.issue(name, -60)?)),
            Key(name, key) => (name.to_owned(), request.header("x-api-key", key)),
            Anonymous => ("anonymous".to_owned(), request),
        };
        let response = request.send().await?;
        let found = response.headers().get("ratelimit").map_or(Ok(NONE), |value| value.to_str())?;
        println!("{name:<28} {path:<9} {:>6}  {found}", response.status().as_u16());
        if (response.status().as_u16(), found) != (*status, *ratelimit) {
            return Err(format!("{name} at {path}: {status} and `{ratelimit}` should have come back").into());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn what_comes_back_is_what_should() {
        super::run().await.unwrap();
    }
}
