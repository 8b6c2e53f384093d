//! Changes that all processes on a backend share.
//!
//! The backend stores them as texts with one version. A task for each backend reads them once a second, if they may change: the
//! answer is short as long as the version is the known one. A change is a compare-and-swap of one text, so that changes of other
//! processes are kept.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Weak},
    time::Duration,
};

use traffik_core::{
    backend::{BackendError, Control, ControlRequest, MaybeReady},
    clock::AnyClock,
};

use super::{
    Check, Error, Traffik,
    shared_state::{Known, SharedText},
    traffik::App,
};
use crate::{
    limit::changes::{ClientSetting, Live, Name, SharedValue},
    store::{Store, each, within_on_any_runtime},
    warning::{Warning, warn_of},
};

/// How often the changes are read.
const PAUSE: Duration = Duration::from_secs(1);

/// The number of texts that have ended and are removed with each read.
const REMOVED: usize = 8;

impl Traffik {
    /// Starts to read the changes of each backend. Tasks go on where there may be any.
    pub(super) fn watch_shared(&self) {
        for place in 0..self.app.table.stores.iter().count() {
            self.watch_in(place);
        }
    }

    /// Reads the changes of all backends from now on.
    pub(crate) fn use_shared(&self) {
        for place in 0..self.app.table.stores.iter().count() {
            self.app.shared.with(place, |known| known.is_used = true);
            self.watch_in(place);
        }
    }

    fn watch_in(&self, place: usize) {
        let Some(store) = self.app.table.stores.iter().nth(place) else { return };
        if !self.app.shared.with(place, |known| std::mem::replace(&mut known.is_watched, true)) {
            store.start_task(watch(Arc::downgrade(&self.app), Arc::downgrade(store), place));
        }
    }

    /// Reads the changes of all backends now.
    pub(crate) async fn read_shared(&self) -> Result<(), BackendError> {
        each(self.app.table.stores.iter().enumerate().map(|(place, store)| self.read_in(place, store))).await
    }

    async fn read_in(&self, place: usize, store: &Store) -> Result<(), BackendError> {
        let known = self.app.shared.with(place, |known| known.version);
        let answer = store.control(ControlRequest::Read { known });
        let control = within_on_any_runtime(store.clock(), store.timeout(), answer).await?;
        self.receive(place, known, control);
        Ok(())
    }

    /// Sets or removes a shared text of a limit in its backend, and removes it from the others: the limit was there before, and
    /// what is left there would stay in force.
    pub(crate) async fn share(&self, store: &Arc<Store>, name: &str, value: Option<&str>) -> Result<(), Error> {
        self.share_in(store, name, value).await?;
        self.unshare(name, Some(store), value).await
    }

    /// Removes a shared text from each backend that has another `value`, except for one. The same value does no harm, and two
    /// backends may store in one place.
    async fn unshare(&self, name: &str, except: Option<&Arc<Store>>, value: Option<&str>) -> Result<(), Error> {
        let stores = self.app.table.stores.iter().enumerate();
        let others = stores.filter(|(_, store)| !except.is_some_and(|except| Arc::ptr_eq(except, store)));
        each(others.map(|(place, store)| self.unshare_in(place, store, name, value))).await
    }

    async fn unshare_in(&self, place: usize, store: &Arc<Store>, name: &str, value: Option<&str>) -> Result<(), Error> {
        // A process may have made a change that this one has not read. Without a task there is none.
        let is_watched = self.app.shared.with(place, |known| known.is_watched);
        let read = if is_watched { self.read_in(place, store).await } else { Ok(()) };
        let text = self.app.shared.with(place, |known| known.texts.get(name).cloned());
        if text.is_none() || text.as_deref() == value {
            // What was just set in the backend of its limit is stronger than what an unread backend may have.
            return if value.is_some() { Ok(()) } else { Ok(read?) };
        }
        self.share_in(store, name, None).await
    }

