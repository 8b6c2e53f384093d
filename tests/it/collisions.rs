//! Checks that no two keys collide, whatever names clients choose.

use std::{collections::HashSet, net::IpAddr};

use proptest::{collection::vec, prelude::*};
use tests::limit;
use traffik::{
    Rate,
    backend::{Backend, MaybeReady, MemoryBackend},
    client::{Key, Part},
    decision::Hit,
    strategy::AnyStrategy,
};

/// Texts of the separators, escapes and terminators of keys, and of text that looks like other parts.
fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[:/\\\\%{}|,\"\0a1]{0,4}", "[0-9]{1,3}", Just("203.0.113.7".to_owned()), Just("anonymous".to_owned())]
}

/// A part, and what distinguishes it from others: its kind and its value.
fn part() -> impl Strategy<Value = (Part, String)> {
    prop_oneof![
        text().prop_map(|text| (text.clone().into(), format!("text {text:?}"))),
        (0..3_u64).prop_map(|number| (number.into(), format!("number {number}"))),
        any::<[u8; 4]>().prop_map(|bytes| {
            let address = IpAddr::from(bytes);
            (address.into(), format!("address {address}"))
        }),
    ]
}

/// A key, and what distinguishes it from others.
fn key() -> impl Strategy<Value = (Key, String)> {
    (vec(part(), 1..=4), any::<bool>()).prop_map(|(parts, is_secret)| {
        let (parts, label): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
        let key = match <[Part; 1]>::try_from(parts) {
            Ok([one]) if is_secret => return (Key::secret(one), format!("secret {label:?}")),
            Ok([one]) => Key::from(one),
            Err(parts) => match <[Part; 2]>::try_from(parts) {
                Ok([one, two]) => Key::from((one, two)),
                Err(parts) => match <[Part; 3]>::try_from(parts) {
                    Ok([one, two, three]) => Key::from((one, two, three)),
                    Err(parts) => parts.try_into().map_or_else(
                        |_| Key::anonymous(),
                        |[one, two, three, four]: [Part; 4]| Key::from((one, two, three, four)),
                    ),
                },
            },
        };
        (key, format!("{label:?}"))
    })
}

proptest! {
    #[test]
    fn keys_are_equal_only_if_all_their_parts_are((one, label) in key(), (other, other_label) in key()) {
        prop_assert_eq!(one == other, label == other_label);
        prop_assert_eq!(one.to_bytes() == other.to_bytes(), label == other_label);
    }

    #[test]
    fn each_key_has_its_own_limit(keys in vec(key(), 1..40)) {
        let backend = MemoryBackend::new("test");
        let (strategy, rate) = (AnyStrategy::default(), Rate::literal("1000/h"));
        for (key, _) in &keys {
            let hit = Hit::new(limit("collisions", &strategy), key, rate, 1);
            prop_assert!(matches!(backend.decide(&[hit]), MaybeReady::Ready(Ok(_))));
        }
        let different: HashSet<_> = keys.iter().map(|(_, label)| label).collect();
        prop_assert_eq!(backend.len(), different.len());
    }
}
