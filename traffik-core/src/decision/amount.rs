use std::{cmp::Ordering, fmt};

/// How much of a limit there is: a number, or no limit at all.
///
/// Shows as the number or as `unlimited`, and compares with `u64`.
///
/// ```
/// use traffik::decision::Amount;
///
/// assert_eq!(format!("{} left", Amount::Units(5)), "5 left");
/// assert_eq!(format!("{} left", Amount::Unlimited), "unlimited left");
/// assert!(Amount::Units(5) == 5 && Amount::Units(5) < 6 && Amount::Unlimited > u64::MAX);
/// assert_eq!([Amount::Units(5).units(), Amount::Unlimited.units()], [Some(5), None]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Amount {
    /// A number, in the unit of costs.
    Units(u64),
    /// No limit: nothing is counted, or the rate is unlimited.
    Unlimited,
}

impl Amount {
    /// Returns the number, or `None` if there is no limit.
    #[must_use]
    pub const fn units(self) -> Option<u64> {
        match self {
            Self::Units(units) => Some(units),
            Self::Unlimited => None,
        }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Units(units) => units.fmt(f),
            Self::Unlimited => f.pad("unlimited"),
        }
    }
}

impl PartialEq<u64> for Amount {
    fn eq(&self, units: &u64) -> bool {
        *self == Self::Units(*units)
    }
}

impl PartialOrd<u64> for Amount {
    fn partial_cmp(&self, units: &u64) -> Option<Ordering> {
        self.partial_cmp(&Self::Units(*units))
    }
}
