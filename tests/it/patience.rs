//! The number of random cases: enough to notice regressions, and as many as documented with `TRAFFIK_LONG`.

/// Returns `usual`, or `long` if `TRAFFIK_LONG` is set.
pub(crate) fn times(usual: u64, long: u64) -> u64 {
    if std::env::var_os("TRAFFIK_LONG").is_some() { long } else { usual }
}
