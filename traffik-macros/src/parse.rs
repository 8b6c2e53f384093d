//! Parses tokens into arguments. Only the grammar is checked here.
//!
//! ```text
//! arguments = (argument ",")*
//! argument  = text | name "=" value | flag | type
//! ```

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::{
    Attribute, DeriveInput, Expr, Ident, Lit, LitStr, Meta, Path, Result, Signature, Token, Type, Visibility, braced,
    ext::IdentExt,
    parse::{Parse, ParseStream, Parser},
};

use crate::errors::Errors;

/// A function whose body is not parsed, because the compiler reports errors in it best.
#[derive(Clone)]
pub(crate) struct Function {
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) vis: Visibility,
    pub(crate) sig: Signature,
    /// `#![..]`, which begin the body.
    pub(crate) inner_attrs: Vec<Attribute>,
    pub(crate) body: TokenStream,
}

/// The arguments of one attribute.
pub(crate) struct Arguments {
    pub(crate) arguments: Vec<Argument>,
    /// The span of errors that concern no single argument.
    pub(crate) span: Span,
    /// Whether all arguments could be parsed. If not, an argument may seem to be missing.
    pub(crate) is_whole: bool,
}

pub(crate) enum Argument {
    /// A uid or a rate.
    Text(LitStr),
    /// `name = value`, or a flag.
    Setting(Setting),
    /// A throttle.
    Type(Type),
}

pub(crate) struct Setting {
    pub(crate) name: Ident,
    /// Empty for a flag.
    pub(crate) value: TokenStream,
    /// Whether the value is a type.
    pub(crate) is_type: bool,
}

/// The options without a value.
const FLAGS: &[&str] = &["charge_preflights", "dry_run", "hidden", "refuse_with_503"];

/// Parses the function under an attribute. Removes its inner `#[throttled(..)]`, because all of them are one decision.
pub(crate) fn handler(
    arguments: TokenStream,
    item: TokenStream,
    errors: &mut Errors,
) -> Option<(Function, Vec<Arguments>)> {
    let Ok(mut function) = syn::parse2::<Function>(item.clone()) else {
        errors.at(first_of(item), "`#[throttled]` goes on a handler: an `async fn` with a body");
        return None;
    };
    let outer = Arguments::read(arguments, Span::call_site(), errors);
    let (inner, others): (Vec<_>, Vec<_>) = std::mem::take(&mut function.attrs).into_iter().partition(is_throttled);
    function.attrs = others;
    let inner = inner.iter().map(|attribute| Arguments::of(attribute, errors));
    Some((function, std::iter::once(outer).chain(inner).collect()))
}

/// Parses a type and its `#[limit(..)]` attributes.
pub(crate) fn declaration(input: TokenStream, errors: &mut Errors) -> Option<(DeriveInput, Vec<Arguments>)> {
    let input = syn::parse2::<DeriveInput>(input).map_err(|error| errors.add(error)).ok()?;
    let limits = input.attrs.iter().filter(|attribute| attribute.path().is_ident("limit"));
    let attributes = limits.map(|attribute| Arguments::of(attribute, errors)).collect();
    Some((input, attributes))
}

/// Returns whether the attribute is `#[throttled]` or `#[traffik::throttled]`, by any path. Under another name it is
/// not recognized here, but when it expands itself.
fn is_throttled(attribute: &Attribute) -> bool {
    attribute.path().segments.last().is_some_and(|last| last.ident == "throttled")
}

fn first_of(tokens: TokenStream) -> TokenStream {
    tokens.into_iter().take(1).collect()
}

impl Arguments {
    fn of(attribute: &Attribute, errors: &mut Errors) -> Self {
        let span = attribute.path().segments.last().map_or_else(Span::call_site, |last| last.ident.span());
        match &attribute.meta {
            Meta::Path(_) => Self::read(TokenStream::new(), span, errors),
            Meta::List(list) => Self::read(list.tokens.clone(), span, errors),
            Meta::NameValue(pair) => {
                errors.at(pair, "`#[throttled]` takes its throttles in parentheses: (\"search:burst\", \"5/min\")");
                Self { arguments: Vec::new(), span, is_whole: false }
            }
        }
    }

