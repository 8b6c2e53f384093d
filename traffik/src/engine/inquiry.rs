use std::{fmt, marker::PhantomData};

use traffik_core::{client::Client, rate::Rate};

use super::{Charge, Checks, Error, Limits, Traffik, decide::decide, maybe_ready::resolve};
use crate::limit::{Throttle, Throttles};

/// A question about a client without a request at hand, with a cost or a rate of its own: see [`Traffik::ask`].
#[must_use = "nothing is asked until `hit` or `peek`"]
pub struct Inquiry<'a, T> {
    traffik: &'a Traffik,
    client: Client,
    cost: Option<u64>,
    rate: Option<Rate>,
    throttles: PhantomData<fn() -> T>,
}

impl Traffik {
    /// Asks about a client at a cost, or at a rate, that the throttle does not tell by itself.
    ///
    /// ```
    /// use traffik::{DefaultIdentity, MemoryBackend, Rate, Throttle, Traffik};
    ///
    /// struct Mails;
    ///
    /// impl Throttle for Mails {
    ///     const UID: &'static str = "ask:mails";
    ///     const RATE: Rate = Rate::literal("10/hour");
    ///     type Identity = DefaultIdentity;
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let traffik = Traffik::new(MemoryBackend::new("myapp"))?;
    ///
    /// // A mail to five people, of somebody who has a larger plan.
    /// let business: Rate = "100/hour".parse()?;
    /// let charge = traffik.ask::<Mails>("alice").cost(5).rate(business).hit().await?;
    /// assert_eq!(charge.tightest().remaining(), 95);
    ///
    /// // Given back are these five.
    /// charge.refund().await?;
    /// assert_eq!(traffik.ask::<Mails>("alice").rate(business).peek().await?.tightest().remaining(), 100);
    /// # Ok(())
    /// # }
    /// ```
    pub fn ask<T: Throttles>(&self, client: impl Into<Client>) -> Inquiry<'_, T> {
        Inquiry { traffik: self, client: client.into(), cost: None, rate: None, throttles: PhantomData }
    }
}

impl<T: Throttles> Inquiry<'_, T> {
    /// At this cost, of a tuple for each. At 0 nothing is asked.
    pub fn cost(self, cost: u64) -> Self {
        Self { cost: Some(cost), ..self }
    }

    /// Charges, as [`Traffik::hit`] does.
    ///
    /// # Errors
    ///
    /// When a throttle is set up wrong, its strategy does not go with the rate, or the backend gave no answer.
    pub async fn hit(self) -> Result<Charge, Error> {
        Ok(Charge::new(resolve!(decide(self.checks()?))?))
    }

    /// Tells how the client stands, as [`Traffik::peek`] does.
    ///
    /// # Errors
    ///
    /// When a throttle is set up wrong, its strategy does not go with the rate, or the backend gave no answer.
    pub async fn peek(self) -> Result<Limits, Error> {
        self.traffik.look(self.checks()?).await
    }

    fn checks(&self) -> Result<Checks<'_>, Error> {
        let mut checks = self.traffik.checks::<T>(self.client.clone())?;
        for check in checks.iter_mut() {
            check.cost = self.cost.unwrap_or(check.cost);
            if let Some(rate) = self.rate {
                check.definition.check_rate(rate)?;
                check.rate = rate;
            }
        }
        Ok(checks)
    }
}

/// Of one throttle: those of a tuple have a rate each.
impl<T: Throttle> Inquiry<'_, T> {
    /// At this rate.
    pub fn rate(self, rate: Rate) -> Self {
        Self { rate: Some(rate), ..self }
    }
}

impl<T> fmt::Debug for Inquiry<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { client, cost, rate, .. } = self;
        f.debug_struct("Inquiry")
            .field("client", client)
            .field("cost", cost)
            .field("rate", rate)
            .finish_non_exhaustive()
    }
}
