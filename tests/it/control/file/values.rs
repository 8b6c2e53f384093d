//! What a file changes, and what is stronger.

use std::{pin::pin, time::Duration};

use axum::{Router, routing::get};
use futures_util::{future::join3, poll};
use tests::admits;
use traffik::{CheckError, ConfigError, Rate, Settings, Throttled, TokenBucket, control::Source, strategy::Strategy};

use super::{Folder, Result, status};
use crate::http::{
    app::{HERE, builder, throttle},
    server::Server,
};

throttle!(Plain, "file:plain", "3/hour");
throttle!(Plan, "file:plan", "3/hour", Settings::new().rate_of(|_, _| Rate::literal("9/hour")));
throttle!(Hidden, "file:hidden", "3/hour", Settings::new().hidden());
throttle!(Bucket, "file:bucket", "10/hour", Settings::new().strategy(TokenBucket::new().burst(20)));
throttle!(Wide, "file:wide", "100000/s");

#[tokio::test]
async fn file_replaces_what_the_code_declares() -> Result {
    let text = "[limit.\"file:plain\"]\nrate = \"10/hour\"\ncost = 2\nfields = \"both\"\n";
    let folder = Folder::new("declares", text)?;
    let (traffik, _) = folder.app::<Plain>()?;
    let app = Router::new().route("/", get(|_: Throttled<Plain>| async {})).layer(traffik.layer());
    let reply = Server::start(app).await.get("/").await;
    assert_eq!(reply.policy(), Some(r#""file:plain";q=10;w=3600"#));
    assert_eq!((reply.state(), reply.header("x-ratelimit-remaining")), (Some(r#""file:plain";r=8;t=3600"#), Some("8")));
    let info = traffik.limit("file:plain")?.info()?;
    assert_eq!((info.rate().source(), info.cost().source()), (Source::File, Source::File));
    assert!(status(&traffik)?.without_effect().is_empty());
    Ok(())
}

#[tokio::test]
async fn fields_of_a_file_show_no_hidden_limit() -> Result {
    let folder = Folder::new("hidden", "[limit.\"file:hidden\"]\nfields = \"both\"\n")?;
    let (traffik, _) = folder.app::<Hidden>()?;
    let app = Router::new().route("/", get(|_: Throttled<Hidden>| async {})).layer(traffik.layer());
    let reply = Server::start(app).await.get("/").await;
    assert_eq!((reply.status, reply.state(), reply.header("x-ratelimit-remaining")), (200, None, None));
    Ok(())
}

#[tokio::test]
async fn functions_callers_and_changes_are_stronger_than_a_file() -> Result {
    let text = "[limit.\"file:plain\"]\nrate = \"10/hour\"\n[limit.\"file:plan\"]\nrate = \"10/hour\"\n";
    let folder = Folder::new("stronger", text)?;
    let (traffik, _) = folder.app::<(Plain, Plan)>()?;
    let without_effect = |status: &traffik::control::LimitsFileStatus| {
        status.without_effect().iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(without_effect(&status(&traffik)?), [r#"limit."file:plan".rate (request)"#]);

    let rate = async |limiter: traffik::ClientLimiter<'_, Plain>| {
        Ok::<_, traffik::Error>(limiter.peek().await?.tightest().rate())
    };
    let limiter = || traffik.limiter::<Plain>(HERE);
    assert_eq!(rate(limiter()).await?, "10/hour".parse()?);
    assert_eq!(rate(limiter().rate("5/hour".parse()?)).await?, "5/hour".parse()?);
    let plain = traffik.limit("file:plain")?;
    plain.set_rate("7/hour".parse()?)?;
    assert_eq!(rate(limiter()).await?, "7/hour".parse()?);
    traffik.reload_limits().await?;
    let expected = [r#"limit."file:plain".rate (local)"#, r#"limit."file:plan".rate (request)"#];
    assert_eq!(without_effect(&status(&traffik)?), expected);
    plain.clear();
    assert_eq!(rate(limiter()).await?, "10/hour".parse()?);
    Ok(())
}

#[tokio::test]
async fn rules_of_a_file_narrow_the_limit() -> Result {
    let text = "[[limit.\"file:plain\".rule]]\nprefix = [\"/api\", \"/v1\"]\nmethods = [\"GET\"]\n\
                [[limit.\"file:plain\".bypass]]\npath = \"/api/health\"\n";
    let folder = Folder::new("rules", text)?;
    let (traffik, _) = folder.app::<Plain>()?;
    let app = Router::new().fallback(|_: Throttled<Plain>| async {}).layer(traffik.layer());
    let server = Server::start(app).await;
    let counts = async |path: &str| server.get(path).await.state().is_some();
    let counted = [counts("/api/a").await, counts("/v1").await, counts("/b").await, counts("/api/health").await];
    assert_eq!(counted, [true, true, false, false]);
    // Local rules are further ones.
    let plain = traffik.limit("file:plain")?;
    plain.add_rule(traffik::Rule::prefix("/v1"))?;
    assert_eq!([counts("/api/a").await, counts("/v1").await, plain.info()?.added_rules() == 3], [false, true, true]);
    plain.clear();
    assert_eq!([counts("/api/a").await, counts("/b").await], [true, false]);
    Ok(())
}

#[tokio::test]
async fn file_disables_limits_and_puts_them_into_a_dry_run() -> Result {
    let folder = Folder::new("disables", "enabled = false\n[limit.\"file:plan\"]\nenabled = true\ndry_run = true\n")?;
    let (traffik, _) = folder.app::<(Plain, Plan)>()?;
    assert!(!traffik.limiter::<Plain>(HERE).check().await?.tightest().is_counted());
    let permit = traffik.limiter::<Plan>(HERE).cost(9).check().await?;
    assert!(permit.tightest().would_refuse());
    traffik.enable_all();
    assert!(traffik.limiter::<Plain>(HERE).check().await?.tightest().is_counted());
    Ok(())
}

#[tokio::test]
async fn strategy_of_a_file_holds_from_the_start() -> Result {
    let text = "[limit.\"file:bucket\"]\nstrategy = { name = \"token-bucket\", burst = 50 }\n\
                [limit.\"file:plain\"]\nstrategy = \"sliding-window-log\"\n";
    let folder = Folder::new("strategy", text)?;
    let (traffik, _) = folder.app::<(Plain, Bucket)>()?;
    assert!(admits::<Bucket>(&traffik, "alice").await?);
    assert_eq!(traffik.limiter::<Bucket>("alice").peek().await?.tightest().remaining(), 49);
    assert_eq!(traffik.limit("file:plain")?.info()?.strategy(), "sliding-window-log");

    folder.write(&text.replace("burst = 50", "burst = 60"))?;
    let error = traffik.reload_limits().await.unwrap_err().to_string();
    assert!(
        error.contains(r#"limit."file:bucket".strategy: strategies and penalties change only when the app starts"#),
        "{error}"
    );
    folder.write("# nothing\n")?;
    let error = traffik.reload_limits().await.unwrap_err().to_string();
    assert!(error.contains(".strategy: it was set when the app started"), "{error}");
    Ok(())
}

#[tokio::test]
async fn penalty_of_a_file_holds_from_the_start() -> Result {
    let text = "[limit.\"file:plain\"]\npenalty = { refusals = 2, time = \"1m\", longest = \"1h\" }\n";
    let folder = Folder::new("penalty", text)?;
    let (traffik, _) = folder.app::<Plain>()?;
    let mut blocked = Vec::new();
    for _ in 0..6 {
        let refused = traffik.limiter::<Plain>("alice").check().await;
        blocked.push(refused.is_err_and(
            |error| matches!(error, CheckError::Refused(refusal) if refusal.exceeded().any(traffik::Limit::is_blocked)),
        ));
    }
    assert_eq!(blocked, [false, false, false, false, false, true]);
    folder.write("# nothing\n")?;
    let error = traffik.reload_limits().await.unwrap_err().to_string();
    assert!(error.contains(".penalty: it was set when the app started"), "{error}");
    Ok(())
}

#[test]
fn strategy_that_does_not_support_the_rate_of_the_code_is_an_error() -> Result {
    let folder = Folder::new("unsupported", "[limit.\"file:wide\"]\nstrategy = \"sliding-window-log\"\n")?;
    let Err(ConfigError::LimitsFile(error)) = folder.app::<Wide>().map(drop) else { return Err("no error".into()) };
    assert_eq!((error.line(), error.key()), (Some(2), Some(r#"limit."file:wide".strategy"#)), "{error}");
    assert_eq!(error.path(), folder.file());
    // Without the file it is fine.
    builder().0.register::<Wide>().build()?;

    Ok(())
}

#[tokio::test]
async fn file_knows_every_strategy_by_its_name() -> Result {
    for strategy in tests::each_strategy(3) {
        let name = strategy.name();
        let folder = Folder::new(name, &format!("[limit.\"file:plain\"]\nstrategy = \"{name}\"\n"))?;
        let (traffik, _) = folder.app::<Plain>()?;
        let info = traffik.limit("file:plain")?.info()?;
        assert_eq!(info.strategy(), name);
    }
    Ok(())
}

#[tokio::test]
async fn caller_with_a_rate_of_its_own_is_not_refused_with_others_of_the_line() -> Result {
    const DAY: Duration = Duration::from_secs(86_400);
    let folder = Folder::new("line", "[limit.\"file:plain\"]\nrate = \"1/hour\"\n")?;
    let (traffik, clock) = folder.app::<Plain>()?;
    let limiter = || traffik.limiter::<Plain>(HERE);
    assert!(admits::<Plain>(&traffik, HERE).await?);
    let mut line = pin!(join3(
        limiter().wait(DAY).check().into_future(),
        limiter().cost(2).wait(DAY).check().into_future(),
        limiter().rate(Rate::literal("3/hour")).cost(2).wait(DAY).check().into_future(),
    ));
    assert!(poll!(&mut line).is_pending());

    clock.advance(Duration::from_secs(3600));
    let (first, by_the_file, by_its_own) = line.await;
    assert!(first.is_ok() && matches!(by_the_file, Err(CheckError::Refused(_))) && by_its_own.is_ok());
    Ok(())
}