    fn read(tokens: TokenStream, span: Span, errors: &mut Errors) -> Self {
        let (mut arguments, mut is_whole) = (Vec::new(), true);
        let parser = |input: ParseStream<'_>| {
            while !input.is_empty() {
                match term_and_comma(input) {
                    Ok(argument) => arguments.push(argument),
                    Err(error) => {
                        errors.add(error);
                        is_whole = false;
                        skip_behind_comma(input)?;
                    }
                }
            }
            Ok(())
        };
        if let Err(error) = parser.parse2(tokens) {
            errors.add(error);
        }
        Self { arguments, span, is_whole }
    }
}

fn term_and_comma(input: ParseStream<'_>) -> Result<Argument> {
    let argument = input.parse()?;
    if !input.is_empty() {
        input.parse::<Token![,]>()?;
    }
    Ok(argument)
}

fn skip_behind_comma(input: ParseStream<'_>) -> Result<()> {
    while !input.is_empty() {
        if matches!(input.parse()?, TokenTree::Punct(punct) if punct.as_char() == ',') {
            break;
        }
    }
    Ok(())
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let (attrs, vis, sig) = (input.call(Attribute::parse_outer)?, input.parse()?, input.parse()?);
        let body;
        braced!(body in input);
        let inner_attrs = body.call(Attribute::parse_inner)?;
        Ok(Self { attrs, vis, sig, inner_attrs, body: body.parse()? })
    }
}

impl ToTokens for Function {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let Self { attrs, vis, sig, inner_attrs, body } = self;
        tokens.extend(quote!(#(#attrs)* #vis #sig { #(#inner_attrs)* #body }));
    }
}

impl Parse for Argument {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        if input.peek(LitStr) {
            input.parse().map(Self::Text)
        } else if input.peek(Lit) {
            Err(input.error("a uid and a rate are string literals, such as \"search:burst\" and \"5/min\""))
        } else if input.peek(Ident::peek_any) && (input.peek2(Token![=]) || is_flag(input)) {
            input.parse().map(Self::Setting)
        } else {
            input.parse().map(Self::Type)
        }
    }
}

impl Parse for Setting {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let is_flag = is_flag(input);
        let name = Ident::parse_any(input)?;
        if is_flag {
            return match input.peek(Token![=]) {
                true => Err(input.error(format!("`{name}` has no value: write it alone"))),
                false => Ok(Self { name, value: TokenStream::new(), is_type: false }),
            };
        }
        input.parse::<Token![=]>()?;
        let is_type = name == "identity" && is_type(input);
        let value = match name.to_string().as_str() {
            "identity" if is_type => input.parse::<Type>()?.into_token_stream(),
            "crate" => input.call(Path::parse_mod_style)?.into_token_stream(),
            _ => input.parse::<Expr>()?.into_token_stream(),
        };
        Ok(Self { name, value, is_type })
    }
}

fn is_flag(input: ParseStream<'_>) -> bool {
    let input = input.fork();
    // A module may have the name of a flag, in the path of a throttle.
    input.call(Ident::parse_any).is_ok_and(|name| FLAGS.iter().any(|flag| name == flag)) && !input.peek(Token![::])
}

/// Returns whether a type follows, not a function or a closure. Names of functions begin with a lower-case letter; the
/// compiler warns about others.
fn is_type(input: ParseStream<'_>) -> bool {
    match input.fork().parse() {
        Ok(Type::Path(path)) => {
            let last = path.path.segments.last().map(|last| last.ident.unraw().to_string());
            last.is_some_and(|name| name.trim_start_matches('_').starts_with(char::is_uppercase))
        }
        Ok(_) => true,
        Err(_) => false,
    }
}
