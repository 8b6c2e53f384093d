//! Rounds: in each, the sides run one after the other, so that other load on the machine affects all of them. Ratios
//! are computed within a round, and shown with their spread over the rounds.

use std::fmt;

/// The spread of a number over the rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The lower quartile.
    pub lower: f64,
    /// The median.
    pub median: f64,
    /// The upper quartile.
    pub upper: f64,
}

impl Spread {
    /// Computes the median and the quartiles.
    pub fn of(samples: impl IntoIterator<Item = f64>) -> Self {
        let mut samples: Vec<f64> = samples.into_iter().collect();
        samples.sort_unstable_by(f64::total_cmp);
        let last = samples.len().saturating_sub(1);
        let quarters = |n| samples.get((last * n + 2) / 4).copied().unwrap_or(f64::NAN);
        Self { lower: quarters(1), median: quarters(2), upper: quarters(3) }
    }
}

/// Writes ratios: `0.62 (0.60..0.65)`.
impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} ({:.2}..{:.2})", self.median, self.lower, self.upper)
    }
}

/// Runs every side once in each round, and returns the results of each round.
///
/// Each round starts with another side, so that no side always finds the cache of the same other side.
pub fn rounds<const SIDES: usize>(rounds: usize, mut side: impl FnMut(usize) -> f64) -> Vec<[f64; SIDES]> {
    let mut round = |first: usize| {
        let mut samples = [f64::NAN; SIDES];
        for at in (0..SIDES).map(|n| (first + n) % SIDES) {
            if let Some(sample) = samples.get_mut(at) {
                *sample = side(at);
            }
        }
        samples
    };
    (0..rounds).map(&mut round).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spread_is_the_middle_half_of_the_samples() {
        let spread = Spread::of([5.0, 1.0, 4.0, 2.0, 3.0]);
        assert_eq!(spread, Spread { lower: 2.0, median: 3.0, upper: 4.0 });
        assert_eq!(spread.to_string(), "3.00 (2.00..4.00)");
    }

    #[test]
    fn sides_take_turns_at_being_first() {
        let mut order = Vec::new();
        let samples = rounds::<2>(3, |side| {
            order.push(side);
            side as f64
        });
        assert_eq!(order, [0, 1, 1, 0, 0, 1]);
        assert_eq!(samples, [[0.0, 1.0]; 3]);
    }
}
