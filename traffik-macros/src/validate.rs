//! What is written is judged: terms become throttles, or errors.
//!
//! Rates are not judged here: their one grammar is in traffik, and runs as the expansion is compiled.

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::{DeriveInput, FnArg, GenericArgument, LitStr, Pat, PathArguments, Signature, Type};

use crate::{
    at_once,
    errors::Errors,
    options::{self, Options},
    parse::{self, Function, Term, Terms},
};

/// The largest tuple for which traffik implements `Throttles`.
const MOST_THROTTLES: usize = 16;

/// As many as axum passes to a handler, less the one that the attribute adds.
const MOST_ARGUMENTS: usize = 15;

/// A handler, and the throttles that it is held to as one decision.
pub(crate) struct Handler {
    pub(crate) function: Function,
    pub(crate) throttles: Vec<Throttle>,
    /// The path of traffik, if it is told.
    pub(crate) krate: Option<TokenStream>,
}

pub(crate) enum Throttle {
    /// One that is declared elsewhere.
    Type(Type),
    /// One that is declared here.
    Limit(Limit),
}

pub(crate) struct Limit {
    pub(crate) uid: LitStr,
    pub(crate) rate: LitStr,
    /// How many at once, if the rate says that.
    pub(crate) places: Option<u64>,
    pub(crate) options: Options,
}

/// A type that becomes a throttle.
pub(crate) struct Declaration {
    pub(crate) input: DeriveInput,
    /// None only if there are errors.
    pub(crate) limit: Option<Limit>,
    pub(crate) krate: Option<TokenStream>,
}

pub(crate) fn handler(parsed: parse::Handler, errors: &mut Errors) -> Handler {
    let parse::Handler { mut function, attributes } = parsed;
    let mut krate = None;
    let mut throttles = decided_above(&mut function.sig);
    for terms in attributes {
        let (span, is_whole) = (terms.span, terms.is_whole);
        let more = self::throttles(terms, &mut krate, errors);
        if more.is_empty() && is_whole {
            errors.add(syn::Error::new(
                span,
                "what are requests held to? Write a uid and a rate, (\"search:burst\", \"5/min\"), or types that are \
                 throttles, (Burst, Sustained)",
            ));
        }
        throttles.extend(more);
    }
    check_function(&function, &throttles, errors);
    check_together(&throttles, errors);
    Handler { function, throttles, krate }
}

pub(crate) fn declaration(parsed: parse::Declaration, errors: &mut Errors) -> Declaration {
    const FORM: &str = "#[limit(\"feature:purpose\", \"100/min\")]";
    let parse::Declaration { input, attributes } = parsed;
    if !input.generics.params.is_empty() {
        errors.at(&input.generics, "a throttle is one type with one uid, so it has no parameters");
    }
    let mut krate = None;
    let mut limit = None;
    if attributes.is_empty() {
        errors.at(&input.ident, format!("a throttle needs a uid and a rate: `{FORM}`"));
    }
    for terms in attributes {
        let (span, is_whole) = (terms.span, terms.is_whole);
        let throttles = self::throttles(terms, &mut krate, errors);
        if throttles.is_empty() && is_whole {
            errors.add(syn::Error::new(span, format!("a throttle needs a uid and a rate: `{FORM}`")));
        }
        for throttle in throttles {
            match throttle {
                Throttle::Limit(first) if limit.is_none() => limit = Some(first),
                Throttle::Limit(Limit { uid, .. }) => {
                    errors
                        .at(uid, "a throttle has one limit: declare another type for another, and use both as a tuple");
                }
                Throttle::Type(ty) => errors.at(ty, format!("a throttle is declared by a uid and a rate: `{FORM}`")),
            }
        }
    }
    Declaration { input, limit, krate }
}

/// The throttles of an attribute that was expanded before this one, which did not know this one by its name. They join
/// these: all attributes of a handler are one decision.
fn decided_above(signature: &mut Signature) -> Vec<Throttle> {
    let Some(throttles) = signature.inputs.first().and_then(permitted) else { return Vec::new() };
    signature.inputs = std::mem::take(&mut signature.inputs).into_iter().skip(1).collect();
    throttles.into_iter().map(Throttle::Type).collect()
}

/// What the argument that the attribute adds is a permit of, if this is that argument.
fn permitted(argument: &FnArg) -> Option<Vec<Type>> {
    let FnArg::Typed(argument) = argument else { return None };
    let (Pat::Wild(_), Type::Path(path)) = (&*argument.pat, &*argument.ty) else { return None };
    let mut from_last = path.path.segments.iter().rev();
    let permit = from_last.next().filter(|last| last.ident == "Permit")?;
    from_last.next().filter(|module| module.ident == "__private")?;
    match &permit.arguments {
        PathArguments::AngleBracketed(arguments) => match arguments.args.first() {
            Some(GenericArgument::Type(Type::Tuple(tuple))) => Some(tuple.elems.iter().cloned().collect()),
            Some(GenericArgument::Type(alone)) => Some(vec![alone.clone()]),
            _ => None,
        },
        _ => None,
    }
}

