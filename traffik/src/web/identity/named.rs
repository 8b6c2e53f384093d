/// The name of a header or a cookie, for an identity as a type.
///
/// ```
/// use traffik::{Rate, Throttle, identity::{ByHeader, Named}};
///
/// struct TenantId;
///
/// impl Named for TenantId {
///     const NAME: &'static str = "x-tenant-id";
/// }
///
/// struct Search;
///
/// impl Throttle for Search {
///     const UID: &'static str = "search:tenant";
///     const RATE: Rate = Rate::literal("600/min");
///     type Identity = ByHeader<TenantId>;
/// }
/// ```
///
/// ```compile_fail
/// use axum::{Router, routing::get};
/// use traffik::identity::{ByHeader, Named};
///
/// struct TenantId;
///
/// impl Named for TenantId {
///     const NAME: &'static str = "X-Tenant-Id";
/// }
///
/// let _: Router = Router::new().route("/", get(async |_: ByHeader<TenantId>| {}));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not the name of a header or a cookie",
    label = "a type that implements `Named` is needed here",
    note = "write `struct TenantId; impl traffik::identity::Named for TenantId {{ const NAME: &'static str = \"x-tenant-id\"; }}`"
)]
pub trait Named: 'static {
    /// The name. A name of a header is in lower case: others do not compile.
    const NAME: &'static str;
}
