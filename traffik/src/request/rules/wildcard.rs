//! Sequences with wildcards: the bytes of a segment with `*`, and the segments of a path with `**`.

use std::collections::HashSet;

/// A part of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token<T> {
    One(T),
    /// Any number of items.
    Any,
}

/// Checks whether all `items` match a pattern.
///
/// Only the latest wildcard is tried again, so the time grows at most with the number of items times that of tokens.
pub(super) fn matches<T, I: Iterator<Item: Copy> + Clone>(
    mut pattern: &[Token<T>],
    mut items: I,
    is: impl Fn(&T, I::Item) -> bool,
) -> bool {
    let mut retry = None;
    loop {
        while let [Token::Any, tail @ ..] = pattern {
            if tail.is_empty() {
                return true;
            }
            pattern = tail;
            retry = Some((tail, items.clone()));
        }
        match (pattern, items.next()) {
            ([], None) => return true,
            ([Token::One(first), tail @ ..], Some(item)) if is(first, item) => {
                pattern = tail;
                continue;
            }
            _ => {}
        }
        let Some((tail, from)) = &mut retry else { return false };
        if from.next().is_none() {
            return false;
        }
        (pattern, items) = (tail, from.clone());
    }
}

/// Checks whether a sequence can match both patterns.
pub(super) fn meet<T>(one: &[Token<T>], other: &[Token<T>], is_same: impl Fn(&T, &T) -> bool) -> bool {
    let (mut open, mut seen) = (vec![(one, other)], HashSet::new());
    while let Some((one, other)) = open.pop() {
        if !seen.insert((one.len(), other.len())) {
            continue;
        }
        match (one, other) {
            ([], []) => return true,
            ([Token::Any, tail @ ..], _) => {
                open.push((tail, other));
                open.extend(other.split_first().map(|(_, rest)| (one, rest)));
            }
            (_, [Token::Any, rest @ ..]) => {
                open.push((one, rest));
                open.extend(one.split_first().map(|(_, tail)| (tail, other)));
            }
            ([Token::One(first), tail @ ..], [Token::One(same), rest @ ..]) if is_same(first, same) => {
                open.push((tail, rest));
            }
            _ => {}
        }
    }
    false
}
