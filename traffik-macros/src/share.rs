//! The share of a limit of `warn_at`. A literal is checked here, and another expression when the app is built.

use proc_macro2::TokenStream;
use syn::{Expr, ExprLit, ExprUnary, Lit, UnOp};

use crate::errors::Errors;

/// Checks that a literal is above 0 and at most 1.
pub(crate) fn check(value: &TokenStream, errors: &mut Errors) {
    let Ok(value) = syn::parse2::<Expr>(value.clone()) else { return };
    if number(&value).is_some_and(|share| !(share > 0.0 && share <= 1.0)) {
        errors.at(&value, "`warn_at` is a share of the limit: set it to a number above 0 and at most 1, such as 0.8");
    } else if matches!(&value, Expr::Lit(ExprLit { lit: Lit::Int(_), .. })) {
        errors.at(&value, "`warn_at` is a number with a point: write 1.0, or a share below it, such as 0.8");
    }
}

fn number(value: &Expr) -> Option<f64> {
    match value {
        Expr::Lit(ExprLit { lit: Lit::Float(number), .. }) => number.base10_parse().ok(),
        Expr::Lit(ExprLit { lit: Lit::Int(number), .. }) => number.base10_parse().ok(),
        Expr::Unary(ExprUnary { op: UnOp::Neg(_), expr, .. }) => number(expr).map(|number| -number),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(value: &str) -> Option<String> {
        let mut errors = Errors::default();
        check(&value.parse().unwrap(), &mut errors);
        errors.into_tokens().map(|tokens| tokens.to_string())
    }

    #[test]
    fn share_out_of_range_is_an_error() {
        for value in ["0.0", "1.5", "-0.5", "0", "2", "-1"] {
            assert!(error(value).unwrap().contains("above 0 and at most 1"), "{value}");
        }
        assert!(error("1").unwrap().contains("write 1.0"));
        for value in ["0.8", "1.0", "1e-3", "SHARE", "share()"] {
            assert_eq!(error(value), None, "{value}");
        }
    }
}
