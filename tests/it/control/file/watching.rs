//! Changes of a file that the app sees itself.

use std::{
    fs, io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use axum::{Router, routing::get};
use tests::{Call, Calling, until};
use traffik::{Settings, Throttled, Traffik, strategy::AnyStrategy, warning::Warning};

use super::{Folder, Result, status};
use crate::{
    control::own_strategy::{checks, panic_at_13},
    http::{
        app::{builder, throttle},
        logs::Log,
        server::Server,
    },
};

throttle!(Watched, "file:watched", "3/hour");
throttle!(Picky, "file:watched", "3/hour", Settings::new().strategy(AnyStrategy::custom(Calling(panic_at_13))));
throttle!(First, "file:first", "1000000/hour");
throttle!(Second, "file:second", "1000000/hour");

fn rate(rate: &str) -> String {
    format!("[limit.\"file:watched\"]\nrate = \"{rate}\"\n")
}

/// Waits until the limit has this rate.
async fn until_rate(traffik: &Traffik, rate: &str) {
    let has = async || {
        traffik
            .limit("file:watched")
            .and_then(|limit| limit.info())
            .is_ok_and(|info| info.rate().value().to_string() == rate)
    };
    until(rate, has).await;
}

#[tokio::test]
async fn changed_file_is_loaded() -> Result {
    let folder = Folder::new("changed", &rate("5/hour"))?;
    let (traffik, _) = folder.app::<Watched>()?;
    folder.write(&rate("6/hour"))?;
    until_rate(&traffik, "6/hour").await;
    // In place.
    fs::write(folder.file(), rate("7/hour"))?;
    until_rate(&traffik, "7/hour").await;
    Ok(())
}

#[tokio::test]
async fn removed_and_half_written_files_keep_the_last_valid_one() -> Result {
    let folder = Folder::new("half", &rate("5/hour"))?;
    let (traffik, _) = folder.app::<Watched>()?;
    let failed = async |what: &str, text: &str| {
        let is_so = async || {
            status(&traffik).is_ok_and(|status| status.error().is_some_and(|error| error.to_string().contains(text)))
        };
        until(what, is_so).await;
    };
    fs::remove_file(folder.file())?;
    failed("the file is missed", "cannot be read").await;
    let text = rate("6/hour");
    fs::write(folder.file(), &text[..text.len() - 3])?;
    failed("half of the file is read", "limits.toml:2").await;
    until_rate(&traffik, "5/hour").await;
    fs::write(folder.file(), &text)?;
    until_rate(&traffik, "6/hour").await;
    until("there is no error", async || status(&traffik).is_ok_and(|status| status.error().is_none())).await;
    Ok(())
}

#[tokio::test]
async fn file_whose_check_panics_is_invalid_and_watched_on() -> Result {
    let (log, _guard) = Log::begin();
    let folder = Folder::new("panicking-check", &rate("5/hour"))?;
    let (traffik, _) = folder.app::<Picky>()?;
    folder.write(&rate("13/hour"))?;
    let panicked = async || {
        status(&traffik).is_ok_and(|status| status.error().is_some_and(|error| error.reason().contains("on purpose")))
    };
    until("the file is invalid", panicked).await;
    until_rate(&traffik, "5/hour").await;
    assert_eq!(log.warnings(Warning::LimitsFileInvalid), 1, "{}", log.text());
    folder.write(&rate("6/hour"))?;
    until_rate(&traffik, "6/hour").await;
    folder.write(&rate("13/hour"))?;
    let error = traffik.reload_limits().await.map_or_else(|error| error.to_string(), |()| String::new());
    assert!(error.contains("limits.toml") && error.contains("`Strategy::check`"), "{error}");
    Ok(())
}

/// Changes of another file in the folder make the app look at the limits file.
#[tokio::test]
async fn file_that_becomes_valid_without_a_change_is_loaded() -> Result {
    let (log, _guard) = Log::begin();
    let folder = Folder::new("becomes-valid", &rate("5/hour"))?;
    let (traffik, _) = folder.app::<Watched>()?;
    let text = format!("{}[limit.\"file:later\"]\nrate = \"9/hour\"\n", rate("6/hour"));
    folder.write(&text)?;
    let failed = async || status(&traffik).is_ok_and(|status| status.error().is_some());
    until("the file names a limit that is missing", failed).await;
    fs::write(folder.0.join("other"), "1")?;
    assert!(traffik.reload_limits().await.is_err());
    let failures = status(&traffik)?.failures();
    traffik.add_limit("file:later", "8/hour".parse()?, Settings::new())?;
    fs::write(folder.0.join("other"), "2")?;
    until_rate(&traffik, "6/hour").await;
    assert_eq!(traffik.limit("file:later")?.info()?.rate().value(), "9/hour".parse()?);
    assert_eq!((status(&traffik)?.error(), status(&traffik)?.failures()), (None, failures));
    assert_eq!(log.warnings(Warning::LimitsFileInvalid), 2, "{}", log.text());
    Ok(())
}

static READINGS: AtomicUsize = AtomicUsize::new(0);

fn count_at_19(call: Call) {
    if checks(call, 19) {
        READINGS.fetch_add(1, SeqCst);
    }
}

throttle!(Counting, "file:counting", "3/hour", Settings::new().strategy(AnyStrategy::custom(Calling(count_at_19))));

#[tokio::test]
async fn file_that_stays_invalid_is_reported_once() -> Result {
    let (log, _guard) = Log::begin();
    let folder = Folder::new("stays-invalid", &rate("5/hour"))?;
    let (traffik, _) = folder.app::<(Watched, Counting)>()?;
    folder.write("[limit.\"file:counting\"]\nrate = \"19/hour\"\n[limit.\"file:never\"]\nrate = \"9/hour\"\n")?;
    for readings in 1..4 {
        until("the file is read", async || READINGS.load(SeqCst) >= readings).await;
        fs::write(folder.0.join("other"), readings.to_string())?;
    }
    let error = status(&traffik)?.error().map(ToString::to_string).unwrap_or_default();
    assert!(error.contains("file:never"), "{error}");
    assert_eq!((status(&traffik)?.failures(), log.warnings(Warning::LimitsFileInvalid)), (1, 1), "{}", log.text());
    Ok(())
}

#[cfg(unix)]
#[tokio::test]
async fn links_that_kubernetes_swaps_are_followed() -> Result {
    use std::os::unix::fs::symlink;

    let folder = Folder::new("kubernetes", &rate("5/hour"))?;
    let mount = folder.0.join("config");
    let publish = |version: &str, text: &str| -> io::Result<()> {
        fs::create_dir_all(mount.join(version))?;
        fs::write(mount.join(version).join("limits.toml"), text)?;
        symlink(version, mount.join("..data_tmp"))?;
        fs::rename(mount.join("..data_tmp"), mount.join("..data"))
    };
    publish("..2026_01", &rate("5/hour"))?;
    symlink("..data/limits.toml", mount.join("limits.toml"))?;
    let traffik = builder().0.register::<Watched>().limits_file(mount.join("limits.toml")).build()?;
    for (version, old, value) in [("..2026_02", "..2026_01", "6/hour"), ("..2026_03", "..2026_02", "7/hour")] {
        publish(version, &rate(value))?;
        until_rate(&traffik, value).await;
        fs::remove_dir_all(mount.join(old))?;
    }
    until("there is no error", async || status(&traffik).is_ok_and(|status| status.error().is_none())).await;
    Ok(())
}

/// Linux is known to report such a change immediately.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn folder_that_is_replaced_is_watched() -> Result {
    let folder = Folder::new("replaced", &rate("5/hour"))?;
    let (conf, old, new) = (folder.0.join("conf"), folder.0.join("old"), folder.0.join("new"));
    fs::create_dir(&conf)?;
    fs::write(conf.join("limits.toml"), rate("5/hour"))?;
    let traffik = builder().0.register::<Watched>().limits_file(conf.join("limits.toml")).build()?;
    fs::create_dir(&new)?;
    fs::write(new.join("limits.toml"), rate("6/hour"))?;
    fs::rename(&conf, &old)?;
    fs::rename(&new, &conf)?;
    until_rate(&traffik, "6/hour").await;
    // Sooner than a file is read that is not watched.
    fs::write(conf.join("limits.toml"), rate("7/hour"))?;
    tokio::time::timeout(Duration::from_secs(8), until_rate(&traffik, "7/hour")).await?;
    Ok(())
}

