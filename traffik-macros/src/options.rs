//! The options of a throttle that an attribute declares: the one table of their names.

use proc_macro2::TokenStream;
use syn::Ident;

use crate::{errors::Errors, parse::Setting};

/// What may follow a uid and a rate.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) strategy: Option<TokenStream>,
    pub(crate) identity: Option<TokenStream>,
    pub(crate) cost: Option<TokenStream>,
    pub(crate) cost_of: Option<TokenStream>,
    pub(crate) async_cost_of: Option<TokenStream>,
    pub(crate) rate_of: Option<TokenStream>,
    pub(crate) async_rate_of: Option<TokenStream>,
    pub(crate) backend: Option<TokenStream>,
    pub(crate) on_error: Option<TokenStream>,
    pub(crate) settings: Option<TokenStream>,
}

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

impl Options {
    /// Takes an option over. `krate` is the one option that is not the throttle's.
    pub(crate) fn set(&mut self, setting: Setting, krate: &mut Option<TokenStream>, errors: &mut Errors) {
        let Setting { name, value } = setting;
        let slot = match name.to_string().as_str() {
            "strategy" => &mut self.strategy,
            "identity" => &mut self.identity,
            "cost" => &mut self.cost,
            "cost_of" => &mut self.cost_of,
            "async_cost_of" => &mut self.async_cost_of,
            "rate_of" => &mut self.rate_of,
            "async_rate_of" => &mut self.async_rate_of,
            "backend" => &mut self.backend,
            "on_error" => &mut self.on_error,
            "settings" => &mut self.settings,
            "crate" => krate,
            _ => return errors.at(&name, unknown(&name)),
        };
        if slot.replace(value).is_some() {
            errors.at(&name, format!("`{name}` is there twice"));
        }
    }
}

pub(crate) fn is_known(name: &Ident) -> bool {
    NAMES.iter().any(|known| name == known)
}

fn unknown(name: &Ident) -> String {
    let name = name.to_string();
    let (last, others) = NAMES.split_last().map_or((&"", NAMES), |(last, others)| (last, others));
    let nearest = NAMES.iter().map(|known| (distance(&name, known), known)).min();
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

/// How many letters have to be added, dropped or exchanged to make one word the other.
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.chars().count()).collect();
    for letter in one.chars() {
        let mut left = None;
        let mut diagonal = 0;
        for (above, letters) in row.iter_mut().zip(std::iter::once(None).chain(other.chars().map(Some))) {
            let changed = diagonal + usize::from(letters != Some(letter));
            let here = left.map_or(*above + 1, |left: usize| changed.min(left + 1).min(*above + 1));
            diagonal = *above;
            *above = here;
            left = Some(here);
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proc_macro2::Span;

    use super::*;

    #[test]
    fn a_distance_is_the_number_of_changes() {
        for (one, other, changes) in
            [("cost", "cost", 0), ("costs", "cost", 1), ("", "cost", 4), ("cost", "", 4), ("strategies", "strategy", 3)]
        {
            assert_eq!(distance(one, other), changes, "{one} {other}");
        }
    }

    #[test]
    fn the_nearest_option_is_named_if_it_is_near() {
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
