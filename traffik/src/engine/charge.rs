use std::ops::Deref;

use smallvec::SmallVec;
use traffik_core::backend::BackendError;

use crate::{engine::Limits, store::HITS_INLINE};

/// What came of [`Traffik::hit`](crate::Traffik::hit): how the client stands, and by what its charge can be given back, once.
///
/// It reads like the [`Limits`] that it holds. It holds the places, too, that were taken by limits on
/// [how many at once](crate::strategy::Concurrency), until it is dropped or refunded.
///
/// ```
/// # use traffik::{DefaultIdentity, MemoryBackend, Rate, Throttle, Traffik};
/// # struct Mails;
/// # impl Throttle for Mails {
/// #     const UID: &'static str = "charge:mails";
/// #     const RATE: Rate = Rate::literal("2/hour");
/// #     type Identity = DefaultIdentity;
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let traffik = Traffik::new(MemoryBackend::new("myapp"))?;
/// let charge = traffik.hit::<Mails>("alice").await?;
/// assert_eq!(charge.tightest().remaining(), 1);
///
/// // .. the mail could not be sent.
/// charge.refund().await?;
/// assert_eq!(traffik.peek::<Mails>("alice").await?.tightest().remaining(), 2);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Charge {
    limits: Limits,
}

impl Charge {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits }
    }

    /// How the client stood after the charge.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Gives the charge back, as far as it surely still counts: see [`Strategy::refund`] of each strategy. A decision that
    /// was refused charged nothing, and nothing is given back of it.
    ///
    /// It is meant for soon after. A client that was [reset](crate::Traffik::reset) in between must not be given back what it was
    /// charged before.
    ///
    /// # Errors
    ///
    /// When the backend gave no answer.
    ///
    /// [`Strategy::refund`]: crate::strategy::Strategy::refund
    pub async fn refund(self) -> Result<(), BackendError> {
        let Some(store) = self.limits.store().filter(|_| self.limits.is_admitted()) else { return Ok(()) };
        match self.limits.charges().as_slice() {
            [] => Ok(()),
            charges => {
                let refunds: SmallVec<[_; HITS_INLINE]> = charges.iter().map(|charge| charge.refund()).collect();
                store.adjust(&refunds).await.map(drop)
            }
        }
    }
}

impl Deref for Charge {
    type Target = Limits;

    fn deref(&self) -> &Limits {
        &self.limits
    }
}
