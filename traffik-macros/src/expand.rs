//! Generates the code.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::{Attribute, DeriveInput, Ident, LitStr, Visibility, ext::IdentExt, parse_quote, spanned::Spanned};

#[cfg(feature = "utoipa")]
use crate::openapi;
use crate::{
    parse::Function,
    root::Root,
    validate::{Handler, Limit, Throttle},
};

/// The maximum number of arguments without a warning of Clippy.
const CLIPPYS_MOST_ARGUMENTS: usize = 7;

/// Generates the handler with an additional argument, and the throttles that it declares.
pub(crate) fn handler(handler: Handler) -> TokenStream {
    let Handler { mut function, throttles, krate } = handler;
    let traffik = Root::new(krate);
    let mut declarations = TokenStream::new();
    let (mut types, mut found) = (Vec::new(), Vec::new());
    for (i, throttle) in throttles.iter().enumerate() {
        types.push(match throttle {
            Throttle::Type(ty) => {
                let check = find(ty, ty.span(), &traffik);
                check_that_it_is_one(&mut function, &check);
                found.push(check);
                ty.to_token_stream()
            }
            Throttle::Limit(limit) => {
                // If it cannot be declared here, errors point at the uid.
                let span = limit.uid.span().resolved_at(Span::call_site());
                let name = format_ident!("__{}_throttle_{}", function.sig.ident.unraw(), i, span = span);
                declarations.extend(throttle_of(&function, &name, limit, &traffik));
                found.push(find(&name, limit.uid.span(), &traffik));
                name.into_token_stream()
            }
        });
    }
    let traffik = traffik.at(Span::call_site());
    // A single throttle is not a tuple, which would take longer to compile.
    let asked = if let [alone] = types.as_slice() {
        alone.clone()
    } else {
        declarations.extend(together(&function, &throttles, &found, &traffik));
        quote!((#(#types),*))
    };
    if function.sig.inputs.len() == CLIPPYS_MOST_ARGUMENTS {
        function.attrs.push(parse_quote!(#[allow(clippy::too_many_arguments)]));
    }
    let permit = quote!(#traffik::__private::Permit<#asked>);
    #[cfg(feature = "utoipa")]
    openapi::add_responses(&mut function, &permit);
    // The first argument, so that no other extractor runs for a request that is refused.
    function.sig.inputs.insert(0, parse_quote!(_: #permit));
    quote!(#function #declarations)
}

/// Implements the trait for a type with errors, so that uses of the type raise no further error.
pub(crate) fn fallback(input: &DeriveInput, traffik: &Root) -> Option<TokenStream> {
    let (name, traffik) = (&input.ident, traffik.at(Span::call_site()));
    // A type with parameters would need bounds that are not known here.
    input.generics.params.is_empty().then(|| {
        quote! {
            impl #traffik::Throttle for #name {
                const UID: &'static ::core::primitive::str = "invalid";
                const RATE: #traffik::Rate = #traffik::Rate::UNLIMITED;
                type Identity = #traffik::DefaultIdentity;
            }
        }
    })
}

pub(crate) fn declaration(input: &DeriveInput, limit: &Limit, traffik: &Root) -> TokenStream {
    implementation(&input.ident, &input.ident, limit, &[], traffik)
}

/// Generates the function that finds a throttle in an app. If the type is not a throttle, the error points at the type.
fn find(throttle: &impl ToTokens, span: Span, traffik: &Root) -> TokenStream {
    let span = span.resolved_at(Span::call_site());
    let traffik = traffik.at(span);
    quote_spanned!(span=> #traffik::__private::throttle::<#throttle>())
}

/// Adds the check to the body, because the type's parameters are known only there.
fn check_that_it_is_one(function: &mut Function, find: &TokenStream) {
    let body = &function.body;
    function.body = quote!(let _ = #find; #body);
}

/// Returns the attributes that decide whether the handler is compiled.
fn conditions(function: &Function) -> Vec<&Attribute> {
    function.attrs.iter().filter(|attribute| attribute.path().is_ident("cfg")).collect()
}

/// Generates the type of a throttle, with the visibility of the handler, whose signature contains it.
fn throttle_of(function: &Function, name: &Ident, limit: &Limit, traffik: &Root) -> TokenStream {
    let conditions = conditions(function);
    let visibility: &Visibility = &function.vis;
    let implementation = implementation(name, &function.sig.ident, limit, &conditions, traffik);
    // In an `impl` block the compiler rejects it at the uid.
    let declaration = quote_spanned!(limit.uid.span().resolved_at(Span::call_site())=> struct #name;);
    quote! {
        #(#conditions)*
        #[doc(hidden)]
        #[allow(non_camel_case_types)]
        #visibility #declaration
        #implementation
    }
}

/// Registers that the throttles are one decision, which requires a common backend. This needs a declared throttle:
/// around a handler with types alone, the macro knows neither the scope nor the handler's parameters.
fn together(function: &Function, throttles: &[Throttle], found: &[TokenStream], traffik: &TokenStream) -> TokenStream {
    let has_room = throttles.iter().any(|throttle| matches!(throttle, Throttle::Limit(_)));
    if !has_room || !function.sig.generics.params.is_empty() {
        return TokenStream::new();
    }
    let conditions = conditions(function);
    quote! {
        #(#conditions)*
        const _: () = {
            const __ALL: &[#traffik::__private::Lookup] = &[#(#found),*];
            #traffik::__private::inventory::submit! { #traffik::__private::SameBackend::new(__ALL) }
        };
    }
}

/// Implements `Throttle`. Errors call the throttle `shown`.
fn implementation(
    name: &Ident,
    shown: &Ident,
    limit: &Limit,
    conditions: &[&Attribute],
    traffik: &Root,
) -> TokenStream {
    let Limit { uid, rate, permits, options } = limit;
    let rate_root = traffik.at(rate.span().resolved_at(Span::call_site()));
    let rate_span = rate.span().resolved_at(Span::call_site());
    let rate = if let Some(permits) = permits {
        quote_spanned!(rate_span=> #rate_root::strategy::Concurrency::at_once(#permits))
    } else {
        quote_spanned!(rate_span=> #rate_root::Rate::literal(#rate))
    };
    let place = place(uid);
    let shown = shown.unraw().to_string();
    let traffik = traffik.at(Span::call_site());
    let identity = options.identity_type().cloned().unwrap_or_else(|| quote!(#traffik::DefaultIdentity));
    let settings = settings(limit, &traffik);
    quote! {
        #(#conditions)*
        const _: () = {
            // Outside of the trait, so that it is checked even if the throttle is not used.
            const __RATE: #traffik::Rate = #rate;

            #[diagnostic::do_not_recommend]
            impl #traffik::Throttle for #name {
                const UID: &'static ::core::primitive::str = #uid;
                const RATE: #traffik::Rate = __RATE;
                type Identity = #identity;
                #settings
            }

            #traffik::__private::inventory::submit! {
                #traffik::__private::DeclaredThrottle::new::<#name>(
                    ::core::concat!(::core::module_path!(), "::", #shown, " (", #place, ")"),
                )
            }
        };
    }
}

/// Generates file, line and column of the uid. The macros for them use the span of their own call.
fn place(uid: &LitStr) -> TokenStream {
    quote_spanned!(uid.span()=> ::core::concat!(::core::file!(), ":", ::core::line!(), ":", ::core::column!()))
}

fn settings(limit: &Limit, traffik: &TokenStream) -> Option<TokenStream> {
    let at_once = limit.permits.map(|_| quote!(.strategy(#traffik::strategy::Concurrency)));
    let calls = limit.options.calls();
    let chain = quote!(#at_once #calls);
    let settings = match limit.options.get("settings") {
        Some(function) => quote!(#traffik::__private::change(#traffik::Settings::new() #chain, #function)),
        None if chain.is_empty() => return None,
        None => quote!(#traffik::Settings::new() #chain),
    };
    Some(quote! {
        fn settings() -> #traffik::Settings {
            #settings
        }
    })
}
