//! The tools of the cases: backends, each next to a reference, and limits to ask about.

use std::{fmt, pin::Pin, sync::Arc, time::Duration};

use traffik_core::{
    backend::{Backend, BackendError, Control, ControlRequest},
    client::Key,
    clock::{Clock, ManualClock, Timestamp},
    decision::{Adjustment, Charge, Decision, Hit, LimitId, Outcome},
    rate::Rate,
    strategy::{AnyStrategy, Strategy},
};

use super::{
    cool_down::CoolDown,
    display::Hits,
    failure::Mismatch,
    observed::{self, Observed, ObservedAdjustment},
    reference::Reference,
    strategies::configured_strategies,
};

pub(super) type Check<T = ()> = Result<T, Mismatch>;

/// The rate of cases to which the rate does not matter.
pub(super) const RATE: Rate = Rate::literal("5/min");

/// The bounds, primes, and usual rates.
pub(super) const RATES: &[Rate] = &[
    RATE,
    Rate::literal("1/s"),
    Rate::literal("7/s"),
    Rate::literal("1/us"),
    Rate::literal("3/us"),
    Rate::literal("97/10007us"),
    Rate::literal("1000/500ms"),
    Rate::literal("999983/7h13m"),
    Rate::literal("1/50d"),
    Rate::literal("100000000000000/50d"),
];

pub(super) type Make = Arc<dyn Fn(String, ManualClock) -> Making + Send + Sync>;
pub(super) type Making = Pin<Box<dyn Future<Output = Check<Arc<dyn Backend>>> + Send>>;
pub(super) type Supports = Arc<dyn Fn(&AnyStrategy) -> bool + Send + Sync>;

/// Makes what a case needs.
pub(super) struct Bench {
    pub(super) case: &'static str,
    pub(super) make: Make,
    pub(super) supports: Supports,
}

impl Bench {
    /// Makes an empty backend. Each case has a namespace of its own.
    pub(super) async fn subject(&self) -> Check<Subject> {
        self.of(self.case).await
    }

    /// Makes a backend with this namespace.
    pub(super) async fn of(&self, namespace: &str) -> Check<Subject> {
        let clock = ManualClock::new();
        let backend = (self.make)(namespace.to_owned(), clock.clone()).await?;
        Ok(Subject { backend, clock, reference: Reference::default(), entries: 0, version: 0 })
    }

    /// Returns the strategies that the backend supports, in forms that suit the rate.
    pub(super) fn strategies(&self, rate: Rate) -> Vec<AnyStrategy> {
        let custom = Some(AnyStrategy::custom(CoolDown)).filter(|custom| custom.check(rate).is_ok());
        configured_strategies(rate).into_iter().chain(custom).filter(|one| (self.supports)(one)).collect()
    }

    /// Returns one supported strategy, for cases to which the strategy does not matter.
    pub(super) fn strategy(&self) -> AnyStrategy {
        self.strategies(RATE).into_iter().next().unwrap_or_default()
    }
}

/// A limit of one client.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) limit: LimitId,
    pub(super) key: Key,
    pub(super) rate: Rate,
}

impl Entry {
    pub(super) fn hit(&self, cost: u64) -> Hit<'_> {
        Hit::new(&self.limit, &self.key, self.rate, cost)
    }

    pub(super) fn capacity(&self) -> u64 {
        self.strategy().capacity(self.rate)
    }

    pub(super) fn strategy(&self) -> &AnyStrategy {
        self.limit.strategy()
    }

    /// Returns a limit of the same client with another uid.
    pub(super) fn with_uid(&self, uid: &str) -> Self {
        Self { limit: LimitId::new(uid, self.strategy().clone()), ..self.clone() }
    }

    /// Returns a limit of the same client with another strategy.
    pub(super) fn with_strategy(&self, strategy: &AnyStrategy) -> Self {
        Self { limit: LimitId::new(self.limit.uid(), strategy.clone()), ..self.clone() }
    }

    /// Creates the charge of a cost.
    pub(super) fn charge(&self, cost: u64, charged_at: Timestamp) -> Charge<'_> {
        Charge::new(self.hit(cost), charged_at)
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { limit, key, rate } = self;
        write!(f, "{:?} for {key:?}, {rate} by {:?}", limit.uid(), limit.strategy())
    }
}

/// A backend, its clock, and the reference that is asked the same questions.
pub(super) struct Subject {
    pub(super) backend: Arc<dyn Backend>,
    clock: ManualClock,
    pub(super) reference: Reference,
    entries: u64,
    /// The version of the settings.
    version: u64,
}

