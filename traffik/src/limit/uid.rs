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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printable_ascii_is_a_uid() {
        check("api:search");
        check(" ~\"\\");
    }

    #[test]
    fn empty_or_unprintable_uid_fails_the_build() {
        for uid in ["", "süße", "a\nb", "a\u{7f}", "\0"] {
            assert!(std::panic::catch_unwind(|| check(uid)).is_err(), "{uid:?}");
        }
    }
}
