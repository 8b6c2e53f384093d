use traffik_core::{client::Client, rate::Rate};

use super::Settings;

/// A limit that requests are held to.
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
/// What is wrong in it is found while compiling, when the throttle is first used: a rate that does not parse, a uid that
/// is empty or holds anything but printable ASCII.
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
    /// Its name in responses, logs and the store: printable ASCII, by custom `"feature:purpose"`.
    ///
    /// No two throttles of an app may have the same one.
    const UID: &'static str;

    /// How much it admits.
    const RATE: Rate;

    /// What names the client of a request: any extractor that turns into a [`Client`], or
    /// [`DefaultIdentity`].
    type Identity: 'static;

    /// Everything else.
    fn settings() -> Settings {
        Settings::new()
    }
}

/// The client as the app names it, or as the throttle's own [`Settings`] do: by the peer's IP address, unless told
/// otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefaultIdentity(pub(crate) Client);

impl From<DefaultIdentity> for Client {
    fn from(DefaultIdentity(client): DefaultIdentity) -> Self {
        client
    }
}
