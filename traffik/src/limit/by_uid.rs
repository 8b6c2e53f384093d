/// A limit that is a value, which is found by its uid and not by a type.
///
/// It is the type parameter of what such a limit has in common with types: [`ClientLimiter`](crate::ClientLimiter),
/// [`Limiter`](crate::Limiter) and [`Permit`](crate::Permit). [`Traffik::limiter_of`](crate::Traffik::limiter_of) and
/// [`Limiters`](crate::web::Limiters) create them. See [`Traffik::add_limit`](crate::Traffik::add_limit).
///
/// A function that expects a type does not compile with it:
///
/// ```compile_fail
/// # let traffik = traffik::Traffik::disabled();
/// let _ = traffik.limiter::<traffik::ByUid>("alice");
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct ByUid;
