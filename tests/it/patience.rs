//! How much is tried: enough to notice what breaks, and as much as the promises speak of where there is time.

/// `usual`, or `long` where `TRAFFIK_LONG` is set.
pub(crate) fn times(usual: u64, long: u64) -> u64 {
    if std::env::var_os("TRAFFIK_LONG").is_some() { long } else { usual }
}
