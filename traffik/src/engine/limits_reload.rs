//! Loads the limits file of an app: at the start, on request, and when it changes.

use std::{
    any::Any,
    hash::BuildHasher,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{Arc, atomic::Ordering},
};

use super::{
    builder::TraffikBuilder,
    limits_file::{FileState, LastRead, LimitsFileStatus, Watch, current_dispatch, with_dispatch},
    traffik::Traffik,
};
use crate::{
    limit::{
        ConfigError, LimitsFileError, Place,
        file::{FileLimits, LimitsFile, MadeLimit, WithoutEffect},
    },
    warning::{Warning, warn_of},
};

const CHECK_PANICKED: &str =
    "a strategy of the app panicked when it checked a rate: correct its `Strategy::check`, or the rate";

impl TraffikBuilder {
    /// Changes limits by a file, which is read again whenever it changes. Requires the feature `file`. See the guide,
    /// `docs/limits-file.md`.
    ///
    /// ```no_run
    /// use traffik::{MemoryBackend, Traffik};
    ///
    /// let traffik = Traffik::builder(MemoryBackend::new("myapp")).limits_file("limits.toml").build()?;
    /// # Ok::<(), traffik::ConfigError>(())
    /// ```
    ///
    /// ```toml
    /// [limit."api:search"]
    /// rate = "20/min"
    ///
    /// [[limit."api:search".block]]
    /// client = "203.0.113.7"
    /// reason = "scrapes"
    /// ```
    ///
    /// [`build`](Self::build) returns a [`ConfigError::LimitsFile`] if the file is missing or invalid. Later, an invalid file
    /// changes nothing: the last valid one stays in force. That is logged as the warning
    /// [`LimitsFileInvalid`](Warning::LimitsFileInvalid), and [`Traffik::limits_file_status`] shows it.
    ///
    /// A thread waits for changes of the file until the last [`Traffik`] of the app is dropped. It also sees a symbolic link that
    /// is replaced, as Kubernetes does with a `ConfigMap`.
    pub fn limits_file(mut self, path: impl AsRef<Path>) -> Self {
        self.limits_file = Some(path.as_ref().into());
        self
    }

    /// Adds a function that receives the state of the [limits file](Self::limits_file) each time that the file was read: in
    /// [`build`](Self::build), on request, and when it changed. [`LimitsFileStatus::error`] says whether it is in force.
    /// Requires the feature `file`.
    ///
    /// ```
    /// use traffik::{MemoryBackend, Traffik};
    ///
    /// let builder = Traffik::builder(MemoryBackend::new("myapp")).on_limits_file(|status| {
    ///     if let Some(error) = status.error() {
    ///         eprintln!("call the operator: {error}");
    ///     }
    /// });
    /// ```
    ///
    /// It may be called several times: each function receives every state. A function runs on the thread that read the file, and
    /// no other load begins until it returns, so it must not load the file itself. A panic is logged.
    pub fn on_limits_file(mut self, hook: impl Fn(&LimitsFileStatus) + Send + Sync + 'static) -> Self {
        self.file_hooks.add(hook);
        self
    }

    /// Checks a limits file against the throttles of the app, and returns what [`build`](Self::build) would load.
    ///
    /// For a test, or for a flag of the app. No backend is called, so the builder may have a
    /// [`MemoryBackend`](crate::MemoryBackend) in place of the app's own.
    ///
    /// ```
    /// use traffik::{ConfigError, MemoryBackend, Traffik};
    ///
    /// let checked = Traffik::builder(MemoryBackend::new("check")).check_limits_file("no such file");
    /// assert!(matches!(checked, Err(ConfigError::LimitsFile(_))));
    /// ```
    ///
    /// # Errors
    ///
    /// The same as [`build`](Self::build).
    pub fn check_limits_file(self, path: impl AsRef<Path>) -> Result<LimitsFileStatus, ConfigError> {
        let traffik = self.limits_file(path).build_unwatched()?;
        traffik.limits_file_status().ok_or(ConfigError::NoLimitsFile)
    }
}

