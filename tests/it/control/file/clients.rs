//! Single clients in a file.

use std::time::Duration;

use tests::admits;
use traffik::control::Source;

use super::{Folder, Result, status};
use crate::http::app::{HERE, throttle};

throttle!(Api, "file:clients", "3/hour");

const TEXT: &str = r#"
[[limit."file:clients".block]]
client = "127.0.0.1"
reason = "scrapes"

[[limit."file:clients".exempt]]
client = '"healthcheck"'
until = 1970-01-02T00:00:00Z

[[limit."file:clients".override]]
client = "user/42"
rate = "100/hour"
"#;

#[tokio::test]
async fn file_blocks_exempts_and_overrides_clients() -> Result {
    let folder = Folder::new("clients", TEXT)?;
    let (traffik, clock) = folder.app::<Api>()?;
    let api = traffik.limit("file:clients")?;
    assert!(!admits::<Api>(&traffik, HERE).await?);
    assert_eq!(traffik.limiter::<Api>(("user", 42)).peek().await?.tightest().remaining(), 100);
    let is_exempt =
        async || Ok::<_, traffik::Error>(!traffik.limiter::<Api>("healthcheck").peek().await?.tightest().is_counted());
    let info = |client: &str| api.clients().into_iter().find(|info| info.client() == client).ok_or("not listed");
    assert_eq!((info("127.0.0.1")?.source(), info("127.0.0.1")?.block_reason()), (Source::File, Some("scrapes")));
    assert_eq!(is_exempt().await?, clock_is_before(&traffik));
    clock.advance(Duration::from_secs(100 * 365 * 86_400));
    assert!(!is_exempt().await?);
    Ok(())
}

/// Returns `true` before 1970-01-02.
fn clock_is_before(traffik: &traffik::Traffik) -> bool {
    traffik.clock().wall_clock().as_micros() < 86_400_000_000
}

#[tokio::test]
async fn clients_that_vanish_from_the_file_are_as_before() -> Result {
    let folder = Folder::new("vanish", TEXT)?;
    let (traffik, _) = folder.app::<Api>()?;
    let api = traffik.limit("file:clients")?;
    // A local block is another value.
    api.block("mallory", Duration::from_secs(60), "local")?;
    folder.write("# nothing\n")?;
    traffik.reload_limits().await?;
    assert!(admits::<Api>(&traffik, HERE).await?);
    assert_eq!(traffik.limiter::<Api>(("user", 42)).peek().await?.tightest().remaining(), 3);
    assert_eq!(api.clients().len(), 1);
    Ok(())
}

#[tokio::test]
async fn local_change_of_a_client_is_stronger_and_is_listed() -> Result {
    let folder = Folder::new("local-client", TEXT)?;
    let (traffik, _) = folder.app::<Api>()?;
    traffik.limit("file:clients")?.override_rate(("user", 42), "7/hour".parse()?, Duration::from_secs(60))?;
    assert_eq!(traffik.limiter::<Api>(("user", 42)).peek().await?.tightest().remaining(), 7);
    traffik.reload_limits().await?;
    let status = status(&traffik)?;
    assert_eq!(status.without_effect()[0].to_string(), r#"limit."file:clients".override (local)"#);
    Ok(())
}
