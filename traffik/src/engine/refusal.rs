use std::{fmt, ops::Deref, time::Duration};

use thiserror::Error;

use super::{Limit, Limits};

/// The refusal of a check, which charged nothing. It dereferences to the [`Limits`] of the decision.
#[derive(Clone, Error)]
pub struct Refusal(Limits);

impl Refusal {
    pub(crate) fn new(limits: Limits) -> Self {
        Self(limits)
    }

    /// Returns the limits that refuse.
    pub fn exceeded(&self) -> impl Iterator<Item = &Limit> + Clone {
        self.0.exceeded()
    }

    /// Returns the time until the same check would be admitted, if the client is charged nothing until then. Returns `None` if
    /// it never will be, because it costs more than the capacity of a limit.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after()
    }
}

impl Deref for Refusal {
    type Target = Limits;

    fn deref(&self) -> &Limits {
        &self.0
    }
}

/// Shows the message alone, because programs print the errors that they end with.
impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Refusal").field(&format_args!("{self}")).finish()
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limit = self.tightest();
        write!(f, "limit `{}` refuses: ", limit.uid())?;
        match limit.retry_after() {
            Some(wait) if limit.is_blocked() => {
                write!(f, "the client is blocked, retry after {}", humantime::format_duration(wait))
            }
            None if limit.is_blocked() => f.write_str("the client is blocked"),
            Some(wait) => write!(f, "retry after {}", humantime::format_duration(wait)),
            None => write!(f, "a cost of {} exceeds its capacity of {}", limit.cost(), limit.capacity()),
        }
    }
}