/// Puts terms together: two texts are a limit, and the options behind them are its own.
fn throttles(terms: Terms, krate: &mut Option<TokenStream>, errors: &mut Errors) -> Vec<Throttle> {
    let mut throttles = Vec::new();
    let Terms { terms, is_whole, .. } = terms;
    let mut terms = terms.into_iter().peekable();
    while let Some(term) = terms.next() {
        match term {
            Term::Text(uid) => {
                let rate = if let Some(Term::Text(rate)) = terms.next_if(|next| matches!(next, Term::Text(_))) {
                    check_uid(&uid, errors);
                    rate
                } else {
                    if is_whole {
                        errors.at(
                            &uid,
                            "a limit is a uid and a rate, both literals, such as \"search:burst\", \"5/min\": here is only one \
                             of them",
                        );
                    }
                    uid.clone()
                };
                let places = at_once::places(&rate, errors);
                throttles.push(Throttle::Limit(Limit { uid, rate, places, options: Options::default() }));
            }
            Term::Type(ty) => throttles.push(Throttle::Type(ty)),
            Term::Setting(setting) => match throttles.last_mut() {
                Some(Throttle::Limit(limit)) => limit.options.set(setting, krate, errors),
                // The path of the crate may stand anywhere.
                _ if setting.name == "crate" || !options::is_known(&setting.name) => {
                    Options::default().set(setting, krate, errors);
                }
                _ => errors.at(
                    &setting.name,
                    format!(
                        "`{}` goes behind a uid and a rate: a throttle type says it in its own settings",
                        setting.name
                    ),
                ),
            },
        }
    }
    throttles.iter().for_each(|throttle| check_strategy(throttle, errors));
    throttles
}

/// `"10 at once"` is a strategy already.
fn check_strategy(throttle: &Throttle, errors: &mut Errors) {
    let Throttle::Limit(Limit { rate, places: Some(places), options, .. }) = throttle else { return };
    if let Some(strategy) = options.get("strategy") {
        errors.at(
            strategy,
            format!(
                "{:?} has a strategy of its own, `Concurrency`: leave `strategy` out, or write a rate, as \"{places}/min\"",
                rate.value()
            ),
        );
    }
}

fn check_uid(uid: &LitStr, errors: &mut Errors) {
    let text = uid.value();
    if text.is_empty() {
        errors.at(uid, "the uid is empty: give the throttle a name such as \"search:burst\"");
    } else if let Some(other) = text.chars().find(|letter| !matches!(letter, ' '..='~')) {
        errors.at(
            uid,
            format!(
                "a uid holds printable ASCII only, since responses name it in a header field: {other:?} is something else"
            ),
        );
    }
}

fn check_function(function: &Function, throttles: &[Throttle], errors: &mut Errors) {
    let signature = &function.sig;
    if signature.asyncness.is_none() {
        errors.at(signature.fn_token, "a handler is an `async fn`: this function is not");
    }
    if let Some(first_too_many) = signature.inputs.iter().nth(MOST_ARGUMENTS) {
        errors.at(
            first_too_many,
            format!(
                "axum passes a handler at most 16 arguments, and `#[throttled]` adds one: {MOST_ARGUMENTS} are left, and \
                 this one has {}",
                signature.inputs.len()
            ),
        );
    }
    if let Some(receiver) = signature.receiver() {
        errors.at(
            receiver,
            "a handler has no `self`, since axum has none to give it: pass what it needs as an extractor",
        );
    } else if is_in_impl(function) {
        for throttle in throttles {
            if let Throttle::Limit(limit) = throttle {
                errors.at(
                    &limit.uid,
                    format!(
                        "an `impl` block has no room for a new throttle: declare it outside, with \
                         `#[derive(Throttle)] #[limit({:?}, {:?})] struct Name;`, and write `#[throttled(Name)]` here",
                        limit.uid.value(),
                        limit.rate.value(),
                    ),
                );
            }
        }
    }
}

/// Whether it names `Self`, which is all that tells of an `impl` block around it. In the body it may be that of an item
/// within.
fn is_in_impl(function: &Function) -> bool {
    const ITEMS: [&str; 5] = ["impl", "trait", "struct", "enum", "union"];
    let body = || function.body.clone();
    names(function.sig.to_token_stream(), &["Self"]) || (names(body(), &["Self"]) && !names(body(), &ITEMS))
}

fn names(tokens: TokenStream, words: &[&str]) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Group(group) => names(group.stream(), words),
        TokenTree::Ident(ident) => words.iter().any(|word| ident == word),
        TokenTree::Punct(_) | TokenTree::Literal(_) => false,
    })
}

fn check_together(throttles: &[Throttle], errors: &mut Errors) {
    if let Some(first_too_many) = throttles.get(MOST_THROTTLES) {
        errors.at(
            first_too_many,
            format!("one decision is about at most {MOST_THROTTLES} throttles: this handler has {}", throttles.len()),
        );
    }
    for (i, throttle) in throttles.iter().enumerate() {
        if throttles.iter().take(i).any(|earlier| earlier.name() == throttle.name()) {
            errors.at(throttle, "this throttle is on the handler already: leave one of the two out");
        }
    }
}

impl Throttle {
    /// What tells it from others on one handler.
    fn name(&self) -> String {
        match self {
            Self::Type(ty) => ty.to_token_stream().to_string(),
            Self::Limit(limit) => format!("{:?}", limit.uid.value()),
        }
    }
}

/// The tokens that an error about it is at.
impl ToTokens for Throttle {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        match self {
            Self::Type(ty) => ty.to_tokens(tokens),
            Self::Limit(limit) => limit.uid.to_tokens(tokens),
        }
    }
}
