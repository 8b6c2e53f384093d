//! Limits from a file: its text becomes [`Tables`], and these become values of the source
//! [`File`](super::changes::Source::File) once they are checked against the limits of an app.

mod file_limits;
mod tables;

use std::{
    fs::File,
    io::{self, Read},
    ops::Range,
    path::Path,
    sync::Arc,
};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

pub use self::file_limits::WithoutEffect;
pub(crate) use self::file_limits::{FileLimits, MadeLimit};
use self::tables::{LimitTable, Tables};
use crate::limit::{
    limits_file_error::{LimitsFileError, Place},
    start_settings::{OfLimit, StartSettings},
};

/// A limits file whose tables are of the right form.
#[derive(Debug)]
pub(crate) struct LimitsFile {
    path: Arc<Path>,
    text: String,
    tables: Tables,
}

impl LimitsFile {
    /// The highest size of a file in bytes: 4 MiB.
    const MAX_SIZE: usize = 4 << 20;

    /// Returns the text of a file.
    pub(crate) fn read(path: &Arc<Path>) -> Result<String, LimitsFileError> {
        let mut text = String::new();
        let limit = u64::try_from(Self::MAX_SIZE).unwrap_or(u64::MAX).saturating_add(1);
        let read = File::open(path).and_then(|file| file.take(limit).read_to_string(&mut text));
        let file = Place::file(path);
        match read {
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(file.error("the file is not UTF-8")),
            Err(error) => Err(file.error(format_args!("the file cannot be read: {error}"))),
            Ok(size) if size > Self::MAX_SIZE => {
                Err(file.error(format_args!("the file is too large: write at most {} bytes", Self::MAX_SIZE)))
            }
            // Editors and copies often empty a file before they write it.
            Ok(0) => Err(file.error("the file is empty: write at least a comment, if it should change nothing")),
            Ok(_) => Ok(text),
        }
    }

    pub(crate) fn parse(path: &Arc<Path>, text: String) -> Result<Self, LimitsFileError> {
        match toml::from_str(&text) {
            Ok(tables) => Ok(Self { path: Arc::clone(path), text, tables }),
            Err(error) => {
                let place = error.span().map_or_else(|| Place::file(path), |span| place(path, &text, &span));
                Err(place.error(error.message().trim_end().replace('\n', ", ")))
            }
        }
    }

    /// Returns what holds from the start.
    pub(crate) fn start_settings(&self) -> StartSettings {
        let limits = self.tables.limit.iter();
        StartSettings::new(limits.map(|(uid, limit)| (uid.get_ref().as_str().into(), self.start_of(limit))))
    }

    fn start_of(&self, limit: &LimitTable) -> OfLimit {
        let strategy = limit.strategy.as_ref();
        let penalty = limit.penalty.as_ref();
        OfLimit {
            strategy: strategy.map(|strategy| (strategy.get_ref().strategy.clone(), self.place(strategy))),
            penalty: penalty.map(|penalty| (penalty.get_ref().settings(), self.place(penalty))),
        }
    }

    fn place<T>(&self, value: &Spanned<T>) -> Place {
        place(&self.path, &self.text, &value.span())
    }

    /// Returns an error about the whole file.
    pub(crate) fn error(&self, reason: impl std::fmt::Display) -> LimitsFileError {
        Place::file(&self.path).error(reason)
    }

    /// Returns an error about a limit that the file makes.
    pub(crate) fn error_of_new(&self, uid: &str, reason: impl std::fmt::Display) -> LimitsFileError {
        let new = self.tables.new.iter().find(|(new, _)| new.get_ref() == uid);
        new.map_or_else(|| Place::file(&self.path), |(uid, _)| self.place(uid)).error(reason)
    }
}

fn place(path: &Arc<Path>, text: &str, span: &Range<usize>) -> Place {
    let before = text.get(..span.start).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let mut key = Vec::new();
    let is_found = DeTable::parse(text).is_ok_and(|table| find(table.get_ref(), span.start, &mut key));
    Place { path: Arc::clone(path), line: Some(line), key: is_found.then(|| key.join(".").into()) }
}

/// Finds the key or the innermost value at a position. A table that is written in parts does not span all of them.
fn find(table: &DeTable<'_>, at: usize, path: &mut Vec<String>) -> bool {
    table.iter().any(|(key, value)| {
        path.push(written(key.get_ref()));
        let is_here = find_in(value, at, path) || key.span().contains(&at);
        if !is_here {
            path.pop();
        }
        is_here
    })
}

fn find_in(value: &Spanned<DeValue<'_>>, at: usize, path: &mut Vec<String>) -> bool {
    let is_within = match value.get_ref() {
        DeValue::Table(table) => find(table, at, path),
        DeValue::Array(array) => array.iter().any(|value| find_in(value, at, path)),
        _ => false,
    };
    is_within || value.span().contains(&at)
}

/// Returns a key as it is written in TOML.
fn written(key: &str) -> String {
    let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if !key.is_empty() && key.bytes().all(is_bare) { key.to_owned() } else { format!("{key:?}") }
}
