//! Multiplying and dividing without losing a digit: the product has 128 bits.

/// `a × b ÷ divisor`, rounded down.
pub(super) fn mul_div_floor(a: u64, b: u64, divisor: u64) -> u64 {
    narrow(u128::from(a) * u128::from(b) / u128::from(divisor.max(1)))
}

/// `a × b ÷ divisor`, rounded up.
pub(super) fn mul_div_ceil(a: u64, b: u64, divisor: u64) -> u64 {
    narrow((u128::from(a) * u128::from(b)).div_ceil(u128::from(divisor.max(1))))
}

/// A quotient as 64 bits. Within the bounds that are checked when a rate is made it always fits.
pub(super) fn narrow(quotient: u128) -> u64 {
    u64::try_from(quotient).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_beyond_64_bits_keep_every_digit() {
        let (a, b) = (99_999_999_999_999, 4_319_999_999_999);
        assert_eq!(mul_div_floor(a, b, b), a);
        assert_eq!(mul_div_ceil(a, b, b), a);
        assert_eq!(mul_div_floor(a, b, b + 1), 99_999_999_999_975);
        assert_eq!(mul_div_ceil(a, b, b + 1), 99_999_999_999_976);
    }

    #[test]
    fn rounding() {
        assert_eq!((mul_div_floor(7, 1, 2), mul_div_ceil(7, 1, 2)), (3, 4));
        assert_eq!((mul_div_floor(8, 1, 2), mul_div_ceil(8, 1, 2)), (4, 4));
        assert_eq!(mul_div_floor(u64::MAX, u64::MAX, 1), u64::MAX);
    }
}
