//! The path of traffik in expansions.

use proc_macro2::{Group, Span, TokenStream, TokenTree};
use quote::quote;

/// The path of the crate: `::traffik`, unless the option `crate` sets another.
pub(crate) struct Root(TokenStream);

impl Root {
    pub(crate) fn new(named: Option<TokenStream>) -> Self {
        Self(named.unwrap_or_else(|| quote!(::traffik)))
    }

    /// Returns the path with the location `span`, where the compiler reports errors.
    pub(crate) fn at(&self, span: Span) -> TokenStream {
        located_at(self.0.clone(), span)
    }
}

/// Changes only the location. The meaning of names, in particular of `$crate`, is unchanged.
fn located_at(tokens: TokenStream, span: Span) -> TokenStream {
    let located = |token: TokenTree| match token {
        TokenTree::Group(group) => Group::new(group.delimiter(), located_at(group.stream(), span)).into(),
        mut token => {
            token.set_span(token.span().located_at(span));
            token
        }
    };
    tokens.into_iter().map(located).collect()
}