#[cfg(unix)]
#[tokio::test]
async fn file_behind_a_link_is_watched() -> Result {
    let (folder, elsewhere) = (Folder::new("link", "# nothing\n")?, Folder::new("elsewhere", &rate("5/hour"))?);
    fs::remove_file(folder.file())?;
    std::os::unix::fs::symlink(elsewhere.file(), folder.file())?;
    let (traffik, _) = folder.app::<Watched>()?;
    elsewhere.write(&rate("6/hour"))?;
    until_rate(&traffik, "6/hour").await;
    Ok(())
}

#[tokio::test]
async fn thread_does_not_keep_the_app() -> Result {
    let folder = Folder::new("dropped", &rate("5/hour"))?;
    let held = Arc::new(());
    let of_the_app = Arc::clone(&held);
    let builder = builder().0.register::<Watched>().limits_file(folder.file());
    let traffik = builder.identity(move |_| traffik::Client::from(Arc::strong_count(&of_the_app) as u64)).build()?;
    folder.write(&rate("6/hour"))?;
    until_rate(&traffik, "6/hour").await;
    drop(traffik);
    // The thread holds it only while it loads the file.
    until("the app is dropped", async || Arc::strong_count(&held) == 1).await;
    Ok(())
}

/// The file changes both limits while requests run. Each response has both values of one version.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_is_decided_by_half_of_a_file() -> Result {
    let both = |limit: u64| {
        format!("[limit.\"file:first\"]\nrate = \"{limit}/hour\"\n[limit.\"file:second\"]\nrate = \"{limit}/hour\"\n")
    };
    let folder = Folder::new("whole", &both(1_000_000))?;
    let (traffik, _) = folder.app::<(First, Second)>()?;
    let app = Router::new().route("/", get(|_: Throttled<(First, Second)>| async {})).layer(traffik.layer());
    let server = Server::start(app).await;
    let ends = Arc::new(AtomicBool::new(false));
    let requests: Vec<_> = (0..2)
        .map(|_| {
            let (server, ends) = (server.reconnected(), Arc::clone(&ends));
            tokio::spawn(async move {
                let mut policies = std::collections::HashSet::new();
                while !ends.load(SeqCst) {
                    policies.insert(server.get("/").await.policy().unwrap_or_default().to_owned());
                }
                policies
            })
        })
        .collect();
    for limit in 1_000_001..1_000_020 {
        folder.write(&both(limit))?;
        traffik.reload_limits().await?;
        assert_eq!(server.get("/").await.policy(), Some(&*policy(limit)));
    }
    folder.write("[")?;
    assert!(traffik.reload_limits().await.is_err());
    assert_eq!(server.get("/").await.policy(), Some(&*policy(1_000_019)));
    ends.store(true, SeqCst);
    let whole: Vec<_> = (1_000_000..1_000_020).map(policy).collect();
    for policies in requests {
        for seen in policies.await? {
            assert!(whole.contains(&seen), "{seen}");
        }
    }
    Ok(())
}

fn policy(limit: u64) -> String {
    format!(r#""file:first";q={limit};w=3600, "file:second";q={limit};w=3600"#)
}