impl Subject {
    /// Creates a limit for a new client.
    pub(super) fn entry(&mut self, strategy: &AnyStrategy, rate: Rate) -> Entry {
        self.entries += 1;
        let (limit, key) = (LimitId::new("limit", strategy.clone()), Key::from(("client", self.entries)));
        Entry { limit, key, rate }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(super) fn advance(&self, wait: Duration) {
        self.clock.advance(wait);
    }

    pub(super) fn go_to(&self, now: Timestamp) {
        self.clock.set(now);
    }

    /// Decides, and compares the decision with the reference.
    pub(super) async fn decide(&mut self, hits: &[Hit<'_>]) -> Check<Vec<Observed>> {
        let expected = self.reference.decide(hits, self.now());
        let found = self.backend.decide(hits).await;
        self.compare("a decision", hits, &expected, found)
    }

    pub(super) async fn peek(&self, hits: &[Hit<'_>]) -> Check<Vec<Observed>> {
        let expected = self.reference.peek(hits, self.now());
        let found = self.backend.peek(hits).await;
        self.compare("a peek", hits, &expected, found)
    }

    pub(super) async fn refund(&mut self, charges: &[Charge<'_>]) -> Check {
        let refunds: Vec<_> = charges.iter().map(|charge| charge.refund()).collect();
        self.adjust(&refunds).await.map(drop)
    }

    /// Adjusts, and compares the outcomes with the reference.
    pub(super) async fn adjust(&mut self, adjustments: &[Adjustment<'_>]) -> Check<Vec<ObservedAdjustment>> {
        let expected = observed::adjustments(adjustments, &self.reference.adjust(adjustments, self.now()));
        let asked = format!("an adjustment at {} us: {adjustments:?}", self.now().as_micros());
        let found = self.backend.adjust(adjustments).await;
        let found = found.map_err(|error| Mismatch::unanswered_at_all(&asked, &error))?;
        let found = observed::adjustments(adjustments, &found);
        ensure(asked, &expected, &found)?;
        Ok(found)
    }

    /// Reads or replaces settings, and compares them with the reference. Their version grows with each change.
    pub(super) async fn control(&mut self, request: ControlRequest<'_>) -> Check<Control> {
        let (is_replaced, settings) = self.reference.control(request);
        let found = self.backend.control(request).await;
        let found = found.map_err(|error| Mismatch::unanswered_at_all(format!("{request:?}"), &error))?;
        let is_known = matches!(request, ControlRequest::Read { known } if known == self.version);
        let sorted = found.settings.clone().map(|mut settings| {
            settings.sort_unstable();
            settings
        });
        let expected = (is_replaced, Some(settings).filter(|_| !is_known));
        ensure(format!("{request:?}, whether it replaces, and the settings"), expected, (found.is_replaced, sorted))?;
        let version = if is_replaced { found.version.max(self.version + 1) } else { self.version };
        ensure(format!("{request:?}, the version of the settings"), version, found.version)?;
        self.version = version;
        Ok(found)
    }

    /// Renews, and compares the renewals with the reference.
    pub(super) async fn renew(&mut self, charges: &[Charge<'_>]) -> Check<Vec<Option<Timestamp>>> {
        let now = self.now();
        let expected: Vec<_> =
            self.reference.renew(charges, now).into_iter().map(|is_charged| is_charged.then_some(now)).collect();
        let asked = format!("a renewal of {charges:?} at {} us", now.as_micros());
        match self.backend.renew(charges).await {
            Ok(found) if is_same(charges, &expected, &found) => Ok(found),
            Ok(found) => Err(Mismatch::new(asked, expected, found)),
            Err(error) => Err(Mismatch::unanswered_at_all(asked, &error)),
        }
    }

    pub(super) async fn reset(&mut self, hits: &[Hit<'_>]) -> Check {
        self.reference.reset(hits);
        self.backend.reset(hits).await.map_err(|error| Mismatch::unanswered("a reset", hits, &error))
    }

    pub(super) async fn clear(&mut self) -> Check {
        self.reference.clear();
        self.backend.clear().await.map_err(|error| Mismatch::unanswered("a clear", &[], &error))
    }

    /// Charges all that is left.
    pub(super) async fn exhaust(&mut self, entry: &Entry) -> Check {
        let left = self.remaining(entry).await?;
        self.decide(&[entry.hit(left)]).await.map(drop)
    }

    pub(super) async fn remaining(&self, entry: &Entry) -> Check<u64> {
        let observed = self.peek(&[entry.hit(1)]).await?;
        Ok(observed.iter().find_map(|observed| observed.numbers.as_ref()).map_or(0, |numbers| numbers.remaining))
    }

    fn compare(
        &self,
        call: &str,
        hits: &[Hit<'_>],
        expected: &[Outcome],
        found: Result<Decision, BackendError>,
    ) -> Check<Vec<Observed>> {
        let found = found.map_err(|error| Mismatch::unanswered(call, hits, &error))?;
        let (expected, found) = (Observed::of(hits, expected), Observed::of(hits, found.outcomes()));
        if expected == found {
            return Ok(found);
        }
        let at = expected.iter().zip(&found).take_while(|(expected, found)| expected == found).count();
        let asked = format!("outcome {at} of {call} at {} us of {}", self.now().as_micros(), Hits(hits));
        Err(Mismatch::of_outcomes(asked, expected.get(at), found.get(at)))
    }
}

/// Compares renewals. The time of a renewal at an unlimited rate does not matter, since nothing is stored.
fn is_same(charges: &[Charge<'_>], expected: &[Option<Timestamp>], found: &[Option<Timestamp>]) -> bool {
    let is_as_good = |((charge, expected), found): ((&Charge<'_>, &Option<Timestamp>), &Option<Timestamp>)| {
        expected == found || (charge.hit.rate.is_unlimited() && found.is_some())
    };
    expected.len() == found.len() && charges.iter().zip(expected).zip(found).all(is_as_good)
}

/// Compares what the reference does not know.
pub(super) fn ensure<T: PartialEq + fmt::Debug>(asked: impl Into<String>, expected: T, found: T) -> Check {
    if expected == found { Ok(()) } else { Err(Mismatch::new(asked, expected, found)) }
}
