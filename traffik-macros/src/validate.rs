//! Checks arguments: they become throttles, or errors.
//!
//! Rates are not checked here: their only grammar is in traffik, and runs when the expansion is compiled.

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::{DeriveInput, FnArg, GenericArgument, LitStr, Pat, PathArguments, Signature, Type};

use crate::{
    at_once,
    errors::Errors,
    options::{self, Options},
    parse::{Argument, Arguments, Function},
};

/// The largest tuple for which traffik implements `Throttles`.
const MOST_THROTTLES: usize = 16;

/// The number of arguments that axum passes to a handler, minus the one that the attribute adds.
const MOST_ARGUMENTS: usize = 15;

/// A handler, and the throttles that it is limited by in one decision.
pub(crate) struct Handler {
    pub(crate) function: Function,
    pub(crate) throttles: Vec<Throttle>,
    /// The path of traffik, if the option `crate` sets it.
    pub(crate) krate: Option<TokenStream>,
}

pub(crate) enum Throttle {
    /// A throttle that is declared elsewhere.
    Type(Type),
    /// A throttle that is declared here.
    Limit(Limit),
}

pub(crate) struct Limit {
    pub(crate) uid: LitStr,
    pub(crate) rate: LitStr,
    /// The number of concurrent requests, for `"10 at once"`.
    pub(crate) permits: Option<u64>,
    pub(crate) options: Options,
}

pub(crate) fn handler(mut function: Function, attributes: Vec<Arguments>, errors: &mut Errors) -> Handler {
    const MISSING: &str = "`#[throttled]` lists no throttle: write a uid and a rate, (\"search:burst\", \"5/min\"), or \
                           throttle types, (Burst, Sustained)";
    let mut krate = None;
    let mut throttles = decided_above(&mut function.sig);
    for arguments in attributes {
        throttles.extend(self::throttles(arguments, MISSING, &mut krate, errors));
    }
    check_function(&function, &throttles, errors);
    check_together(&throttles, errors);
    Handler { function, throttles, krate }
}

/// Returns the limit of a type, and the path of traffik, if the option `crate` sets it. There is no limit only if there are
/// errors.
pub(crate) fn declaration(
    input: &DeriveInput,
    attributes: Vec<Arguments>,
    errors: &mut Errors,
) -> (Option<Limit>, Option<TokenStream>) {
    const FORM: &str = "#[limit(\"feature:purpose\", \"100/min\")]";
    let missing = format!("a throttle needs a uid and a rate: `{FORM}`");
    if !input.generics.params.is_empty() {
        errors.at(&input.generics, "a throttle has one uid, so its type cannot have parameters: remove them");
    }
    let mut krate = None;
    let mut limit = None;
    if attributes.is_empty() {
        errors.at(&input.ident, &missing);
    }
    for arguments in attributes {
        for throttle in self::throttles(arguments, &missing, &mut krate, errors) {
            match throttle {
                Throttle::Limit(first) if limit.is_none() => limit = Some(first),
                Throttle::Limit(Limit { uid, .. }) => errors
                    .at(uid, "a throttle has one limit: declare a second type for this one, and use both as a tuple"),
                Throttle::Type(ty) => errors.at(ty, format!("a throttle is declared by a uid and a rate: `{FORM}`")),
            }
        }
    }
    (limit, krate)
}

/// Returns the throttles of an attribute that was expanded before this one, because it did not recognize this one by
/// its name. They join these: all attributes of a handler are one decision.
fn decided_above(signature: &mut Signature) -> Vec<Throttle> {
    let Some(throttles) = signature.inputs.first().and_then(permitted) else { return Vec::new() };
    signature.inputs = std::mem::take(&mut signature.inputs).into_iter().skip(1).collect();
    throttles.into_iter().map(Throttle::Type).collect()
}

/// Returns the throttles of the argument that the attribute adds, if this is that argument.
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

