//! Calls to a third-party API, which several processes make together, no faster than the API allows.
//!
//! ```text
//! cargo run --example outgoing -- http://localhost:3000/places               # makes 40 calls
//! cargo run --example outgoing -- http://localhost:3000/places --calls 100   # or as many
//! cargo run --example outgoing -- --demo           # starts Redis, an API and three callers, shows what they do, and stops
//! ```
//!
//! The processes share the limit on the Redis server at redis://localhost:6379/0 or REDIS_URL.

mod caller;
mod demo;
#[path = "../common/interrupt.rs"]
mod interrupt;
mod options;
#[path = "../common/redis_server.rs"]
mod redis_server;
#[path = "../common/shutdown.rs"]
mod shutdown;
#[path = "../common/this_program.rs"]
mod this_program;

use std::error::Error;

use self::options::Options;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1).peekable();
    if args.next_if(|arg| arg == "--demo").is_some() {
        return demo::run().await;
    }
    caller::run(Options::read(args)?).await
}
