//! The text of a rate that parses is shown in a form that parses to the same rate. No text panics.

#![no_main]

use libfuzzer_sys::fuzz_target;
use traffik::Rate;

fuzz_target!(|text: &str| {
    match Rate::parse(text) {
        Ok(rate) => {
            let shown = rate.to_string();
            assert_eq!(Rate::parse(&shown), Ok(rate), "{text:?} is shown as {shown:?}");
            assert_eq!(Rate::parse(&shown).unwrap().to_string(), shown);
            assert!(rate.is_unlimited() || Rate::new(rate.limit(), rate.period()) == Ok(rate), "{text:?}");
        }
        Err(error) => {
            assert!(error.position().is_some_and(|position| position <= text.len()), "{text:?}: {error}");
            assert!(!error.to_string().is_empty());
        }
    }
});
