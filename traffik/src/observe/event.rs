use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use axum::http::request::Parts;
use traffik_core::{client::Client, decision::Amount, rate::Rate};

/// The decision about one limit. [`TraffikBuilder::on_event`](crate::TraffikBuilder::on_event) passes it to a function.
///
/// Its debug output has neither the client nor the request.
#[must_use]
pub struct Event<'a> {
    pub(crate) uid: &'a str,
    pub(crate) label: &'a str,
    pub(crate) outcome: EventOutcome,
    pub(crate) decided_by: Decider,
    pub(crate) backend: &'a str,
    pub(crate) rate: Rate,
    pub(crate) cost: u64,
    pub(crate) remaining: Amount,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) duration: Duration,
    pub(crate) is_enforced: bool,
    pub(crate) is_near: bool,
    pub(crate) client: Option<&'a Client>,
    pub(crate) parts: Option<&'a Parts>,
}

/// What was decided about a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EventOutcome {
    /// The limit had room, and was charged.
    Admitted,
    /// The limit had no room, so the decision is a refusal, and nothing was charged.
    Refused,
    /// The throttle is in a [dry run](crate::Settings::dry_run), and would have rejected the request otherwise. The limit was
    /// not charged.
    WouldRefuse,
    /// The limit had room, but another limit of the decision refused. Nothing was charged.
    HadRoom,
    /// The client is [exempt](crate::EXEMPTED). Nothing was counted.
    Exempt,
    /// A rule excludes the request, or its cost is 0. Nothing was counted.
    NotApplied,
    /// The rate is unlimited. Nothing was counted.
    Unlimited,
    /// The client is blocked, for example by [`deny_networks`](crate::Settings::deny_networks). Nothing was charged.
    Blocked,
    /// Limits are [disabled](crate::Traffik::disabled). Nothing was counted.
    Disabled,
    /// No backend answered, and [`on_error`](crate::on_error) admitted the request. Nothing was counted, unless the backend made
    /// the charge without an answer.
    Unchecked,
    /// There is no decision: no backend answered, or something is set up wrong. The request was rejected.
    Error,
}

/// What decided about a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Decider {
    /// The backend of the throttle.
    Primary,
    /// A fallback, because the backend of the throttle did not answer: see [`on_error`](crate::on_error).
    Fallback,
    /// The backend of the throttle, which repeated an earlier refusal without a call to its store.
    LocalRefusal,
    /// No backend: nothing was counted, or no backend answered.
    Nobody,
}

impl EventOutcome {
    /// All outcomes.
    pub const ALL: &'static [Self] = &[
        Self::Admitted,
        Self::Refused,
        Self::WouldRefuse,
        Self::HadRoom,
        Self::Exempt,
        Self::NotApplied,
        Self::Unlimited,
        Self::Blocked,
        Self::Disabled,
        Self::Unchecked,
        Self::Error,
    ];

    /// Returns the name for labels and fields, such as `would_refuse`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admitted => "admitted",
            Self::Refused => "refused",
            Self::WouldRefuse => "would_refuse",
            Self::HadRoom => "had_room",
            Self::Exempt => "exempt",
            Self::NotApplied => "not_applied",
            Self::Unlimited => "unlimited",
            Self::Blocked => "blocked",
            Self::Disabled => "disabled",
            Self::Unchecked => "unchecked",
            Self::Error => "error",
        }
    }
}

impl Decider {
    /// All of them.
    pub const ALL: &'static [Self] = &[Self::Primary, Self::Fallback, Self::LocalRefusal, Self::Nobody];

    /// Returns the name for labels and fields, such as `local_refusal`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Fallback => "fallback",
            Self::LocalRefusal => "local_refusal",
            Self::Nobody => "nobody",
        }
    }
}

