//! Exact multiplication and division: the product has 128 bits.

/// Returns `a × b ÷ divisor`, rounded down.
pub(super) fn mul_div_floor(a: u64, b: u64, divisor: u64) -> u64 {
    narrow(u128::from(a) * u128::from(b) / u128::from(divisor.max(1)))
}

/// Returns `a × b ÷ divisor`, rounded up.
pub(super) fn mul_div_ceil(a: u64, b: u64, divisor: u64) -> u64 {
    narrow((u128::from(a) * u128::from(b)).div_ceil(u128::from(divisor.max(1))))
}

/// Returns `a × b ÷ divisor`, rounded down, and the remainder.
#[inline(always)]
pub(super) fn mul_div_rem(a: u64, b: u64, divisor: u64) -> (u64, u64) {
    let divisor = divisor.max(1);
    // The usual product has 64 bits. Dividing it is many times faster.
    if let Some(product) = a.checked_mul(b) {
        return (product / divisor, product % divisor);
    }
    let (product, divisor) = (u128::from(a) * u128::from(b), u128::from(divisor));
    (narrow(product / divisor), narrow(product % divisor))
}

/// Returns a quotient as 64 bits. It always fits, within the bounds of a rate.
#[inline(always)]
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
    fn quotient_and_rest_are_exact_in_64_bits_and_beyond() {
        assert_eq!(mul_div_rem(1, 60_000_000, 7), (8_571_428, 4));
        assert_eq!(
            mul_div_rem(99_999_999_999_999, 4_319_999_999_999, 4_320_000_000_000),
            (99_999_999_999_975, 3_680_000_000_001)
        );
        assert_eq!(mul_div_rem(5, 5, 0), (25, 0));
    }

    #[test]
    fn rounding() {
        assert_eq!((mul_div_floor(7, 1, 2), mul_div_ceil(7, 1, 2)), (3, 4));
        assert_eq!((mul_div_floor(8, 1, 2), mul_div_ceil(8, 1, 2)), (4, 4));
        assert_eq!(mul_div_floor(u64::MAX, u64::MAX, 1), u64::MAX);
    }
}
