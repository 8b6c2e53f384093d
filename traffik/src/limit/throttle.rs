use traffik_core::{client::Client, rate::Rate};

use super::Settings;

/// A limit on requests.
///
/// ```
/// use traffik::{DefaultIdentity, Rate, Settings, Throttle, TokenBucket};
///
/// struct Search;
///
/// impl Throttle for Search {
///     const UID: &'static str = "api:search";
///     const RATE: Rate = Rate::literal("100/min");
///     type Identity = DefaultIdentity;
///
///     fn settings() -> Settings {
///         Settings::new().strategy(TokenBucket::new().burst(150)).cost(5)
///     }
/// }
/// ```
///
/// Errors are found at compile time, where the throttle is first used: a rate that does not parse, and a uid that is
/// empty or holds anything except printable ASCII.
///
/// ```compile_fail
/// use traffik::{DefaultIdentity, Rate, Throttle, Traffik};
///
/// struct Search;
///
/// impl Throttle for Search {
///     const UID: &'static str = "";
///     const RATE: Rate = Rate::literal("100/min");
///     type Identity = DefaultIdentity;
/// }
///
/// let traffik = Traffik::disabled();
/// traffik.register::<Search>().unwrap();
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a throttle",
    label = "a type that implements `Throttle` is needed here",
    note = "declare it with `#[derive(traffik::Throttle)] #[limit(\"feature:purpose\", \"100/min\")]`, or implement \
            `traffik::Throttle` for it, with a `UID` and a `RATE`"
)]
pub trait Throttle: Send + Sync + 'static {
    /// The name in responses, logs and the store: printable ASCII, by convention `"feature:purpose"`.
    ///
    /// Each throttle of an app needs its own uid.
    const UID: &'static str;

    /// The rate.
    const RATE: Rate;

    /// The source of the client: any extractor that converts into a [`Client`], such as those of
    /// [`identity`](crate::identity), or [`DefaultIdentity`].
    type Identity: 'static;

    /// Returns the other settings.
    fn settings() -> Settings {
        Settings::new()
    }
}

/// Identifies the client by the throttle's own [`Settings`], or else by the app. Defaults to the IP address of the
/// peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefaultIdentity(pub(crate) Client);

impl From<DefaultIdentity> for Client {
    fn from(DefaultIdentity(client): DefaultIdentity) -> Self {
        client
    }
}

/// A limit that is a value, which is found by its uid and not by a type.
///
/// It is the type parameter of what such a limit has in common with types: [`ClientLimiter`](crate::ClientLimiter),
/// [`Limiter`](crate::Limiter) and [`Permit`](crate::Permit). [`Traffik::limiter_of`](crate::Traffik::limiter_of) and
/// [`Limiters`](crate::web::Limiters) create them. See [`Traffik::add_limit`](crate::Traffik::add_limit).
///
/// A function that expects a type does not compile with it:
///
/// ```compile_fail
/// # let traffik = traffik::Traffik::disabled();
/// let _ = traffik.limiter::<traffik::ByUid>("alice");
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct ByUid;

/// Fails the build unless `uid` is valid.
pub(super) const fn assert_uid(uid: &str) {
    assert!(!uid.is_empty(), "the uid of a throttle is empty: give it a name such as \"feature:purpose\"");
    assert!(
        is_valid_uid(uid),
        "the uid of a throttle must be printable ASCII, because responses contain it in a header field"
    );
}

/// Returns `true` if `uid` is not empty, and printable ASCII.
pub(super) const fn is_valid_uid(uid: &str) -> bool {
    let mut rest = uid.as_bytes();
    while let [b' '..=b'~', tail @ ..] = rest {
        rest = tail;
    }
    rest.is_empty() && !uid.is_empty()
}

/// Returns the part of `uid` before its first colon, which limits of one purpose share.
pub(super) fn uid_prefix(uid: &str) -> &str {
    uid.split_once(':').map_or(uid, |(prefix, _)| prefix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printable_ascii_is_a_uid() {
        assert_uid("api:search");
        assert!(is_valid_uid("api:search") && is_valid_uid(" ~\"\\"));
        assert_uid(" ~\"\\");
    }

    #[test]
    fn empty_or_unprintable_uid_fails_the_build() {
        for uid in ["", "süße", "a\nb", "a\u{7f}", "\0"] {
            assert!(!is_valid_uid(uid), "{uid:?}");
            assert!(std::panic::catch_unwind(|| assert_uid(uid)).is_err(), "{uid:?}");
        }
    }
}
