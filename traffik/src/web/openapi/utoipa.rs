use std::collections::{BTreeMap, btree_map::Entry};

use serde_json::Value;
use utoipa::{
    IntoResponses, Modify,
    openapi::{OpenApi, RefOr, Response, path::PathItem},
};

use super::responses::{self, Responses, add_to, read};
use crate::{
    limit::Throttles,
    web::{Limiter, Peek, ThrottleLayer, ThrottleRejection, Throttled, response::problem_schema},
};

fn read_all(responses: Responses) -> BTreeMap<String, RefOr<Response>> {
    responses
        .into_iter()
        .filter_map(|(status, response)| Some((status.to_string(), RefOr::T(read(response)?))))
        .collect()
}

impl<T: Throttles> IntoResponses for Throttled<T> {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        read_all(responses::of::<T>(&problem_schema()))
    }
}

impl<T: Throttles> IntoResponses for Limiter<T> {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        read_all(responses::of::<T>(&problem_schema()))
    }
}

impl<T: Throttles> IntoResponses for Peek<T> {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        read_all(responses::of_peek::<T>(&problem_schema()))
    }
}

impl IntoResponses for ThrottleRejection {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        read_all(responses::of_any(&problem_schema()))
    }
}

/// Adds the responses of the layer to every operation of a document.
impl<T: Throttles> Modify for ThrottleLayer<T> {
    fn modify(&self, document: &mut OpenApi) {
        let responses = responses::of::<T>(&problem_schema());
        for item in document.paths.paths.values_mut() {
            let PathItem { get, put, post, delete, options, head, patch, trace, query, .. } = item;
            for operation in [get, put, post, delete, options, head, patch, trace, query].into_iter().flatten() {
                responses
                    .iter()
                    .for_each(|(status, response)| add(&mut operation.responses.responses, *status, response));
            }
        }
    }
}

fn add(documented: &mut BTreeMap<String, RefOr<Response>>, status: u16, response: &Value) {
    match documented.entry(status.to_string()) {
        Entry::Vacant(vacant) => {
            read(response.clone()).map(|response| vacant.insert(RefOr::T(response)));
        }
        Entry::Occupied(known) => {
            if let RefOr::T(known) = known.into_mut() {
                add_to(known, response);
            }
        }
    }
}
