use std::{fmt, path::Path, sync::Arc};

/// An error in a limits file: its place, and what is allowed there.
///
/// It is written as `limits.toml:3: limit."api:search".rate: the reason`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LimitsFileError {
    place: Place,
    reason: Box<str>,
}

/// A place in a limits file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    pub(super) path: Arc<Path>,
    /// From 1 on. `None` if it is the whole file.
    pub(super) line: Option<usize>,
    pub(super) key: Option<Box<str>>,
}

impl Place {
    /// Returns the whole file.
    pub(crate) fn file(path: &Arc<Path>) -> Self {
        Self { path: Arc::clone(path), line: None, key: None }
    }

    pub(crate) fn error(self, reason: impl fmt::Display) -> LimitsFileError {
        LimitsFileError { place: self, reason: reason.to_string().into() }
    }
}

impl LimitsFileError {
    /// Returns the path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.place.path
    }

    /// Returns the number of the line, from 1 on. `None` if the file cannot be read, or if something is missing in it.
    #[must_use]
    pub fn line(&self) -> Option<usize> {
        self.place.line
    }

    /// Returns the key, such as `limit."api:search".rate`. `None` if the text is not TOML.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        self.place.key.as_deref()
    }

    /// Returns what is wrong, and what is allowed.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl fmt::Display for LimitsFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { path, line, key } = &self.place;
        write!(f, "{}", path.display())?;
        if let Some(line) = line {
            write!(f, ":{line}")?;
        }
        if let Some(key) = key {
            write!(f, ": {key}")?;
        }
        write!(f, ": {}", self.reason)
    }
}

impl std::error::Error for LimitsFileError {}
