//! The options of a throttle that an attribute declares: the only table of their names.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::Ident;

use crate::{errors::Errors, parse::Setting, share};

const NAMES: &[&str] = &[
    "strategy",
    "identity",
    "async_identity",
    "client_ip",
    "cost",
    "cost_of",
    "async_cost_of",
    "rate_of",
    "async_rate_of",
    "rule",
    "bypass",
    "deny_networks",
    "refund_if",
    "charge_preflights",
    "fields",
    "hidden",
    "refuse_with_503",
    "responder",
    "backend",
    "backend_of",
    "label",
    "on_error",
    "max_waiters",
    "warn_at",
    "dry_run",
    "settings",
    "crate",
];

/// The options that are not a method of `Settings`.
const NOT_METHODS: &[&str] = &["settings", "crate"];

/// The options that may be repeated.
const LISTS: &[&str] = &["rule", "bypass", "deny_networks", "refund_if"];

/// Options that exclude each other.
const ALTERNATIVES: &[&[&str]] = &[
    &["identity", "async_identity", "client_ip"],
    &["cost_of", "async_cost_of"],
    &["rate_of", "async_rate_of"],
    &["backend", "backend_of"],
];

/// The options that follow a uid and a rate.
#[derive(Default)]
pub(crate) struct Options(Vec<Setting>);

impl Options {
    /// Adds an option. `krate` is the only option that does not belong to a throttle.
    pub(crate) fn set(&mut self, setting: Setting, krate: &mut Option<TokenStream>, errors: &mut Errors) {
        let Setting { name, value, .. } = &setting;
        if !is_known(name) {
            errors.at(name, unknown(name));
        } else if (name == "crate" && krate.is_some()) || self.is_there_twice(name) {
            errors.at(name, format!("`{name}` is set twice: remove one of them"));
        } else if let Some(other) = self.alternative(name) {
            errors.at(name, format!("`{name}` and `{other}` exclude each other: remove one of them"));
        } else if name == "crate" {
            *krate = Some(value.clone());
        } else {
            if name == "warn_at" {
                share::check(value, errors);
            }
            self.0.push(setting);
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&TokenStream> {
        self.0.iter().find(|setting| setting.name == name).map(|setting| &setting.value)
    }

    /// Returns the type that is the throttle's `Identity`, if there is one.
    pub(crate) fn identity_type(&self) -> Option<&TokenStream> {
        self.0.iter().find(|setting| setting.is_type).map(|setting| &setting.value)
    }

    /// Generates the calls of methods of `Settings`, in the order of the table.
    pub(crate) fn calls(&self) -> TokenStream {
        let methods = NAMES.iter().filter(|name| !NOT_METHODS.contains(name));
        let settings = methods.flat_map(|name| self.0.iter().filter(move |setting| setting.name == name));
        let call = |Setting { name, value, .. }: &Setting| {
            let method = Ident::new(&name.to_string(), Span::call_site());
            quote!(.#method(#value))
        };
        settings.filter(|setting| !setting.is_type).map(call).collect()
    }

    fn is_there_twice(&self, name: &Ident) -> bool {
        !LISTS.iter().any(|list| name == list) && self.0.iter().any(|earlier| earlier.name == *name)
    }

    /// Returns the earlier option that excludes `name`.
    fn alternative(&self, name: &Ident) -> Option<&Ident> {
        let group = ALTERNATIVES.iter().find(|group| group.iter().any(|one| name == one))?;
        self.0.iter().map(|earlier| &earlier.name).find(|earlier| group.iter().any(|one| earlier == one))
    }
}

pub(crate) fn is_known(name: &Ident) -> bool {
    NAMES.iter().any(|known| name == known)
}

fn unknown(name: &Ident) -> String {
    let name = name.to_string();
    let nearest = NAMES.iter().map(|known| (strsim::levenshtein(&name, known), known)).min();
    // With changes to half of the letters, any word becomes any other.
    let meant = match nearest {
        Some((changes, known)) if changes * 2 <= name.len() => format!(", did you mean `{known}`?"),
        _ => ".".to_owned(),
    };
    let (last, others) = NAMES.split_last().map_or((&"", NAMES), |(last, others)| (last, others));
    format!("unknown option `{name}`{meant} There are `{}` and `{last}`", others.join("`, `"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_option_names_a_similar_one() {
        let message = |name| unknown(&Ident::new(name, Span::call_site()));
        assert!(message("identifier").contains("did you mean `identity`?"));
        let other = message("colour");
        assert!(!other.contains("did you mean"), "{other}");
        assert!(other.contains("`colour`. There are `strategy`, `identity`, "), "{other}");
        assert!(other.ends_with("`dry_run`, `settings` and `crate`"), "{other}");
    }
}
