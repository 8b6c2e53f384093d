//! A list that is never empty: a request that meets throttles meets at least one.

use smallvec::SmallVec;

/// One value, and perhaps more. Two take no allocation.
#[derive(Clone, Debug)]
pub struct OneOrMore<T> {
    first: T,
    rest: SmallVec<[T; 1]>,
}

impl<T> OneOrMore<T> {
    pub(crate) fn new(first: T) -> Self {
        Self { first, rest: SmallVec::new() }
    }

    /// Adds one, unless it is there already.
    pub(crate) fn add(&mut self, one: T, is_same: impl Fn(&T, &T) -> bool) {
        if !self.iter().any(|known| is_same(known, &one)) {
            self.rest.push(one);
        }
    }

    pub(crate) fn first(&self) -> &T {
        &self.first
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> + Clone {
        std::iter::once(&self.first).chain(&self.rest)
    }

    pub(crate) fn map<U>(&self, mut f: impl FnMut(&T) -> U) -> OneOrMore<U> {
        OneOrMore { first: f(&self.first), rest: self.rest.iter().map(f).collect() }
    }
}
