use std::ops::Deref;

use smallvec::SmallVec;
use traffik_core::backend::BackendError;

use crate::{engine::Limits, store::HITS_INLINE};

/// The permit of an admitted client. [`Limiter::check`](super::Limiter::check) returns it.
///
/// It dereferences to the [`Limits`] that were charged. It holds a permit of each [`Concurrency`] limit among them until it is
/// dropped or refunded. The charges of other limits stay when it is dropped.
///
/// ```
/// # use traffik::{DefaultIdentity, MemoryBackend, Rate, Throttle, Traffik};
/// # struct Mails;
/// # impl Throttle for Mails {
/// #     const UID: &'static str = "permit:mails";
/// #     const RATE: Rate = Rate::literal("2/hour");
/// #     type Identity = DefaultIdentity;
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let traffik = Traffik::new(MemoryBackend::new("myapp"))?;
/// let permit = traffik.limiter::<Mails>("alice").check().await?;
/// assert_eq!(permit.tightest().remaining(), 1);
///
/// // The mail could not be sent.
/// permit.refund().await?;
/// assert_eq!(traffik.limiter::<Mails>("alice").peek().await?.tightest().remaining(), 2);
/// # Ok(())
/// # }
/// ```
///
/// [`Concurrency`]: crate::strategy::Concurrency
#[derive(Debug)]
#[must_use = "dropping a permit ends its hold on a `Concurrency` limit; use `let _ = ..` if only the charge matters"]
pub struct Permit {
    limits: Limits,
}

impl Permit {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits }
    }

    /// Refunds the charges, as far as they surely still count: see [`Strategy::refund`] of each strategy.
    ///
    /// Call it soon after the check. A client that was [reset](crate::Traffik::reset) since then would be refunded a charge that
    /// is gone.
    ///
    /// # Errors
    ///
    /// Returns an error if the backend does not answer.
    ///
    /// [`Strategy::refund`]: crate::strategy::Strategy::refund
    pub async fn refund(self) -> Result<(), BackendError> {
        let refunds: SmallVec<[_; HITS_INLINE]> = self.charges().iter().map(|charge| charge.refund()).collect();
        match self.store() {
            Some(store) if !refunds.is_empty() => store.adjust(&refunds).await.map(drop),
            _ => Ok(()),
        }
    }
}

impl Deref for Permit {
    type Target = Limits;

    fn deref(&self) -> &Limits {
        &self.limits
    }
}
