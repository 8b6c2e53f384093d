//! `"10 at once"` in place of a rate: a number of concurrent requests.

use syn::LitStr;

use crate::errors::Errors;

/// Returns the number of concurrent requests if the text has this form.
pub(crate) fn permits(text: &LitStr, errors: &mut Errors) -> Option<u64> {
    let count = count_in(&text.value())?;
    let permits = number(&count);
    if permits.is_none() {
        errors.at(
            text,
            format!("{count:?} is not a number of concurrent requests: write it in digits, such as \"10 at once\""),
        );
    }
    Some(permits.unwrap_or(1))
}

/// Returns the text before `at once`, in upper or lower case.
fn count_in(text: &str) -> Option<String> {
    let text = text.to_ascii_lowercase();
    let rest = text.trim_ascii().strip_suffix("once")?;
    let count = rest
        .trim_ascii_end()
        .strip_suffix("at")
        .filter(|_| rest.ends_with(|space: char| space.is_ascii_whitespace()))?;
    Some(count.trim_ascii().to_owned())
}

/// Parses digits, which underscores may group, as in a rate.
fn number(count: &str) -> Option<u64> {
    let is_grouped = count.split('_').all(|group| !group.is_empty() && group.bytes().all(|byte| byte.is_ascii_digit()));
    if is_grouped { count.replace('_', "").parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_at_once_is_parsed() {
        let of = |text| count_in(text).map(|count| number(&count));
        for (text, count) in [("10 at once", 10), ("1 AT ONCE", 1), ("  1_000  at\tonce ", 1000), ("10at once", 10)] {
            assert_eq!(of(text), Some(Some(count)), "{text:?}");
        }
        for text in ["at once", "ten at once", "1__0 at once", "_1 at once", "-1 at once", "1.5 at once", "1 2 at once"]
        {
            assert_eq!(of(text), Some(None), "{text:?}");
        }
        for text in ["10/min", "", "once", "10 once", "10 atonce", "10 per once", "10 at once more"] {
            assert_eq!(of(text), None, "{text:?}");
        }
    }
}
