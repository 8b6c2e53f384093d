//! Named warnings about a setup that works but is probably wrong.
//!
//! Each [`Warning`] has a stable name, which is logged as the field `warning`. The field `docs` names the section of the
//! guide that explains it. [`TraffikBuilder::silence`](crate::TraffikBuilder::silence) disables a warning:
//!
//! ```
//! use traffik::{MemoryBackend, Traffik, warning::Warning};
//!
//! let traffik = Traffik::builder(MemoryBackend::new("myapp")).silence(Warning::LimitedTwice).build()?;
//! # Ok::<(), traffik::ConfigError>(())
//! ```

use std::{
    collections::{HashMap, HashSet},
    fmt,
};

use parking_lot::Mutex;

/// The table of warnings: each is a variant with its name.
macro_rules! warnings {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal,)+) => {
        /// A setup that is probably wrong. See [the module](self).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Warning {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Warning {
            /// All warnings.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Returns the name in logs and in the guide.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// Returns the section of the guide that explains the warning, such as `docs/warnings.md#limited-twice`.
            #[must_use]
            pub const fn docs(self) -> &'static str {
                match self {
                    $(Self::$variant => concat!("docs/warnings.md#", $name),)+
                }
            }
        }
    };
}

warnings! {
    /// A request has a header that proxies add, and its peer is not a trusted proxy. Logged once.
    UntrustedForwardingHeader = "untrusted-forwarding-header",
    /// A trusted proxy does not send the header that is read. Logged once.
    MissingForwardingHeader = "missing-forwarding-header",
    /// The header of a trusted proxy cannot be read. Logged once.
    UnreadableForwardingHeader = "unreadable-forwarding-header",
    /// A `ClientIp` trusts every address. Logged when the app is built or a throttle is first used.
    TrustsEveryone = "trusts-everyone",
    /// A request met two limits that differ only in their uids. Logged once for each throttle that is met second.
    LimitedTwice = "limited-twice",
    /// A request has no peer address, and nothing else names its client. Logged at most once a second.
    NoPeerAddress = "no-peer-address",
    /// The cost is higher than the throttle can ever admit. Logged once for each throttle.
    CostNeverFits = "cost-never-fits",
    /// A declared throttle selects a backend that the app does not have. Logged when the app is built.
    MissingBackend = "missing-backend",
    /// Two declared throttles have one uid. Logged when the app is built.
    DuplicateUid = "duplicate-uid",
    /// The throttles of a handler are in different backends. Logged when the app is built.
    TwoBackends = "two-backends",
    /// A WebSocket or a streaming response goes on, and the permit of a limit on concurrent requests ended with the handler.
    /// Logged once for each throttle.
    PermitEndsEarly = "permit-ends-early",
    /// A shared change has no effect in this process: a newer release made it, or the strategy does not support the rate. Logged
    /// once.
    UnknownSharedChange = "unknown-shared-change",
    /// A limits file was changed and cannot be used, so the last valid one stays in force. Logged each time.
    LimitsFileInvalid = "limits-file-invalid",
    /// Values of a limits file are not in force, because other sources replace them. Logged when the file is loaded and the
    /// values are others than before.
    LimitsFileWithoutEffect = "limits-file-without-effect",
    /// The system does not report changes of a limits file, which is read every ten seconds instead. Logged when the app is
    /// built.
    LimitsFileUnwatched = "limits-file-unwatched",
    /// A limits file makes limits, and the app has no layer that applies them. Logged once.
    LimitsFileUnapplied = "limits-file-unapplied",
    /// A memory backend is full and evicts clients early. Logged whenever the number of evictions has doubled. Disabled by
    /// [`MemoryBackendBuilder::silence`](crate::backend::MemoryBackendBuilder::silence).
    MemoryFull = "memory-full",
}

/// Logs a warning with its name and its section of the guide, and with the fields and the text that follow.
macro_rules! warn_of {
    ($warning:expr, $($event:tt)+) => {
        tracing::warn!(warning = $warning.name(), docs = $warning.docs(), $($event)+)
    };
}
pub(crate) use warn_of;

/// Writes the name.
impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The warnings that an app logged, and those that it silences.
#[derive(Debug, Default)]
pub(crate) struct WarningLog {
    silenced: HashSet<Warning>,
    /// The warnings by the uid of their throttle, which is empty if they concern none.
    logged: Mutex<HashMap<Box<str>, HashSet<Warning>>>,
}

impl WarningLog {
    pub(crate) fn silence(&mut self, warning: Warning) {
        self.silenced.insert(warning);
    }

    pub(crate) fn is_silenced(&self, warning: Warning) -> bool {
        self.silenced.contains(&warning)
    }

    /// Returns `true` the first time that it is called with a warning and a uid, unless the warning is silenced.
    pub(crate) fn is_first(&self, warning: Warning, uid: Option<&str>) -> bool {
        !self.is_silenced(warning)
            && self.logged.lock().entry(uid.unwrap_or_default().into()).or_default().insert(warning)
    }

    /// Forgets the warnings of a throttle that the app no longer knows.
    pub(crate) fn forget(&self, uid: &str) {
        self.logged.lock().remove(uid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warning_is_first_once_for_each_throttle() {
        let log = WarningLog::default();
        let first = |uid| log.is_first(Warning::CostNeverFits, uid);
        assert_eq!(
            [first(None), first(None), first(Some("a")), first(Some("b")), first(Some("a"))],
            [true, false, true, true, false]
        );
    }

    #[test]
    fn forgotten_throttle_is_warned_of_again() {
        let log = WarningLog::default();
        let first = |uid| log.is_first(Warning::CostNeverFits, uid);
        assert!(first(Some("a")) && first(Some("b")) && first(None));
        log.forget("a");
        assert_eq!([first(Some("a")), first(Some("b")), first(None)], [true, false, false]);
    }

    #[test]
    fn silenced_warning_is_never_first() {
        let mut log = WarningLog::default();
        log.silence(Warning::CostNeverFits);
        assert!(!log.is_first(Warning::CostNeverFits, None) && log.is_first(Warning::LimitedTwice, None));
    }
}
