//! What learns of each load of a file: hooks and metrics.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use futures_util::FutureExt;

use super::{Folder, Result};
use crate::{
    http::{
        app::{builder, throttle},
        logs::Log,
    },
    metrics::scrape::Recorded,
};

throttle!(Hooked, "file:hooked", "3/hour");

const VALID: &str = "[limit.\"file:hooked\"]\nrate = \"5/hour\"\n";

#[tokio::test]
async fn hook_receives_each_state_of_the_file() -> Result {
    let folder = Folder::new("hooked", VALID)?;
    let errors: Arc<Mutex<Vec<Option<String>>>> = Arc::default();
    let seen = Arc::clone(&errors);
    let (builder, _) = builder();
    let traffik = builder
        .register::<Hooked>()
        .limits_file(folder.file())
        .on_limits_file(move |status| {
            let error = status.error().map(ToString::to_string);
            seen.lock().unwrap_or_else(PoisonError::into_inner).push(error);
        })
        .build()?;
    let seen = || errors.lock().unwrap_or_else(PoisonError::into_inner).clone();
    assert_eq!(seen(), [None]);
    folder.write("no toml")?;
    let error = traffik.reload_limits().await.unwrap_err().to_string();
    folder.write(VALID)?;
    traffik.reload_limits().await?;
    // The thread that waits for changes may have read the file, too.
    let mut seen = seen();
    seen.dedup();
    assert_eq!(seen, [None, Some(error), None]);
    Ok(())
}

#[test]
fn hook_that_panics_stops_neither_the_file_nor_other_hooks() -> Result {
    let (log, _guard) = Log::begin();
    let folder = Folder::new("panicking", VALID)?;
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let (builder, _) = builder();
    let traffik = builder
        .register::<Hooked>()
        .limits_file(folder.file())
        .on_limits_file(|_| panic!("it panics on purpose"))
        .on_limits_file(move |_| {
            counted.fetch_add(1, SeqCst);
        })
        .build()?;
    assert_eq!(calls.load(SeqCst), 1);
    assert_eq!(traffik.limit("file:hooked")?.info()?.rate().value(), "5/hour".parse()?);
    assert!(log.text().contains("a function panicked that `on_limits_file` received"), "{}", log.text());
    Ok(())
}

#[test]
fn metrics_show_loads_and_whether_the_file_is_valid() -> Result {
    const INVALID: &str = "traffik_limits_file_invalid";
    let recorded = Recorded::begin();
    let folder = Folder::new("metered", VALID)?;
    let (traffik, _) = folder.app::<Hooked>()?;
    // Outside of a runtime it is loaded on this thread, which records.
    let reload = || traffik.reload_limits().now_or_never().ok_or("it waits");
    let loads = |result: &str| recorded.value(&format!("traffik_limits_file_loads_total{{result=\"{result}\"}}"));
    assert_eq!(recorded.value(INVALID), None);
    reload()??;
    assert_eq!((loads("loaded"), loads("failed"), recorded.value(INVALID)), (Some(1.0), Some(0.0), Some(0.0)));
    folder.write("no toml")?;
    assert!(reload()?.is_err() && reload()?.is_err());
    // The thread that waits for changes may have read the file, too.
    assert!(loads("failed") >= Some(2.0));
    assert_eq!(recorded.value(INVALID), Some(1.0));
    folder.write(VALID)?;
    reload()??;
    assert!(loads("loaded") >= Some(2.0));
    assert_eq!(recorded.value(INVALID), Some(0.0));
    drop(traffik);
    Ok(())
}
