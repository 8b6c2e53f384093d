//! A list that is never empty: a request that meets throttles meets at least one.

/// One value, and perhaps more. One, as most are, takes no allocation, and no room for others.
#[derive(Clone, Debug)]
pub(crate) struct OneOrMore<T> {
    first: T,
    rest: Vec<T>,
}

impl<T> OneOrMore<T> {
    pub(crate) fn new(first: T) -> Self {
        Self { first, rest: Vec::new() }
    }

    /// Returns the values, if there is at least one.
    pub(crate) fn collect(mut values: impl Iterator<Item = T>) -> Option<Self> {
        Some(Self { first: values.next()?, rest: values.collect() })
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

    /// Returns the one value, if there is no other.
    pub(crate) fn only(&self) -> Option<&T> {
        self.rest.is_empty().then_some(&self.first)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> + Clone {
        std::iter::once(&self.first).chain(&self.rest)
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        std::iter::once(&mut self.first).chain(&mut self.rest)
    }

    /// Makes a list of what `f` takes out of each value. Further values are removed, and their allocation is used again.
    pub(crate) fn map_mut<U>(&mut self, mut f: impl FnMut(&mut T) -> U) -> OneOrMore<U> {
        let first = f(&mut self.first);
        let rest = std::mem::take(&mut self.rest);
        // Collecting in place costs more than the first value.
        let rest = if rest.is_empty() { Vec::new() } else { rest.into_iter().map(|mut one| f(&mut one)).collect() };
        OneOrMore { first, rest }
    }

    pub(crate) fn map<'a, U>(&'a self, mut f: impl FnMut(&'a T) -> U) -> OneOrMore<U> {
        OneOrMore { first: f(&self.first), rest: self.rest.iter().map(f).collect() }
    }
}
