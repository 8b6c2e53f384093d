//! Limits that are added while the file is loaded.

use std::{
    hint::spin_loop,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use axum::{Router, body::Body, http::Request, routing::get};
use futures_util::FutureExt;
use tower::ServiceExt;
use traffik::{MemoryBackend, Rate, Settings, Traffik, clock::AnyClock, test::RequestExt};

use super::{Folder, Result};
use crate::control::{FIVE, TWO, hooked_clock::HookedClock};

const UID: &str = "site:search";
const MADE: &str = "[new.\"site:search\"]\nrate = \"2/hour\"\npath = \"/search\"\n";
const BLOCK: &str = "[[new.\"site:search\".block]]\nclient = \"mallory\"\nuntil = 2040-01-01T00:00:00Z\n";

type Seen = Arc<Mutex<Vec<(bool, bool)>>>;

/// Outside of a runtime it is loaded on this thread.
fn reload(traffik: &Traffik) -> Result {
    Ok(traffik.reload_limits().now_or_never().ok_or("it waits")??)
}

#[test]
fn limit_that_is_added_while_the_file_is_loaded_is_an_error_that_names_it() -> Result {
    let folder = Folder::new("made-meanwhile", "# nothing\n")?;
    let clock = HookedClock::default();
    let backend = MemoryBackend::with_clock("test", clock.inner.clone());
    let traffik = Traffik::builder(backend).clock(AnyClock::new(clock.clone())).limits_file(folder.file()).build()?;
    let (adding, added) = (traffik.clone(), Arc::<Mutex<Option<bool>>>::default());
    let seen = Arc::clone(&added);
    // The end of the block is read after the uid was found to be free. The thread that watches the file may be the first to
    // load it.
    clock.then(move || {
        let is_added = adding.add_limit(UID, FIVE, Settings::new()).is_ok();
        *seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(is_added);
    });
    folder.write(&format!("{MADE}{BLOCK}"))?;
    let _ = traffik.reload_limits().now_or_never().ok_or("it waits")?;
    let status = traffik.limits_file_status().ok_or("no file")?;
    let error = status.error().ok_or("it was loaded")?;
    assert_eq!(*added.lock().unwrap_or_else(PoisonError::into_inner), Some(true));
    assert_eq!((error.line(), error.key()), (Some(1), Some("new.\"site:search\"")), "{error}");
    assert!(error.reason().contains("limit added at"), "{error}");
    assert_eq!(traffik.limit(UID)?.info()?.rate().value(), FIVE);
    Ok(())
}

/// Records, whenever the clock is read, whether a client of the limit is blocked, and whether the layer limits `/find`.
fn watch(clock: &HookedClock, traffik: Traffik, app: Router, seen: Seen) {
    let again = clock.clone();
    clock.then(move || {
        let is_blocked = traffik.limit(UID).is_ok_and(|limit| !limit.clients().is_empty());
        let is_limited = Request::get("/find").body(Body::empty()).is_ok_and(|request| {
            let response = app.clone().oneshot(request.with_peer("203.0.113.7:50000")).now_or_never();
            response.is_some_and(|Ok(response)| response.headers().contains_key("ratelimit"))
        });
        seen.lock().unwrap_or_else(PoisonError::into_inner).push((is_blocked, is_limited));
        watch(&again, traffik, app, seen);
    });
}

#[test]
fn layer_meets_the_limits_of_a_file_as_soon_as_its_changes_hold() -> Result {
    let folder = Folder::new("made-and-changed", MADE)?;
    let clock = HookedClock::default();
    let backend = MemoryBackend::with_clock("test", clock.inner.clone());
    let traffik = Traffik::builder(backend).clock(AnyClock::new(clock.clone())).limits_file(folder.file()).build()?;
    let routes = Router::new().route("/find", get(async || ()));
    let app = routes.layer(traffik.file_limits_layer()).layer(traffik.layer());
    // While a change has an end, the clock is read whenever changes are.
    traffik.add_limit("other", TWO, Settings::new())?.disable_for(Duration::from_secs(3600));
    let seen = Seen::default();
    folder.write(&format!("{}{BLOCK}", MADE.replace("/search", "/find")))?;
    watch(&clock, traffik.clone(), app, Arc::clone(&seen));
    let reloaded = reload(&traffik);
    clock.then(|| ());
    reloaded?;
    let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    assert!(
        seen.contains(&(true, true)) && seen.iter().all(|(is_blocked, is_limited)| is_blocked == is_limited),
        "{seen:?}"
    );
    Ok(())
}

/// Another thread makes changes all the time, so that a reload has to wait before it makes its own.
#[test]
fn limit_that_is_added_in_place_of_one_of_the_file_keeps_its_changes() -> Result {
    const ROUNDS: usize = 20;
    let folder = Folder::new("made-before", MADE)?;
    let traffik = Traffik::builder(MemoryBackend::new("test")).limits_file(folder.file()).build()?;
    // Each change copies the list of these.
    for other in 0..200 {
        traffik.add_limit(format!("other:{other}"), TWO, Settings::new())?.set_cost(2);
    }
    let (busy, ends) = (traffik.limit("other:0")?, AtomicBool::new(false));
    let round = || -> Result<Rate> {
        folder.write(MADE)?;
        reload(&traffik)?;
        folder.write("# nothing\n")?;
        thread::scope(|scope| {
            let reloading = scope.spawn(|| reload(&traffik));
            let limit = loop {
                let is_over = reloading.is_finished();
                match traffik.add_limit(UID, TWO, Settings::new()) {
                    Ok(limit) => break limit,
                    Err(error) if is_over => return Err(error.into()),
                    Err(_) => spin_loop(),
                }
            };
            limit.set_rate(FIVE)?;
            reloading.join().map_err(|_| "the reload panicked")??;
            let rate = limit.info()?.rate().value();
            traffik.remove_limit(UID)?;
            Ok(rate)
        })
    };
    let rates: Result<Vec<_>> = thread::scope(|scope| {
        scope.spawn(|| {
            while !ends.load(Relaxed) {
                busy.set_cost(3);
            }
        });
        let rates = (0..ROUNDS).map(|_| round()).collect();
        ends.store(true, Relaxed);
        rates
    });
    assert_eq!(rates?, [FIVE; ROUNDS]);
    Ok(())
}