    /// Sets or removes a shared text of one backend.
    pub(crate) async fn share_in(&self, store: &Arc<Store>, name: &str, value: Option<&str>) -> Result<(), Error> {
        let Some(place) = self.place_of(store) else { return Ok(()) };
        let (mut version, known) = self.app.shared.with(place, |known| (known.version, known.texts.get(name).cloned()));
        let received = |control| {
            self.receive(place, version, control);
            version = self.app.shared.with(place, |known| known.version);
        };
        Ok(store.replace_text(name, known, value, received).await?)
    }

    fn place_of(&self, store: &Arc<Store>) -> Option<usize> {
        self.app.table.stores.iter().position(|other| Arc::ptr_eq(other, store))
    }

    /// Returns the shared texts of a backend whose names `is_one` accepts, as this process knows them.
    pub(crate) fn shared_texts(&self, store: &Arc<Store>, is_one: impl Fn(&Name<'_>) -> bool) -> Vec<(String, String)> {
        let Some(place) = self.place_of(store) else { return Vec::new() };
        self.app.shared.with(place, |known| {
            let texts = known.texts.iter().filter(|(name, _)| Name::parse(name).is_some_and(|name| is_one(&name)));
            texts.map(|(name, value)| (name.clone(), value.clone())).collect()
        })
    }

    /// Removes some of the shared texts that have ended. A failure does no harm.
    pub(crate) async fn remove_ended(&self, store: &Arc<Store>) {
        let Some(place) = self.place_of(store) else { return };
        // A clock of the application is not read with the lock.
        let now = self.clock().wall_clock();
        let ended: Vec<_> = self.app.shared.with(place, |known| {
            let ended = known.texts.iter().filter(|(name, value)| SharedValue::text_has_ended(name, value, now));
            ended.take(REMOVED).map(|(name, value)| (name.clone(), value.clone())).collect()
        });
        for (name, ended) in ended {
            if self.remove_ended_text(store, &name, &ended).await.is_err() {
                return;
            }
        }
    }

    /// Returns whether a shared text has an end, and it has passed.
    pub(crate) fn has_ended(&self, name: &str, value: &str) -> bool {
        SharedValue::text_has_ended(name, value, self.clock().wall_clock())
    }

    /// Removes a shared text, unless it is another one by now: a process may have set it again.
    async fn remove_ended_text(&self, store: &Arc<Store>, name: &str, ended: &str) -> Result<(), BackendError> {
        let Some(place) = self.place_of(store) else { return Ok(()) };
        let version = self.app.shared.with(place, |known| known.version);
        let request = ControlRequest::Replace { name, expected: Some(ended), value: None };
        let control = within_on_any_runtime(store.clock(), store.timeout(), store.control(request)).await?;
        self.receive(place, version, control);
        Ok(())
    }

    /// Ends the penalty of a client in all processes, and forgets its refusals in this one.
    pub(super) async fn end_penalty(&self, check: &Check<'_>) -> Result<(), Error> {
        let (definition, Some(client)) = (check.definition, check.client.key()) else { return Ok(()) };
        if let Some(penalties) = check.limit_backend().and_then(|backend| backend.penalties.as_ref()) {
            penalties.forget(client);
        }
        let has_penalty =
            |live: &Live| live.of(&definition.uid).clients.iter().any(|clients| clients.has_penalty(client));
        if has_penalty(&self.changes().latest()) {
            self.change(|live| {
                let clients = live.of_mut(&definition.uid).clients.iter_mut();
                clients.for_each(|clients| clients.change(client.clone(), |client| client.penalty = None));
            });
        }
        match Name::Client(ClientSetting::Penalty, &definition.uid, client.clone()).to_text() {
            Some(name) => self.unshare(&name, None, None).await,
            None => Ok(()),
        }
    }

    /// Puts an answer in force, which was asked for when `version` was known.
    fn receive(&self, place: usize, version: u64, control: Control) {
        let Some(texts) = self.app.shared.record(place, version, control) else { return };
        // Strategies of the application check rates, so there is no lock.
        let (mut usable, invalid): (Vec<_>, Vec<_>) = texts.texts.iter().partition(|text| self.is_usable(text));
        // The last one is in force: that of the backend in which the limit is.
        usable.sort_by_cached_key(|text| self.is_at_home(text));
        let clock: &AnyClock = self.clock();
        self.app.shared.put_in_force(&texts, || {
            let texts = usable.iter().map(|text| (text.name.as_str(), text.value.as_str()));
            self.change(|live| live.set_shared(texts, clock));
        });
        self.warn_of_unknown(invalid.iter().map(|text| text.name.as_str()));
    }

    /// Returns `true` if a text is in the backend of its limit.
    fn is_at_home(&self, text: &SharedText) -> bool {
        if self.app.table.stores.iter().count() == 1 {
            return true;
        }
        let definition = Name::parse(&text.name).and_then(|name| self.app.table.by_uid(name.uid()?).ok());
        let store = definition.as_ref().and_then(|(definition, _)| definition.shared_store());
        store.is_some_and(|store| self.place_of(store) == Some(text.place))
    }

    /// Returns `true` if this release understands a text, and the limit supports it.
    fn is_usable(&self, text: &SharedText) -> bool {
        let Some(name) = Name::parse(&text.name) else { return false };
        let Some(value) = SharedValue::parse(&name, &text.value) else { return false };
        let (Some(uid), SharedValue::Rate(rate) | SharedValue::ClientRate(_, rate)) = (name.uid(), value) else {
            return true;
        };
        // A limit that is met later checks the rate then.
        let is_supported =
            || self.app.table.by_uid(uid).map_or(true, |(definition, _)| definition.check_changed_rate(rate).is_ok());
        // A strategy of the application that panics would end the task that reads the changes.
        catch_unwind(AssertUnwindSafe(is_supported)).unwrap_or(false)
    }

    fn warn_of_unknown<'n>(&self, names: impl Iterator<Item = &'n str>) {
        // The third line is a client.
        let names: Vec<_> = names.map(|name| name.lines().take(2).collect::<Vec<_>>().join(" ")).collect();
        if !names.is_empty() && self.warnings().is_first(Warning::UnknownSharedChange, None) {
            warn_of!(
                Warning::UnknownSharedChange,
                ?names,
                "these shared changes have no effect in this process: a newer release made them, or the strategy does not \
                 support the rate"
            );
        }
    }
}

