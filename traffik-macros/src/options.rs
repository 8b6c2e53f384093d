//! The options of a throttle that an attribute declares: the one table of their names.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::Ident;

use crate::{errors::Errors, parse::Setting};

const NAMES: &[&str] = &[
    "strategy",
    "identity",
    "cost",
    "cost_of",
    "async_cost_of",
    "rate_of",
    "async_rate_of",
    "backend",
    "on_error",
    "settings",
    "crate",
];

/// The options that are not a method of `Settings`.
const NOT_METHODS: &[&str] = &["identity", "settings", "crate"];

/// The options that follow a uid and a rate.
#[derive(Default)]
pub(crate) struct Options(Vec<Setting>);

impl Options {
    /// Adds an option. `krate` is the one option that is not the throttle's.
    pub(crate) fn set(&mut self, setting: Setting, krate: &mut Option<TokenStream>, errors: &mut Errors) {
        let Setting { name, value } = &setting;
        if !is_known(name) {
            errors.at(name, unknown(name));
        } else if (name == "crate" && krate.is_some()) || self.0.iter().any(|earlier| earlier.name == *name) {
            errors.at(name, format!("`{name}` is there twice"));
        } else if name == "crate" {
            *krate = Some(value.clone());
        } else {
            self.0.push(setting);
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&TokenStream> {
        self.0.iter().find(|setting| setting.name == name).map(|setting| &setting.value)
    }

    /// The calls of the methods of `Settings`, in the order of the table.
    pub(crate) fn calls(&self) -> TokenStream {
        let methods = NAMES.iter().filter(|name| !NOT_METHODS.contains(name));
        let call = |name: &&str| {
            let (method, value) = (Ident::new(name, Span::call_site()), self.get(name)?);
            Some(quote!(.#method(#value)))
        };
        methods.filter_map(call).collect()
    }
}

pub(crate) fn is_known(name: &Ident) -> bool {
    NAMES.iter().any(|known| name == known)
}

fn unknown(name: &Ident) -> String {
    let name = name.to_string();
    let (last, others) = NAMES.split_last().map_or((&"", NAMES), |(last, others)| (last, others));
    let nearest = NAMES.iter().map(|known| (strsim::levenshtein(&name, known), known)).min();
    // As many changes as half the letters make any word of another.
    let meant = match nearest {
        Some((changes, known)) if changes * 2 <= name.len() => format!(", did you mean `{known}`?"),
        _ => ".".to_owned(),
    };
    let others = others.join("`, `");
    format!(
        "unknown option `{name}`{meant} There are `{others}` and `{last}`, and everything else is set by \
         `settings = function`, with a function from `Settings` to `Settings`"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_option_names_a_similar_one() {
        let message = |name| unknown(&Ident::new(name, Span::call_site()));
        assert!(message("identifier").contains("did you mean `identity`?"));
        let other = message("responder");
        assert!(!other.contains("did you mean"), "{other}");
        assert!(
            other.contains(
                "`responder`. There are `strategy`, `identity`, `cost`, `cost_of`, `async_cost_of`, `rate_of`, \
                 `async_rate_of`, `backend`, `on_error`, `settings` and `crate`"
            ),
            "{other}"
        );
    }
}
