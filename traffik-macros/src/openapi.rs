//! Adds the responses of the throttles to `#[utoipa::path(..)]` of the same handler, if it is below the attribute.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use quote::quote;
use syn::{Meta, Path};

use crate::parse::Function;

/// Adds `permit`, whose `IntoResponses` describes them. It is the first response, because later ones replace those with
/// the same status: the handler's own remain.
pub(crate) fn add_responses(function: &mut Function, permit: &TokenStream) {
    // The expansion of `utoipa::path` is outside of the handler, so it cannot name the handler's parameters.
    if !function.sig.generics.params.is_empty() {
        return;
    }
    for attribute in function.attrs.iter_mut().filter(|attribute| is_utoipas(attribute.path())) {
        if let Meta::List(list) = &mut attribute.meta {
            list.tokens = with_response(list.tokens.clone(), permit);
        }
    }
}

/// Returns whether a path ends with `utoipa::path`. An imported `path` would be ambiguous with the compiler's own attribute.
fn is_utoipas(path: &Path) -> bool {
    let mut from_last = path.segments.iter().rev();
    ["path", "utoipa"].iter().all(|name| from_last.next().is_some_and(|segment| segment.ident == name))
}

/// Adds the response to `responses(..)`, or adds the list if there is none.
fn with_response(arguments: TokenStream, permit: &TokenStream) -> TokenStream {
    let mut is_added = false;
    let mut is_after_name = false;
    let mut changed: Vec<TokenTree> = Vec::new();
    for token in arguments {
        let token = match token {
            TokenTree::Group(list) if is_after_name && list.delimiter() == Delimiter::Parenthesis => {
                is_added = true;
                with_first(&list, permit).into()
            }
            other => other,
        };
        is_after_name = matches!(&token, TokenTree::Ident(name) if name == "responses");
        changed.push(token);
    }
    let ends_with_comma = matches!(changed.last(), Some(TokenTree::Punct(last)) if last.as_char() == ',');
    let changed: TokenStream = changed.into_iter().collect();
    match (is_added, ends_with_comma) {
        (true, _) => changed,
        (false, true) => quote!(#changed responses(#permit)),
        (false, false) => quote!(#changed, responses(#permit)),
    }
}

fn with_first(list: &Group, permit: &TokenStream) -> Group {
    let others = list.stream();
    let mut changed = Group::new(list.delimiter(), quote!(#permit, #others));
    changed.set_span(list.span());
    changed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_are_added_before_those_of_the_handler() {
        let added = |arguments: &str| with_response(arguments.parse().unwrap(), &quote!(P)).to_string();
        let expected = |arguments: &str| arguments.parse::<TokenStream>().unwrap().to_string();
        for (arguments, changed) in [
            ("get, path = \"/\"", "get, path = \"/\", responses(P)"),
            ("get, path = \"/\",", "get, path = \"/\", responses(P)"),
            ("get, responses(), tag = \"a\"", "get, responses(P,), tag = \"a\""),
            ("get, responses((status = 200))", "get, responses(P, (status = 200))"),
        ] {
            assert_eq!(added(arguments), expected(changed), "{arguments}");
        }
    }

    #[test]
    fn only_the_attribute_of_utoipa_is_changed() {
        let is_utoipas = |path: &str| is_utoipas(&syn::parse_str(path).unwrap());
        assert!(is_utoipas("utoipa::path") && is_utoipas("::utoipa::path"));
        assert!(!is_utoipas("path") && !is_utoipas("other::path") && !is_utoipas("utoipa::path::other"));
    }
}