/// Reads the changes of a backend, as long as there may be any. It keeps neither the app nor the backend alive.
async fn watch(app: Weak<App>, store: Weak<Store>, place: usize) {
    loop {
        let (Some(this), Some(store)) = (app.upgrade(), store.upgrade()) else { return };
        let known = this.shared.with(place, |known| known.version);
        drop(this);
        let answer = store.control(ControlRequest::Read { known });
        // A backend that answers immediately belongs to this process, or shares nothing. Others may be unavailable immediately,
        // as outside a runtime.
        let is_immediate = match &answer {
            MaybeReady::Ready(answer) => !matches!(answer, Err(BackendError::Unavailable(_))),
            MaybeReady::Pending(_) => false,
        };
        let answer = within_on_any_runtime(store.clock(), store.timeout(), answer).await;
        let Some(this) = app.upgrade().map(|app| Traffik { app }) else { return };
        match answer {
            Ok(control) => {
                this.receive(place, known, control);
                this.remove_ended(&store).await;
            }
            Err(BackendError::Closed) => return,
            Err(error) => this.could_not_read(place, &error, store.clock()),
        }
        let ends = |known: &mut Known| {
            known.is_watched = !is_immediate || known.is_used || known.version > 0;
            !known.is_watched
        };
        if this.app.shared.with(place, ends) {
            return;
        }
        let clock = store.clock().clone();
        drop((this, store));
        clock.sleep_on_any_runtime(PAUSE).await;
    }
}

impl Traffik {
    /// Logs at most once a second that the changes stay as they are, if there are any.
    fn could_not_read(&self, place: usize, error: &BackendError, clock: &AnyClock) {
        let matters = self.app.shared.with(place, |known| known.is_used || known.version > 0);
        if matters && self.app.shared.failures.is_due(clock.now()) {
            tracing::warn!(%error, "shared changes cannot be read: limits stay as they are");
        }
    }
}