/// Writes the [name](Self::as_str).
impl fmt::Display for EventOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Writes the [name](Self::as_str).
impl fmt::Display for Decider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl<'a> Event<'a> {
    /// Returns the uid of the throttle.
    #[must_use]
    pub const fn uid(&self) -> &'a str {
        self.uid
    }

    /// Returns the name for metrics and logs, of which an app has few. It is the uid.
    #[must_use]
    pub const fn label(&self) -> &'a str {
        self.label
    }

    /// Returns what was decided.
    #[must_use]
    pub const fn outcome(&self) -> EventOutcome {
        self.outcome
    }

    /// Returns what decided.
    #[must_use]
    pub const fn decided_by(&self) -> Decider {
        self.decided_by
    }

    /// Returns the name of the backend that decided, or that of the throttle if none did.
    ///
    /// The app's own backend is `default`. Others have the name that
    /// [`TraffikBuilder::backend`](crate::TraffikBuilder::backend) registers. A fallback has the name of the backend that it
    /// stands in for, followed by `:fallback`. The limits of a single WebSocket are in `connection`.
    #[must_use]
    pub const fn backend(&self) -> &'a str {
        self.backend
    }

    /// Returns the rate of the decision.
    #[must_use]
    pub const fn rate(&self) -> Rate {
        self.rate
    }

    /// Returns the cost that was charged, or that would have been. 0 where nothing was counted.
    #[must_use]
    pub const fn cost(&self) -> u64 {
        self.cost
    }

    /// Returns the highest cost that would be admitted after the decision. [`Amount::Unlimited`] where nothing was counted.
    #[must_use]
    pub const fn remaining(&self) -> Amount {
        self.remaining
    }

    /// Returns how long until a refused cost would be admitted, if the client sends no other request until then.
    ///
    /// Returns `None` unless the limit refused or would have, and if its cost never fits.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// Returns how long the decision took, in whole microseconds. Zero where no backend was asked.
    ///
    /// For a caller that waited for its turn, it is the time of the last question alone.
    #[must_use]
    pub const fn duration(&self) -> Duration {
        self.duration
    }

    /// Returns `false` if the throttle is in a [dry run](crate::Settings::dry_run).
    #[must_use]
    pub const fn is_enforced(&self) -> bool {
        self.is_enforced
    }

    /// Returns `true` if the limit was charged, and is used up to the share that
    /// [`Settings::warn_at`](crate::Settings::warn_at) sets, or more.
    #[must_use]
    pub const fn is_near(&self) -> bool {
        self.is_near
    }

    /// Returns the client, or `None` if it is exempt, or was not identified.
    ///
    /// Do not make it the label of a metric: there is no bound on the number of clients.
    #[must_use]
    pub const fn client(&self) -> Option<&'a Client> {
        self.client
    }

    /// Returns the head of the request. `None` outside of requests, and for the messages of WebSockets.
    #[must_use]
    pub const fn parts(&self) -> Option<&'a Parts> {
        self.parts
    }
}

impl fmt::Debug for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("uid", &self.uid)
            .field("outcome", &self.outcome)
            .field("decided_by", &self.decided_by)
            .field("backend", &self.backend)
            .field("rate", &self.rate)
            .field("cost", &self.cost)
            .field("remaining", &self.remaining)
            .field("retry_after", &self.retry_after)
            .field("duration", &self.duration)
            .field("is_enforced", &self.is_enforced)
            .field("is_near", &self.is_near)
            .finish_non_exhaustive()
    }
}

/// The decisions about one limit since the start of the app: see [`Traffik::counts`](crate::Traffik::counts).
///
/// Each counts the [events](crate::observe::Event) with one outcome. Requests to which the limit does not apply, and those of
/// exempt clients, are in none of them. Neither is the limit of a tuple that had room when another one refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Counts {
    /// The limit had room, and was charged.
    pub admitted: u64,
    /// The limit had no room, so the request was refused.
    pub refused: u64,
    /// The throttle would have rejected the request, but is in a [dry run](crate::Settings::dry_run).
    pub would_refuse: u64,
    /// No backend answered, and the request was admitted.
    pub unchecked: u64,
    /// The client was blocked.
    pub blocked: u64,
    /// There was no decision, and the request was rejected.
    pub errors: u64,
}

/// Counts the decisions about one limit by their outcome, apart from what is read with each decision.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(crate) struct Counters([AtomicU64; EventOutcome::ALL.len()]);

impl Counters {
    #[inline]
    pub(crate) fn add(&self, outcome: EventOutcome) {
        if let Some(counter) = self.0.get(outcome as usize) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Adds what was counted before for the same limit.
    pub(crate) fn continue_from(&self, earlier: &Self) {
        for (counter, earlier) in self.0.iter().zip(&earlier.0) {
            counter.fetch_add(earlier.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }

    pub(crate) fn read(&self) -> Counts {
        let of = |outcome: EventOutcome| self.0.get(outcome as usize).map_or(0, |count| count.load(Ordering::Relaxed));
        Counts {
            admitted: of(EventOutcome::Admitted),
            refused: of(EventOutcome::Refused),
            would_refuse: of(EventOutcome::WouldRefuse),
            unchecked: of(EventOutcome::Unchecked),
            blocked: of(EventOutcome::Blocked),
            errors: of(EventOutcome::Error),
        }
    }
}
