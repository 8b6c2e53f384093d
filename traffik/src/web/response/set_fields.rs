use axum::http::Response;

use super::{
    add_fields,
    fields::{POLICY, STATE, X_LIMIT, X_REMAINING, X_RESET},
    is_shared,
};
use crate::{engine::Limits, web::ledger::last_of_each};

/// Sets the fields that show `limits`, in a response that passes no [`traffik.layer()`](crate::Traffik::layer): that of a tower
/// service, or of a handler with a check of its own in an app without the layer.
///
/// ```
/// use axum::{extract::Path, response::{IntoResponse, Response}};
/// use traffik::{CheckError, DefaultIdentity, Rate, Throttle, Traffik, web::set_fields};
///
/// struct Previews;
///
/// impl Throttle for Previews {
///     const UID: &'static str = "set-fields:previews";
///     const RATE: Rate = Rate::literal("100/min");
///     type Identity = DefaultIdentity;
/// }
///
/// async fn preview(traffik: &Traffik, account: u64) -> Result<Response, CheckError> {
///     let permit = traffik.limiter::<Previews>(account).check().await?;
///     let mut response = "a preview".into_response();
///     set_fields(&mut response, &permit);
///     Ok(response)
/// }
/// ```
///
/// Each throttle is named once. If `limits` has several clients of it, as those of a [`Quota`](crate::Quota), the tightest one
/// is shown.
///
/// The fields are those that the [settings](crate::Fields) of each limit say; they are fields of a refusal if `limits` do not
/// admit. They replace the RateLimit and `X-RateLimit` fields that the response has, such as those of another server. Inside of
/// `traffik.layer()`, the layer then adds none of its own. A response that a shared cache may store gets no fields, because
/// they are for one client. Other fields, such as `Retry-After`, are left as they are.
pub fn set_fields<B>(response: &mut Response<B>, limits: &Limits) {
    for name in [POLICY, STATE, X_LIMIT, X_REMAINING, X_RESET] {
        response.headers_mut().remove(name);
    }
    if !is_shared(response.status(), response.headers()) {
        let shown = last_of_each(limits.iter().filter(|limit| limit.is_shown()));
        add_fields(response.headers_mut(), &shown, !limits.is_admitted());
    }
}
