#![doc = include_str!("../docs/crate.md")]

mod at_once;
mod errors;
mod expand;
#[cfg(feature = "utoipa")]
mod openapi;
mod options;
mod parse;
mod root;
mod share;
mod validate;

use proc_macro2::TokenStream;
use quote::ToTokens;

use self::{errors::Errors, root::Root};

#[doc = include_str!("../docs/throttled.md")]
#[proc_macro_attribute]
pub fn throttled(arguments: proc_macro::TokenStream, item: proc_macro::TokenStream) -> proc_macro::TokenStream {
    held_to(arguments.into(), item.into()).into()
}

#[doc = include_str!("../docs/derive.md")]
#[proc_macro_derive(Throttle, attributes(limit))]
pub fn throttle(input: proc_macro::TokenStream) -> proc_macro::TokenStream {
    declared(input.into()).into()
}

/// Expands `#[throttled]`. If there are errors, the handler is returned unchanged with them, so that it raises no
/// errors of its own.
fn held_to(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let Some((function, attributes)) = parse::handler(arguments, item.clone(), &mut errors) else {
        return errors.into_tokens().into_iter().chain([item]).collect();
    };
    let unchanged = function.clone();
    let handler = validate::handler(function, attributes, &mut errors);
    match errors.into_tokens() {
        Some(errors) => [errors, unchanged.into_token_stream()].into_iter().collect(),
        None => expand::handler(handler),
    }
}

fn declared(input: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let Some((input, attributes)) = parse::declaration(input, &mut errors) else {
        return errors.into_tokens().unwrap_or_default();
    };
    let (limit, krate) = validate::declaration(&input, attributes, &mut errors);
    let traffik = Root::new(krate);
    match (errors.into_tokens(), limit) {
        (None, Some(limit)) => expand::declaration(&input, &limit, &traffik),
        (errors, _) => errors.into_iter().chain(expand::fallback(&input, &traffik)).collect(),
    }
}