impl Traffik {
    /// Loads the [limits file](TraffikBuilder::limits_file) now. It is also loaded when it changes.
    ///
    /// # Errors
    ///
    /// Returns an error if the app has no limits file, or if the file is missing or invalid. Then the last valid one stays in
    /// force.
    pub async fn reload_limits(&self) -> Result<(), ConfigError> {
        let (traffik, dispatch) = (self.clone(), current_dispatch());
        let load = move || with_dispatch(dispatch.as_ref(), || traffik.load_limits(true));
        // Reading blocks.
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => match runtime.spawn_blocking(load).await {
                Ok(loaded) => loaded,
                Err(error) => Err(Place::file(&self.file_state()?.path).error(error).into()),
            },
            Err(_) => load(),
        }
    }

    /// Returns the state of the [limits file](TraffikBuilder::limits_file). `None` if the app has none.
    #[must_use]
    pub fn limits_file_status(&self) -> Option<LimitsFileStatus> {
        let status = self.app.limits_file.as_ref()?.status.lock();
        Some(status.clone())
    }

    /// Puts the file that the app is built with in force.
    pub(super) fn start_limits(&self, file: &LimitsFile) -> Result<(), ConfigError> {
        let state = self.file_state()?;
        let without_effect = self.put_in_force(file)?;
        self.report(state, Ok(without_effect));
        Ok(())
    }

    /// Starts to wait for changes of the file.
    pub(super) fn watch_limits(&self) {
        let Some(state) = &self.app.limits_file else { return };
        let app = Arc::downgrade(&self.app);
        let load_if_changed = move || {
            let Some(app) = app.upgrade() else { return false };
            // Errors are logged and counted.
            let _ = Self { app }.load_limits(false);
            true
        };
        match Watch::start(&state.path, load_if_changed) {
            Ok((watch, problem)) => {
                let _ = state.watch.set(watch);
                if let Some(problem) = problem {
                    self.warn_unwatched(state, &problem);
                }
            }
            Err(error) => self.warn_unwatched(state, &error),
        }
    }

    /// Loads the file. With `always` also if it is as it was. Without, a file that the limits of the app refused is tried again,
    /// and the same error is not reported again.
    fn load_limits(&self, always: bool) -> Result<(), ConfigError> {
        let state = self.file_state()?;
        let mut last = state.last.lock();
        let text = LimitsFile::read(&state.path);
        let hash = state.hasher.hash_one(&text);
        let is_known = last.hash == hash && !always;
        if is_known && !last.is_refused {
            return Ok(());
        }
        *last = LastRead { hash, is_refused: false };
        let file = text.and_then(|text| LimitsFile::parse(&state.path, text));
        let loaded = file.and_then(|file| {
            // A strategy of the app checks rates. If it panics, the file is invalid, and the app goes on.
            let put = catch_unwind(AssertUnwindSafe(|| self.put_in_force(&file)));
            last.is_refused = matches!(put, Ok(Err(_)));
            put.unwrap_or_else(|panic| Err(file.error(format_args!("{CHECK_PANICKED}{}", text_of(&*panic)))))
        });
        let error = loaded.as_ref().err().cloned();
        if is_known && error.is_some() && error.as_ref() == state.status.lock().error() {
            return error.map_or(Ok(()), |error| Err(error.into()));
        }
        state.instruments.read(error.is_none());
        self.report(state, loaded);
        error.map_or(Ok(()), |error| Err(error.into()))
    }

    /// Puts a file in force. Returns the values that other sources replace.
    fn put_in_force(&self, file: &LimitsFile) -> Result<Vec<WithoutEffect>, LimitsFileError> {
        let state = self.app.limits_file.as_ref();
        let before = state.map(|state| state.made.load_full()).unwrap_or_default();
        let counted_as = |client| self.counted_as(client);
        let limits = FileLimits::new(file, self.table(), &before, counted_as, self.clock())?;
        let definitions: Vec<_> = limits.made.iter().map(|made| Arc::clone(&made.definition)).collect();
        let made = Arc::new(limits.made.clone());
        let uids = before.iter().map(|made| Arc::clone(&made.definition.uid));
        // A limit that is added under the uid of one that was removed keeps its changes.
        let replaced = self.changes().try_change(|live| {
            let replaced = self.table().put_file(uids, &definitions)?;
            limits.put_into(live);
            replaced.removed.iter().for_each(|removed| live.forget(&removed.uid));
            Ok(replaced)
        });
        let replaced = replaced.map_err(|(uid, error)| file.error_of_new(&uid, error))?;
        // The layer meets the new limits before anything else is done.
        if let Some(state) = state {
            state.made.store(made);
            self.warn_unapplied(state);
        }
        self.changed();
        drop(replaced);
        let live = self.changes().latest();
        limits.warn_of_costs(&live, self.warnings());
        Ok(limits.without_effect(&live))
    }

    fn report(&self, state: &FileState, loaded: Result<Vec<WithoutEffect>, LimitsFileError>) {
        let status = self.record(state, loaded);
        #[cfg(feature = "admin")]
        self.table().observers().streams.other("limits_file", || serde_json::to_string(&status).unwrap_or_default());
        state.hooks.call(&status);
    }

    /// Logs what is wrong, and returns the new state.
    fn record(&self, state: &FileState, loaded: Result<Vec<WithoutEffect>, LimitsFileError>) -> LimitsFileStatus {
        let mut status = state.status.lock();
        match loaded {
            Ok(without_effect) => {
                if !without_effect.is_empty() && without_effect != status.without_effect {
                    self.warn_without_effect(state, &without_effect);
                }
                status.loaded(without_effect);
            }
            Err(error) => {
                if !self.warnings().is_silenced(Warning::LimitsFileInvalid) {
                    warn_of!(
                        Warning::LimitsFileInvalid,
                        %error,
                        "the limits file cannot be used, so the last valid one stays in force: correct the file"
                    );
                }
                status.failed(error);
            }
        }
        status.clone()
    }

    fn warn_without_effect(&self, state: &FileState, values: &[WithoutEffect]) {
        /// The highest number of values in a log line.
        const SHOWN: usize = 10;
        if !self.warnings().is_silenced(Warning::LimitsFileWithoutEffect) {
            let shown: Vec<_> = values.iter().take(SHOWN).map(ToString::to_string).collect();
            warn_of!(
                Warning::LimitsFileWithoutEffect,
                path = %state.path.display(),
                values = shown.join(", "),
                more = values.len() - shown.len(),
                "values of the limits file are not in force, because other sources replace them: remove either"
            );
        }
    }

    /// Returns the limits that the file makes.
    pub(crate) fn made_by_file(&self) -> Arc<Vec<MadeLimit>> {
        self.app.limits_file.as_ref().map(|state| state.made.load_full()).unwrap_or_default()
    }

    /// Records that the app has a layer that applies the limits which the file makes.
    pub(crate) fn has_file_layer(&self) {
        if let Some(state) = &self.app.limits_file {
            state.has_layer.store(true, Ordering::Relaxed);
        }
    }

    /// Records that the app has its own layer, which is added last.
    pub(crate) fn is_served(&self) {
        if let Some(state) = &self.app.limits_file {
            state.is_served.store(true, Ordering::Relaxed);
            self.warn_unapplied(state);
        }
    }

    /// Warns of limits that no layer applies.
    fn warn_unapplied(&self, state: &FileState) {
        let is_applied = state.has_layer.load(Ordering::Relaxed) || !state.is_served.load(Ordering::Relaxed);
        let is_missing = !is_applied && !state.made.load().is_empty();
        if is_missing && self.warnings().is_first(Warning::LimitsFileUnapplied, None) {
            warn_of!(
                Warning::LimitsFileUnapplied,
                path = %state.path.display(),
                "no layer applies the limits that the limits file makes (`[new.\"uid\"]`): add \
                 `.layer(traffik.file_limits_layer())` to the router, before `.layer(traffik.layer())`"
            );
        }
    }

    fn warn_unwatched(&self, state: &FileState, error: &dyn std::fmt::Display) {
        if !self.warnings().is_silenced(Warning::LimitsFileUnwatched) {
            warn_of!(
                Warning::LimitsFileUnwatched,
                path = %state.path.display(),
                %error,
                "the system does not report changes of the limits file"
            );
        }
    }

    fn file_state(&self) -> Result<&FileState, ConfigError> {
        self.app.limits_file.as_ref().ok_or(ConfigError::NoLimitsFile)
    }
}

/// Returns the text of a panic for the end of a sentence, if it has one.
fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.map_or_else(String::new, |text| format!(" (it said: {text})"))
}
