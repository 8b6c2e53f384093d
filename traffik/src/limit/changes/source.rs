use std::fmt;

/// A source of the values of settings, from the strongest to the weakest. The first source that has a value for a setting holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "lowercase"))]
#[non_exhaustive]
pub enum Source {
    /// A change in this process: [`LimitHandle`](crate::control::LimitHandle).
    Local,
    /// A change for all processes.
    Shared,
    /// A function of the throttle for each request, or a value that the caller of a check sets.
    Request,
    /// A file.
    File,
    /// The declaration of the throttle.
    Code,
}

/// Writes the name in lower case.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Local => "local",
            Self::Shared => "shared",
            Self::Request => "request",
            Self::File => "file",
            Self::Code => "code",
        })
    }
}

/// A value for each source that changes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct BySource<T> {
    pub(crate) local: T,
    pub(crate) shared: T,
    pub(crate) file: T,
}

impl<T> BySource<T> {
    /// Returns each value, that of the strongest source first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        [&self.local, &self.shared, &self.file].into_iter()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        [&mut self.local, &mut self.shared, &mut self.file].into_iter()
    }

    pub(crate) fn map<U>(&self, mut f: impl FnMut(&T) -> U) -> BySource<U> {
        BySource { local: f(&self.local), shared: f(&self.shared), file: f(&self.file) }
    }

    /// Returns the value of the first source that has one and is stronger than the functions of a throttle.
    pub(crate) fn above<V>(&self, read: impl Fn(&T) -> Option<V>) -> Option<(V, Source)> {
        let local = read(&self.local).map(|value| (value, Source::Local));
        local.or_else(|| Some((read(&self.shared)?, Source::Shared)))
    }

    /// Returns the value of the first source that has one.
    pub(crate) fn first<V>(&self, read: impl Fn(&T) -> Option<V>) -> Option<(V, Source)> {
        self.above(&read).or_else(|| Some((read(&self.file)?, Source::File)))
    }
}
