//! Limits that are added while the file is loaded.

use std::{
    hint::spin_loop,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
};

use futures_util::FutureExt;
use traffik::{ConfigError, MemoryBackend, Rate, Settings, Traffik, clock::AnyClock};

use super::{Folder, Result};
use crate::control::{FIVE, TWO, hooked_clock::HookedClock};

const UID: &str = "site:search";
const MADE: &str = "[new.\"site:search\"]\nrate = \"2/hour\"\npath = \"/search\"\n";
const BLOCK: &str = "[[new.\"site:search\".block]]\nclient = \"mallory\"\nuntil = 2040-01-01T00:00:00Z\n";

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
    folder.write(&format!("{MADE}{BLOCK}"))?;
    // The end of the block is read after the uid was found to be free.
    clock.then(move || {
        let is_added = adding.add_limit(UID, FIVE, Settings::new()).is_ok();
        *seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(is_added);
    });
    let loaded = traffik.reload_limits().now_or_never().ok_or("it waits")?;
    let Err(ConfigError::LimitsFile(error)) = loaded else { return Err(format!("{loaded:?}").into()) };
    assert_eq!(*added.lock().unwrap_or_else(PoisonError::into_inner), Some(true));
    assert_eq!((error.line(), error.key()), (Some(1), Some("new.\"site:search\"")), "{error}");
    assert!(error.reason().contains("limit added at"), "{error}");
    assert_eq!(traffik.limit(UID)?.info()?.rate().value(), FIVE);
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