/// Combines arguments: two texts are a limit, and the options after them belong to it.
fn throttles(
    arguments: Arguments,
    missing: &str,
    krate: &mut Option<TokenStream>,
    errors: &mut Errors,
) -> Vec<Throttle> {
    let mut throttles = Vec::new();
    let Arguments { arguments, span, is_whole } = arguments;
    let mut arguments = arguments.into_iter().peekable();
    while let Some(argument) = arguments.next() {
        match argument {
            Argument::Text(uid) => {
                let rate =
                    if let Some(Argument::Text(rate)) = arguments.next_if(|next| matches!(next, Argument::Text(_))) {
                        check_uid(&uid, errors);
                        rate
                    } else {
                        if is_whole {
                            errors.at(
                            &uid,
                            "a limit is a uid and a rate, both literals, such as \"search:burst\", \"5/min\": one of \
                             them is missing",
                        );
                        }
                        uid.clone()
                    };
                let permits = at_once::permits(&rate, errors);
                throttles.push(Throttle::Limit(Limit { uid, rate, permits, options: Options::default() }));
            }
            Argument::Type(ty) => throttles.push(Throttle::Type(ty)),
            Argument::Setting(setting) => match throttles.last_mut() {
                Some(Throttle::Limit(limit)) => limit.options.set(setting, krate, errors),
                // The option `crate` may be at any position.
                _ if setting.name == "crate" || !options::is_known(&setting.name) => {
                    Options::default().set(setting, krate, errors);
                }
                _ => errors.at(
                    &setting.name,
                    format!(
                        "`{}` must follow a uid and a rate: for a throttle type, set it in the settings of the type",
                        setting.name
                    ),
                ),
            },
        }
    }
    if throttles.is_empty() && is_whole {
        errors.add(syn::Error::new(span, missing));
    }
    throttles.iter().for_each(|throttle| check_strategy(throttle, errors));
    throttles
}

/// `"10 at once"` already sets the strategy.
fn check_strategy(throttle: &Throttle, errors: &mut Errors) {
    let Throttle::Limit(Limit { rate, permits: Some(permits), options, .. }) = throttle else { return };
    if let Some(strategy) = options.get("strategy") {
        errors.at(
            strategy,
            format!(
                "{:?} always uses the strategy `Concurrency`: remove `strategy`, or write a rate, \
                 such as \"{permits}/min\"",
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
            format!("a uid must be printable ASCII, because responses contain it in a header field: replace {other:?}"),
        );
    }
}

fn check_function(function: &Function, throttles: &[Throttle], errors: &mut Errors) {
    let signature = &function.sig;
    if signature.asyncness.is_none() {
        errors.at(signature.fn_token, "a handler must be an `async fn`: add `async`");
    }
    if let Some(first_too_many) = signature.inputs.iter().nth(MOST_ARGUMENTS) {
        errors.at(
            first_too_many,
            format!(
                "axum passes a handler at most 16 arguments, and `#[throttled]` adds one: this handler has {}, and \
                 may have {MOST_ARGUMENTS}",
                signature.inputs.len()
            ),
        );
    }
    if let Some(receiver) = signature.receiver() {
        errors.at(
            receiver,
            "a handler cannot have `self`, because axum does not pass one: pass the data with an extractor, such as \
             `State`",
        );
    } else if is_in_impl(function) {
        for throttle in throttles {
            if let Throttle::Limit(limit) = throttle {
                errors.at(
                    &limit.uid,
                    format!(
                        "a throttle type cannot be declared in an `impl` block: declare it outside, with \
                         `#[derive(Throttle)] #[limit({:?}, {:?})] struct Name;`, and write `#[throttled(Name)]` here",
                        limit.uid.value(),
                        limit.rate.value(),
                    ),
                );
            }
        }
    }
}

/// Returns whether the function names `Self`, which shows that it is in an `impl` block. In the body, `Self` may belong
/// to a nested item.
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
            format!("a handler may have at most {MOST_THROTTLES} throttles: this one has {}", throttles.len()),
        );
    }
    for (i, throttle) in throttles.iter().enumerate() {
        if throttles.iter().take(i).any(|earlier| earlier.name() == throttle.name()) {
            errors.at(throttle, "this throttle is on the handler twice: remove one of them");
        }
    }
}

impl Throttle {
    /// Returns what distinguishes it from other throttles of one handler.
    fn name(&self) -> String {
        match self {
            Self::Type(ty) => ty.to_token_stream().to_string(),
            Self::Limit(limit) => format!("{:?}", limit.uid.value()),
        }
    }
}

/// The tokens that errors about it point at.
impl ToTokens for Throttle {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        match self {
            Self::Type(ty) => ty.to_tokens(tokens),
            Self::Limit(limit) => limit.uid.to_tokens(tokens),
        }
    }
}
