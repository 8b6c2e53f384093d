use std::{fmt, marker::PhantomData, ops::Range};

use traffik_core::client::Client;

use super::{
    CheckError, Checks, ClientLimiter, Error, Limits, Permit, Refusal, Traffik,
    check::{Check, KeptCheck},
    decide::{decide_in_force, resolve},
};
use crate::limit::{ConfigError, Throttles};

/// Charges to several throttles and clients, which are one decision. [`Traffik::quota`] creates it, outside of requests. In a
/// handler, collect limiters in a [`RequestQuota`](crate::RequestQuota).
///
/// Charges are collected while a request is worked on, and made all together, or not at all. A quota that is dropped has no
/// effect. There is no charge on drop: it could be refused, and no caller would learn of it.
///
/// ```
/// use traffik::{CheckError, DefaultIdentity, MemoryBackend, Rate, Throttle, Traffik};
///
/// struct Reports;
///
/// impl Throttle for Reports {
///     const UID: &'static str = "quota:reports";
///     const RATE: Rate = Rate::literal("10/hour");
///     type Identity = DefaultIdentity;
/// }
///
/// struct Rows;
///
/// impl Throttle for Rows {
///     const UID: &'static str = "quota:rows";
///     const RATE: Rate = Rate::literal("1000000/day");
///     type Identity = DefaultIdentity;
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let traffik = Traffik::new(MemoryBackend::new("myapp"))?;
///
/// // The report counts for the user, and its rows count for the whole organisation.
/// let mut quota = traffik.quota();
/// quota.add(traffik.limiter::<Reports>(("user", 42)));
/// let rows = quota.add(traffik.limiter::<Rows>(("organisation", 7)).cost(5000));
///
/// let permit = quota.check().await?;
/// // The report had fewer rows.
/// if let Some(rows) = permit.part(&rows) {
///     rows.settle(1200).await?;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a quota has no effect until it is checked"]
pub struct Quota {
    traffik: Traffik,
    checks: Result<Vec<KeptCheck>, ConfigError>,
}

/// The place of a charge in its quota. [`Quota::add`] and [`RequestQuota::add`](crate::RequestQuota::add) return it, and
/// [`Permit::part`] finds the permit by it.
pub struct QuotaPart<T> {
    places: Range<usize>,
    /// The client of each throttle.
    clients: Vec<Client>,
    throttles: PhantomData<fn() -> T>,
}

impl Traffik {
    /// Creates an empty quota.
    pub fn quota(&self) -> Quota {
        Quota { traffik: self.clone(), checks: Ok(Vec::new()) }
    }
}

impl Quota {
    /// Adds a charge: the throttles, the client, the cost and the rate of a limiter. Charges of one throttle to one client add
    /// up.
    ///
    /// A throttle that is misconfigured, a limiter of another app, and one that [waits](ClientLimiter::wait), are errors of
    /// [`check`](Self::check) and [`peek`](Self::peek).
    #[expect(clippy::needless_pass_by_value, reason = "a limiter is used once")]
    pub fn add<T: Throttles>(&mut self, limiter: ClientLimiter<'_, T>) -> QuotaPart<T> {
        let places = self.try_add(&limiter).unwrap_or_else(|error| {
            self.checks = Err(error);
            0..0
        });
        let checks = self.checks.as_ref().ok().and_then(|checks| checks.get(places.clone()));
        let clients = checks.into_iter().flatten().map(|check| check.client.clone());
        QuotaPart::new(places, clients.collect())
    }

    fn try_add<T: Throttles>(&mut self, limiter: &ClientLimiter<'_, T>) -> Result<Range<usize>, ConfigError> {
        let checks = self.checks.as_mut().map_err(|error| error.clone())?;
        if !limiter.traffik.is(&self.traffik) {
            return Err(ConfigError::OtherApp);
        }
        if limiter.options.wait.is_some() {
            return Err(ConfigError::WaitingQuota);
        }
        let start = checks.len();
        checks.extend(limiter.checks()?.iter().map(Check::kept));
        Ok(start..checks.len())
    }

    /// Returns the limits, and charges nothing.
    ///
    /// # Errors
    ///
    /// Returns an error if nothing was added, if a throttle is misconfigured, or if the backend does not answer.
    pub async fn peek(&self) -> Result<Limits, Error> {
        self.traffik.look(self.checks()?).await
    }

    /// Makes all charges, or none.
    ///
    /// # Errors
    ///
    /// Returns [`CheckError::Refused`] if a limit refuses; then nothing is charged. Returns [`CheckError::Failed`] if there is no
    /// decision: because nothing was added, a throttle is misconfigured, the throttles are in several backends, or the backend
    /// does not answer.
    pub async fn check(self) -> Result<Permit<Self>, CheckError> {
        let checks = self.checks().map_err(Error::from)?;
        let limits =
            resolve!(decide_in_force(self.traffik.changes(), checks)).map_err(|failed| failed.observed(None))?;
        limits.observe(None);
        if limits.is_admitted() { Ok(Permit::new(limits)) } else { Err(Refusal::new(limits).into()) }
    }

    fn checks(&self) -> Result<Checks<'_>, ConfigError> {
        let kept = self.checks.as_ref().map_err(ConfigError::clone)?;
        Checks::collect(kept.iter().map(KeptCheck::check)).ok_or(ConfigError::EmptyQuota)
    }
}

impl<T> QuotaPart<T> {
    pub(crate) fn new(places: Range<usize>, clients: Vec<Client>) -> Self {
        Self { places, clients, throttles: PhantomData }
    }
}

impl Permit<Quota> {
    /// Returns the permit of a part. Returns `None` if the part is of another quota, which has another throttle or another
    /// client at its place.
    #[must_use]
    pub fn part<T: Throttles>(&self, part: &QuotaPart<T>) -> Option<Permit<T>> {
        let limits = self.limits().part(part.places.clone(), T::include)?;
        // A client that the decision did not count has no other name than that.
        let is_same = |limited: &Client, client| limited == client || limited.is_exempt();
        let are_same = !part.clients.is_empty()
            && limits.iter().zip(&part.clients).all(|(limit, client)| is_same(limit.client(), client));
        are_same.then(|| Permit::new(limits))
    }
}

impl<T> fmt::Debug for QuotaPart<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("QuotaPart").field(&self.places).finish()
    }
}
