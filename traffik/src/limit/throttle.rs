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
