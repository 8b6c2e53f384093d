use std::borrow::Cow;

use aide::{
    OperationInput, OperationOutput,
    generate::GenContext,
    openapi::{Operation, ReferenceOr, Response, StatusCode},
};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::Value;

use super::responses::{self, Responses, add_to, read};
#[cfg(feature = "ws")]
use crate::web::ws::Messages;
use crate::{
    engine::{Limits, Traffik},
    limit::{DefaultIdentity, Throttles},
    web::{
        Limiter, Peek, ThrottleRejection, Throttled,
        identity::{ByApiKey, ByBearerToken, ByCookie, ByExtension, ByHeader, Everyone},
        response::problem_schema,
    },
};

/// The body of a rejection, a component of the document.
struct RateLimitProblem;

impl JsonSchema for RateLimitProblem {
    fn schema_name() -> Cow<'static, str> {
        "RateLimitProblem".into()
    }

    fn schema_id() -> Cow<'static, str> {
        concat!(module_path!(), "::RateLimitProblem").into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        problem_schema().try_into().unwrap_or_default()
    }
}

fn schema(ctx: &mut GenContext) -> Value {
    ctx.schema.subschema_for::<RateLimitProblem>().to_value()
}

/// Adds responses to those of other arguments. aide calls this again for an argument that is an `Option`.
///
/// The responses are no early ones, because aide does not ask an `Option` for these.
fn add(operation: &mut Operation, responses: Responses) {
    let documented = &mut operation.responses.get_or_insert_default().responses;
    for (status, response) in responses {
        let status = StatusCode::Code(status);
        match documented.get_mut(&status) {
            None => {
                documented.extend(read(response).map(|response| (status, ReferenceOr::Item(response))));
            }
            Some(ReferenceOr::Item(known)) => add_to(known, &response),
            Some(ReferenceOr::Reference { .. }) => {}
        }
    }
}

impl<T: Throttles> OperationInput for Throttled<T> {
    fn operation_input(ctx: &mut GenContext, operation: &mut Operation) {
        add(operation, responses::of::<T>(&schema(ctx)));
    }
}

impl<T: Throttles> OperationInput for Limiter<T> {
    fn operation_input(ctx: &mut GenContext, operation: &mut Operation) {
        add(operation, responses::of::<T>(&schema(ctx)));
    }
}

impl<T: Throttles> OperationInput for Peek<T> {
    fn operation_input(ctx: &mut GenContext, operation: &mut Operation) {
        add(operation, responses::of_peek::<T>(&schema(ctx)));
    }
}

impl OperationOutput for ThrottleRejection {
    type Inner = ();

    fn operation_response(ctx: &mut GenContext, _: &mut Operation) -> Option<Response> {
        responses::of_any(&schema(ctx)).into_iter().find_map(|(_, response)| read(response))
    }

    /// Leaves out what an argument has documented before, with its limits.
    fn inferred_responses(ctx: &mut GenContext, operation: &mut Operation) -> Vec<(Option<u16>, Response)> {
        let is_documented = |status: u16| {
            let documented = operation.responses.as_ref();
            documented.is_some_and(|documented| documented.responses.contains_key(&StatusCode::Code(status)))
        };
        let responses = responses::of_any(&schema(ctx)).into_iter().filter(|(status, _)| !is_documented(*status));
        responses.filter_map(|(status, response)| Some((Some(status), read(response)?))).collect()
    }
}

impl OperationInput for Traffik {}
impl OperationInput for Limits {}
impl OperationInput for DefaultIdentity {}
impl OperationInput for Everyone {}
impl OperationInput for ByBearerToken {}
impl<N> OperationInput for ByHeader<N> {}
impl<N> OperationInput for ByApiKey<N> {}
impl<N> OperationInput for ByCookie<N> {}
impl<T> OperationInput for ByExtension<T> {}
#[cfg(feature = "ws")]
impl<T> OperationInput for Messages<T> {}
