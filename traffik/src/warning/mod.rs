//! What is found to be set up wrong, though not so wrong that it is an error.
//!
//! Each [`Warning`] has a name that does not change, which is logged with it as `warning`, beside a link to what the
//! [guide](https://github.com/traffik-rs/traffik/blob/main/docs/warnings.md) says of it. Who means it so silences it:
//!
//! ```
//! use traffik::{Traffik, backend::MemoryBackend, warning::Warning};
//!
//! let traffik = Traffik::builder(MemoryBackend::new("myapp")).silence(Warning::LimitedTwice).build()?;
//! # Ok::<(), traffik::ConfigError>(())
//! ```

mod told;

use std::fmt;

pub(crate) use self::told::Told;

/// The table of warnings: each is a variant with its name.
macro_rules! warnings {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal,)+) => {
        /// Something that is probably set up wrong. See [the module](self).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Warning {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Warning {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// What it is called in logs and in the guide.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// Where the guide says what it means and what to do.
            #[must_use]
            pub const fn docs(self) -> &'static str {
                match self {
                    $(Self::$variant => {
                        concat!("https://github.com/traffik-rs/traffik/blob/main/docs/warnings.md#", $name)
                    })+
                }
            }
        }
    };
}

warnings! {
    /// A request came with a header that proxies add, from a peer that is not known as one. Told once.
    UntrustedForwardingHeader = "untrusted-forwarding-header",
    /// A `ClientIp` believes every address. Told when the app is built, or a throttle is first used.
    TrustsEveryone = "trusts-everyone",
    /// A request met two limits that are the same but for their uids. Told once for each throttle that is met second.
    LimitedTwice = "limited-twice",
    /// A request had no address of a peer, and nothing else names its client. Told once a second at most.
    NoPeerAddress = "no-peer-address",
    /// Every request costs more than the throttle can ever admit. Told once for each throttle.
    CostNeverFits = "cost-never-fits",
    /// A memory backend is full, and forgets clients early. Told whenever their number has doubled; silenced by
    /// [`MemoryBackend::silence`](crate::backend::MemoryBackend::silence).
    MemoryFull = "memory-full",
}

/// Its name.
impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
