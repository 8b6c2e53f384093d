//! Loading a file again, on request.

use tests::admits;
use traffik::{control::Source, warning::Warning};

use super::{Folder, Result, status};
use crate::http::{
    app::{builder, throttle},
    logs::Log,
};

throttle!(Search, "file:reloaded", "3/hour");
throttle!(Other, "file:other", "3/hour");

const FIVE: &str = "[limit.\"file:reloaded\"]\nrate = \"5/hour\"\n";

#[tokio::test]
async fn values_change_vanish_and_keep_the_counts() -> Result {
    let folder = Folder::new("reloaded", FIVE)?;
    let (traffik, _) = folder.app::<(Search, Other)>()?;
    let search = traffik.limit("file:reloaded")?;
    assert!(admits::<Search>(&traffik, "alice").await?);
    let remaining =
        async || Ok::<_, traffik::Error>(traffik.limiter::<Search>("alice").peek().await?.tightest().remaining());
    assert_eq!(remaining().await?, 4);
    folder.write("[limit.\"file:reloaded\"]\nrate = \"9/hour\"\n[limit.\"file:other\"]\ncost = 2\n")?;
    // It is loaded when it is asked for, or by the thread before that.
    traffik.reload_limits().await?;
    assert_eq!(remaining().await?, 8);
    assert_eq!(traffik.limit("file:other")?.info()?.cost().value(), 2);
    folder.write("# nothing\n")?;
    traffik.reload_limits().await?;
    assert_eq!(remaining().await?, 2);
    assert_eq!(search.info()?.rate().source(), Source::Code);
    assert_eq!(traffik.limit("file:other")?.info()?.cost().source(), Source::Code);
    Ok(())
}

#[tokio::test]
async fn invalid_file_keeps_the_last_valid_one_and_is_a_warning() -> Result {
    let (log, _guard) = Log::begin();
    let folder = Folder::new("invalid", FIVE)?;
    let (traffik, _) = folder.app::<Search>()?;
    let search = traffik.limit("file:reloaded")?;
    folder.write("[limit.\"file:reloaded\"]\nrate = \"9/hour\"\ncosts = 2\n")?;
    let error = traffik.reload_limits().await.unwrap_err();
    assert_eq!(search.info()?.rate().value(), "5/hour".parse()?);
    let failed = status(&traffik)?;
    assert_eq!(failed.error().map(ToString::to_string), Some(error.to_string()));
    assert!(failed.failures() > 0 && failed.path().ends_with("limits.toml"), "{failed:?}");
    assert!(log.warnings(Warning::LimitsFileInvalid) > 0, "{}", log.text());
    let json = serde_json::to_value(&failed)?;
    assert_eq!(json["error"], error.to_string());

    std::fs::remove_file(folder.file())?;
    assert!(traffik.reload_limits().await.is_err());
    assert_eq!(search.info()?.rate().value(), "5/hour".parse()?);
    folder.write(FIVE)?;
    traffik.reload_limits().await?;
    assert_eq!(status(&traffik)?.error(), None);
    Ok(())
}

#[tokio::test]
async fn values_without_effect_are_a_warning_once() -> Result {
    let (log, _guard) = Log::begin();
    let folder = Folder::new("no-effect", FIVE)?;
    let (traffik, _) = folder.app::<Search>()?;
    assert_eq!(log.warnings(Warning::LimitsFileWithoutEffect), 0, "{}", log.text());
    traffik.limit("file:reloaded")?.set_rate("7/hour".parse()?)?;
    traffik.reload_limits().await?;
    traffik.reload_limits().await?;
    assert_eq!(log.warnings(Warning::LimitsFileWithoutEffect), 1, "{}", log.text());
    assert!(log.text().contains(r#"limit.\"file:reloaded\".rate (local)"#), "{}", log.text());
    Ok(())
}

#[tokio::test]
async fn silenced_warnings_are_not_logged() -> Result {
    let (log, _guard) = Log::begin();
    let folder = Folder::new("silenced", FIVE)?;
    let builder = builder().0.register::<Search>().limits_file(folder.file());
    let traffik = builder.silence(Warning::LimitsFileInvalid).silence(Warning::LimitsFileWithoutEffect).build()?;
    traffik.limit("file:reloaded")?.set_rate("7/hour".parse()?)?;
    traffik.reload_limits().await?;
    folder.write("[")?;
    assert!(traffik.reload_limits().await.is_err());
    assert_eq!(log.text(), "");
    Ok(())
}

#[test]
fn file_is_loaded_without_a_runtime() -> Result {
    let folder = Folder::new("no-runtime", FIVE)?;
    let (traffik, _) = folder.app::<Search>()?;
    folder.write("# nothing\n")?;
    futures_util::FutureExt::now_or_never(traffik.reload_limits()).ok_or("it waits")??;
    assert_eq!(traffik.limit("file:reloaded")?.info()?.rate().source(), Source::Code);
    Ok(())
}
