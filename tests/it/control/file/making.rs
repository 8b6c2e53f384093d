//! Limits that the file makes.

use std::time::Duration;

use axum::{Router, http::Request, routing::get};
use traffik::{
    ConfigError, Settings, Traffik,
    control::{KnownBy, Source},
    warning::Warning,
};

use super::{Folder, Result, status};
use crate::http::{app::builder, logs::Log, server::Server};

const SEARCH: &str = "[new.\"site:search\"]\nrate = \"2/hour\"\npath = [\"/search\", \"/find/**\"]\n";

fn app(folder: &Folder) -> Result<Traffik> {
    Ok(builder().0.limits_file(folder.file()).build()?)
}

async fn serving(traffik: &Traffik) -> Server {
    let routes = ["/search", "/find/{word}", "/other"].into_iter();
    let app = routes.fold(Router::new(), |app, path| app.route(path, get(async || ()).post(async || ())));
    Server::start(app.layer(traffik.file_limits_layer()).layer(traffik.layer())).await
}

#[tokio::test]
async fn limit_applies_to_its_paths_alone() -> Result {
    let folder = Folder::new("made", SEARCH)?;
    let traffik = app(&folder)?;
    let server = serving(&traffik).await;
    assert_eq!(server.get("/search").await.state(), Some(r#""site:search";r=1;t=3600"#));
    assert_eq!(server.get("/find/it").await.state(), Some(r#""site:search";r=0;t=3600"#));
    let reply = server.get("/search").await;
    assert_eq!((reply.status, reply.header("retry-after")), (429, Some("3600")));
    let other = server.get("/other").await;
    assert_eq!((other.status, other.state()), (200, None));
    let info = traffik.limit("site:search")?.info()?;
    assert_eq!(
        (info.known_by(), info.rate().value(), info.rate().source()),
        (KnownBy::File, "2/hour".parse()?, Source::File)
    );
    assert_eq!((info.counts().admitted, info.counts().refused), (2, 1));
    assert_eq!(serde_json::to_value(&info)?["known_by"], "file");
    assert!(traffik.limiter_of("site:search", "alice").check().await.is_ok());
    Ok(())
}

#[tokio::test]
async fn limit_has_all_values_of_a_file() -> Result {
    let text = r#"
[new."site:posts"]
rate = "10/min"
path = "/**"
methods = ["POST"]
cost = 3
fields = "both"
strategy = { name = "token-bucket", burst = 9 }
penalty = { refusals = 1, time = "1m" }

[[new."site:posts".bypass]]
prefix = "/find"

[[new."site:posts".exempt]]
client = '"job"'

[[new."site:posts".block]]
client = "mallory"

[new."site:dry"]
rate = "1/min"
path = "/other"
dry_run = true

[new."site:off"]
rate = "1/min"
path = "/other"
enabled = false
"#;
    let folder = Folder::new("made-values", text)?;
    let (builder, clock) = builder();
    let traffik = builder.limits_file(folder.file()).build()?;
    let server = serving(&traffik).await;
    let post = |path: &str| server.send(Request::post(path), "");
    let reply = post("/search").await;
    assert_eq!((reply.state(), reply.header("x-ratelimit-limit")), (Some(r#""site:posts";r=6;t=6"#), Some("9")));
    assert_eq!([post("/find/it").await.state(), server.get("/search").await.state()], [None, None]);
    for expected in [200, 200, 429] {
        assert_eq!(post("/search").await.status, expected);
    }
    // The penalty is longer than the bucket takes to fill.
    clock.advance(Duration::from_secs(59));
    assert_eq!(post("/search").await.status, 429);
    for _ in 0..3 {
        assert_eq!(server.get("/other").await.status, 200);
    }
    assert!(traffik.limiter_of("site:posts", "mallory").check().await.is_err());
    assert!(!traffik.limiter_of("site:posts", "job").check().await?.tightest().is_counted());
    Ok(())
}

#[tokio::test]
async fn limits_of_a_path_are_one_decision() -> Result {
    let folder =
        Folder::new("made-pair", &format!("{SEARCH}\n[new.\"site:all\"]\nrate = \"1/hour\"\npath = \"/**\"\n"))?;
    let traffik = app(&folder)?;
    let server = serving(&traffik).await;
    assert_eq!([server.get("/search").await.status, server.get("/search").await.status], [200, 429]);
    let left = traffik.limiter_of("site:search", crate::http::app::HERE).peek().await?;
    assert_eq!(left.tightest().remaining(), 1, "a refusal charges none");
    Ok(())
}

#[tokio::test]
async fn reload_adds_changes_and_removes_limits() -> Result {
    let folder = Folder::new("made-again", "# nothing\n")?;
    let traffik = app(&folder)?;
    let server = serving(&traffik).await;
    let reload = async |text: &str| -> Result {
        folder.write(text)?;
        Ok(traffik.reload_limits().await?)
    };
    assert_eq!(server.get("/search").await.state(), None);
    reload(SEARCH).await?;
    assert_eq!(server.get("/search").await.state(), Some(r#""site:search";r=1;t=3600"#));
    // The same in another place of the file.
    reload(&format!("# again\n{SEARCH}")).await?;
    assert_eq!(traffik.limit("site:search")?.info()?.counts().admitted, 1);
    reload(&SEARCH.replace("2/hour", "5/hour")).await?;
    assert_eq!(server.get("/search").await.state(), Some(r#""site:search";r=3;t=3600"#));
    assert_eq!(traffik.limit("site:search")?.info()?.counts().admitted, 2, "counts go on");
    reload(&SEARCH.replace("rate", "strategy = \"gcra\"\nrate")).await?;
    assert_eq!(traffik.limit("site:search")?.info()?.strategy(), "gcra");
    traffik.limit("site:search")?.set_cost(2);
    reload("# nothing\n").await?;
    assert_eq!(server.get("/search").await.state(), None);
    assert!(matches!(traffik.limit("site:search").map(drop), Err(ConfigError::UnknownUid { .. })));
    reload(SEARCH).await?;
    assert_eq!(server.get("/search").await.state(), Some(r#""site:search";r=0;t=3600"#), "no change is left");
    // An invalid file changes none of it.
    let removed = reload("[limit.\"site:search\"]\ncost = 2\n").await;
    assert!(removed.is_err_and(|error| error.to_string().contains("makes this limit any more")));
    assert!(reload(&format!("{SEARCH}[new.\"site:more\"]\nrate = \"2/hour\"\n")).await.is_err());
    assert_eq!(server.get("/search").await.status, 429);
    assert_eq!(status(&traffik)?.failures(), 2);
    Ok(())
}

#[tokio::test]
async fn limit_of_the_file_and_of_the_program_do_not_replace_each_other() -> Result {
    let folder = Folder::new("made-twice", SEARCH)?;
    let traffik = app(&folder)?;
    let two = || "2/hour".parse();
    for added in [
        traffik.add_limit("site:search", two()?, Settings::new()),
        traffik.replace_limit("site:search", two()?, Settings::new()),
    ] {
        assert!(matches!(added, Err(ConfigError::DuplicateUid { .. })));
    }
    let removed = traffik.remove_limit("site:search").map_or_else(|error| error.to_string(), |()| String::new());
    assert!(removed.contains("limits.toml") && removed.contains("in the file"), "{removed}");
    traffik.add_limit("site:more", two()?, Settings::new())?;
    folder.write(&SEARCH.replace("search", "more"))?;
    let error = traffik.reload_limits().await.map_or_else(|error| error.to_string(), |()| String::new());
    assert!(error.contains(r#"new."site:more""#) && error.contains("limit added at"), "{error}");
    assert!(traffik.limit("site:search").is_ok());
    Ok(())
}

#[tokio::test]
async fn change_that_replaces_a_value_of_a_made_limit_is_reported() -> Result {
    let folder = Folder::new("made-effect", SEARCH)?;
    let traffik = app(&folder)?;
    traffik.limit("site:search")?.set_rate("9/hour".parse()?)?;
    traffik.reload_limits().await?;
    let without: Vec<_> = status(&traffik)?.without_effect().iter().map(ToString::to_string).collect();
    assert_eq!(without, [r#"new."site:search".rate (local)"#]);
    Ok(())
}

#[tokio::test]
async fn limits_that_no_layer_applies_are_a_warning() -> Result {
    let (log, _guard) = Log::begin();
    let folder = Folder::new("made-unapplied", "# nothing\n")?;
    let traffik = app(&folder)?;
    let _layer = traffik.layer();
    assert_eq!(log.warnings(Warning::LimitsFileUnapplied), 0, "the file makes none");
    folder.write(SEARCH)?;
    traffik.reload_limits().await?;
    traffik.reload_limits().await?;
    assert_eq!(log.warnings(Warning::LimitsFileUnapplied), 1, "{}", log.text());
    let (log, _guard) = Log::begin();
    let applied = app(&folder)?;
    let _layers = (applied.file_limits_layer(), applied.layer());
    assert_eq!(log.warnings(Warning::LimitsFileUnapplied), 0);
    Ok(())
}
