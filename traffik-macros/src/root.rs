//! Where the expansion finds traffik.

use proc_macro2::{Group, Span, TokenStream, TokenTree};
use quote::quote;

/// The path of the crate: `::traffik`, unless the option `crate` tells another.
pub(crate) struct Root(TokenStream);

impl Root {
    pub(crate) fn new(told: Option<TokenStream>) -> Self {
        Self(told.unwrap_or_else(|| quote!(::traffik)))
    }

    /// The path, located at `span`: what is wrong there is an error there.
    pub(crate) fn at(&self, span: Span) -> TokenStream {
        located_at(self.0.clone(), span)
    }
}

/// Only the location changes: what a name means, `$crate` above all, is as it was.
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
