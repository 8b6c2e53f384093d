/// Fails the build unless `uid` is valid.
#[expect(clippy::panic, reason = "it is called while compiling")]
pub(super) const fn check(uid: &str) {
    assert!(!uid.is_empty(), "the uid of a throttle is empty: give it a name such as \"feature:purpose\"");
    let mut rest = uid.as_bytes();
    while let [byte, tail @ ..] = rest {
        if !matches!(byte, b' '..=b'~') {
            panic!("the uid of a throttle must be printable ASCII, because responses contain it in a header field");
        }
        rest = tail;
    }
}

/// Returns whether `uid` is valid, for one that is made while the app runs.
pub(super) fn is_valid(uid: &str) -> bool {
    !uid.is_empty() && uid.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

/// Returns the part of `uid` before its first colon, which limits of one purpose share.
pub(super) fn prefix(uid: &str) -> &str {
    uid.split_once(':').map_or(uid, |(prefix, _)| prefix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printable_ascii_is_a_uid() {
        check("api:search");
        assert!(is_valid("api:search") && is_valid(" ~\"\\"));
        check(" ~\"\\");
    }

    #[test]
    fn empty_or_unprintable_uid_fails_the_build() {
        for uid in ["", "süße", "a\nb", "a\u{7f}", "\0"] {
            assert!(!is_valid(uid), "{uid:?}");
            assert!(std::panic::catch_unwind(|| check(uid)).is_err(), "{uid:?}");
        }
    }
}
