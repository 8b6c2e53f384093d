use std::{any::TypeId, sync::Arc};

use super::{ByUid, ConfigError, Definition, KnownBy, Throttle, ThrottleTable};
use crate::one_or_more::OneOrMore;

/// A [`Throttle`], or a tuple of up to sixteen throttles that are one decision: all are charged, or none is. A throttle
/// that appears twice is charged once.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is neither a throttle nor a tuple of up to sixteen throttles",
    note = "declare it with `#[derive(traffik::Throttle)] #[limit(\"feature:purpose\", \"100/min\")]`, or implement \
            `traffik::Throttle` for it, with a `UID` and a `RATE`"
)]
#[expect(private_bounds, reason = "it is sealed")]
pub trait Throttles: Define + Send + Sync + 'static {}

/// The throttles of a set.
pub(crate) trait Define {
    const UIDS: &'static [&'static str];

    fn define(table: &ThrottleTable, known_by: KnownBy) -> Result<OneOrMore<&Arc<Definition>>, ConfigError>;

    fn include(throttle: TypeId) -> bool;

    #[cfg(any(feature = "aide", feature = "utoipa"))]
    fn declarations() -> Vec<Declaration>;
}

impl<T: Throttle> Throttles for T {}

impl<T: Throttle> Define for T {
    const UIDS: &'static [&'static str] = &[T::UID];

    fn define(table: &ThrottleTable, known_by: KnownBy) -> Result<OneOrMore<&Arc<Definition>>, ConfigError> {
        table.get::<T>(known_by).map(OneOrMore::new)
    }

    fn include(throttle: TypeId) -> bool {
        throttle == TypeId::of::<T>()
    }

    #[cfg(any(feature = "aide", feature = "utoipa"))]
    fn declarations() -> Vec<Declaration> {
        vec![Declaration::of::<T>()]
    }
}

impl Throttles for ByUid {}

impl Define for ByUid {
    const UIDS: &'static [&'static str] = &[];

    /// The callers that call it do not compile.
    fn define(_: &ThrottleTable, _: KnownBy) -> Result<OneOrMore<&Arc<Definition>>, ConfigError> {
        Err(ConfigError::unknown_uid("", std::iter::empty()))
    }

    fn include(throttle: TypeId) -> bool {
        throttle == TypeId::of::<Self>()
    }

    #[cfg(any(feature = "aide", feature = "utoipa"))]
    fn declarations() -> Vec<Declaration> {
        Vec::new()
    }
}

/// Fails the build if `T` is no type of a throttle, nor a tuple of them.
pub(crate) const fn assert_types<T: Throttles>() {
    assert!(!T::UIDS.is_empty(), "a limit that is a value is found by its uid: use `Traffik::limiter_of(uid, client)`");
}

/// Checks a throttle, or each of a tuple and that they can be one decision.
pub(crate) fn register<T: Throttles>(table: &ThrottleTable) -> Result<(), ConfigError> {
    Definition::check_together(T::define(table, KnownBy::Registered)?.iter().copied())
}

/// Calls a macro with the names of each length of tuple.
macro_rules! all_the_tuples {
    ($name:ident) => {
        $name!(A);
        $name!(A, B);
        $name!(A, B, C);
        $name!(A, B, C, D);
        $name!(A, B, C, D, E);
        $name!(A, B, C, D, E, F);
        $name!(A, B, C, D, E, F, G);
        $name!(A, B, C, D, E, F, G, H);
        $name!(A, B, C, D, E, F, G, H, I);
        $name!(A, B, C, D, E, F, G, H, I, J);
        $name!(A, B, C, D, E, F, G, H, I, J, K);
        $name!(A, B, C, D, E, F, G, H, I, J, K, L);
        $name!(A, B, C, D, E, F, G, H, I, J, K, L, M);
        $name!(A, B, C, D, E, F, G, H, I, J, K, L, M, N);
        $name!(A, B, C, D, E, F, G, H, I, J, K, L, M, N, O);
        $name!(A, B, C, D, E, F, G, H, I, J, K, L, M, N, O, P);
    };
}
pub(crate) use all_the_tuples;

macro_rules! tuple_of_throttles {
    ($first:ident $(, $throttle:ident)*) => {
        impl<$first: Throttle, $($throttle: Throttle),*> Throttles for ($first, $($throttle,)*) {}

        impl<$first: Throttle, $($throttle: Throttle),*> Define for ($first, $($throttle,)*) {
            const UIDS: &'static [&'static str] = &[$first::UID, $($throttle::UID),*];

            fn define(table: &ThrottleTable, known_by: KnownBy) -> Result<OneOrMore<&Arc<Definition>>, ConfigError> {
                #[allow(unused_mut)]
                let mut all = OneOrMore::new(table.get::<$first>(known_by)?);
                $(all.add(table.get::<$throttle>(known_by)?, |one, other| Arc::ptr_eq(one, other));)*
                Ok(all)
            }

            fn include(throttle: TypeId) -> bool {
                throttle == TypeId::of::<$first>() $(|| throttle == TypeId::of::<$throttle>())*
            }

            #[cfg(any(feature = "aide", feature = "utoipa"))]
            fn declarations() -> Vec<Declaration> {
                vec![Declaration::of::<$first>() $(, Declaration::of::<$throttle>())*]
            }
        }
    };
}

all_the_tuples!(tuple_of_throttles);

/// A throttle as it is declared, without what an app adds.
#[cfg(any(feature = "aide", feature = "utoipa"))]
pub(crate) struct Declaration {
    pub(crate) uid: &'static str,
    pub(crate) rate: traffik_core::rate::Rate,
    pub(crate) settings: super::Settings,
}

#[cfg(any(feature = "aide", feature = "utoipa"))]
impl Declaration {
    pub(crate) fn of<T: Throttle>() -> Self {
        Self { uid: T::UID, rate: T::RATE, settings: T::settings() }
    }

    /// Returns whether the limit is on concurrent requests.
    pub(crate) fn is_held(&self) -> bool {
        matches!(self.settings.strategy, traffik_core::strategy::AnyStrategy::Concurrency(_))
    }
}
