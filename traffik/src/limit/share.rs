/// A share of a limit: above 0, and at most 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Share(f64);

/// Shares are compared in millionths, because `0.7 * 10.0` is above 7.
const MILLION: f64 = 1_000_000.0;

impl Share {
    pub(super) const fn new(share: f64) -> Self {
        Self(share)
    }

    /// Returns the number if it is no share.
    pub(super) fn out_of_range(self) -> Option<f64> {
        (!(self.0 > 0.0 && self.0 <= 1.0)).then_some(self.0)
    }

    /// Returns whether at least this share of `capacity` is used.
    pub(crate) fn is_used(self, remaining: u64, capacity: u64) -> bool {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is from 0 to a million")]
        let share = (self.0 * MILLION).round() as u64;
        let used = capacity.saturating_sub(remaining);
        u128::from(used) * 1_000_000 >= u128::from(capacity) * u128::from(share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn share_is_used_from_its_exact_number_on() {
        for (share, capacity, from) in
            [(0.8, 100, 80), (0.7, 10, 7), (0.1, 30, 3), (1.0, 5, 5), (0.5, 3, 2), (1e-9, 5, 0)]
        {
            let first = (0..=capacity).find(|used| Share::new(share).is_used(capacity - used, capacity));
            assert_eq!(first, Some(from), "{share} of {capacity}");
        }
        assert!(Share::new(0.9).is_used(0, u64::MAX) && !Share::new(0.9).is_used(u64::MAX / 2, u64::MAX));
    }

    #[test]
    fn share_is_above_0_and_at_most_1() {
        let is_out = |share| Share::new(share).out_of_range().is_some();
        assert_eq!([0.0, -0.5, 1.01, f64::NAN, f64::INFINITY].map(is_out), [true; 5]);
        assert_eq!([f64::MIN_POSITIVE, 0.5, 1.0].map(is_out), [false; 3]);
    }
}
