//! What this process knows of the changes that all processes on a backend share.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use traffik_core::backend::Control;

use crate::observe::LogThrottle;

/// What this process knows of the changes in each backend, in the order of the backends.
#[derive(Debug, Default)]
pub(super) struct SharedChanges {
    of: Mutex<Vec<Known>>,
    /// The number of the texts that are in force.
    in_force: Mutex<u64>,
    pub(super) failures: LogThrottle,
}

#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) version: u64,
    pub(super) texts: BTreeMap<String, String>,
    /// The number of answers that changed them.
    answers: u64,
    /// Whether a task reads them.
    pub(super) is_watched: bool,
    /// Whether this process made or asked for shared changes.
    pub(super) is_used: bool,
}

/// The texts of all backends.
pub(super) struct Texts {
    /// A higher one belongs to later texts.
    number: u64,
    pub(super) texts: Vec<SharedText>,
}

/// A text, and the place of its backend.
pub(super) struct SharedText {
    pub(super) place: usize,
    pub(super) name: String,
    pub(super) value: String,
}

impl SharedChanges {
    pub(super) fn with<R>(&self, place: usize, with: impl FnOnce(&mut Known) -> R) -> R {
        let mut of = self.of.lock();
        if of.len() <= place {
            of.resize_with(place + 1, Known::default);
        }
        match of.get_mut(place) {
            Some(known) => with(known),
            None => with(&mut Known::default()),
        }
    }

    /// Records an answer that was asked for when `version` was known, unless a later answer came before. Returns the texts of
    /// all backends, or `None` if they are in force.
    pub(super) fn record(&self, place: usize, version: u64, control: Control) -> Option<Texts> {
        let Control { version: latest, settings, .. } = control;
        let mut of = self.of.lock();
        let known = of.get_mut(place).filter(|known| known.version == version || latest > known.version);
        if let (Some(known), Some(settings)) = (known, settings) {
            (known.version, known.texts) = (latest, settings.into_iter().collect());
            known.answers += 1;
        }
        let number = number_of(&of);
        drop(of);
        // Another thread may have recorded them, and be about to put them in force: this answer is not received before.
        if *self.in_force.lock() >= number {
            return None;
        }
        let of = self.of.lock();
        let all = of.iter().enumerate().flat_map(|(place, known)| known.texts.iter().map(move |text| (place, text)));
        let texts = all.map(|(place, (name, value))| SharedText { place, name: name.clone(), value: value.clone() });
        Some(Texts { number: number_of(&of), texts: texts.collect() })
    }

    /// Puts texts in force, unless later ones are.
    pub(super) fn put_in_force(&self, texts: &Texts, put_in_force: impl FnOnce()) {
        let mut in_force = self.in_force.lock();
        if texts.number > *in_force {
            *in_force = texts.number;
            put_in_force();
        }
    }
}

/// Returns the number of the texts that are known.
fn number_of(of: &[Known]) -> u64 {
    of.iter().map(|known| known.answers).sum()
}
