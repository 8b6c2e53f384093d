//! A suite that every backend passes would prove nothing.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use traffik::backend::conformance::{Failures, Suite};

use super::faulty::{Entries, Fault, Faulty};

fn suite(fault: Fault) -> Suite {
    let entries = Entries::default();
    Suite::new(move |namespace, clock| {
        let (entries, closed) = (Arc::clone(&entries), Mutex::default());
        let faulty = Faulty { namespace, clock, fault, entries, closed };
        async move { Ok::<_, Infallible>(faulty) }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn without_a_fault_it_passes() -> Result<(), Failures> {
    suite(Fault::None).check().await
}

#[expect(clippy::panic, reason = "the test fails here")]
async fn is_seen_in(fault: Fault, cases: &[&str]) {
    let Err(failures) = suite(fault).check().await else { panic!("{fault:?} is not seen") };
    let failed: Vec<_> = failures.iter().map(|failure| failure.case()).collect();
    for case in cases {
        assert!(failed.contains(case), "{fault:?} fails {failed:?}, and not {case}\n\n{failures}");
    }
}

#[tokio::test]
async fn a_failure_says_what_was_asked_what_was_expected_and_what_came() {
    let case = Suite::cases().find(|case| case.name() == "a_refund_never_gives_more_than_there_was").unwrap();
    let failure = suite(Fault::IgnoresRefunds).run(case).await.unwrap_err();
    assert_eq!(failure.case(), case.name());
    let asked = failure.asked();
    assert!(asked.contains("a peek") && asked.contains("\"limit\" for \"client\"/1, 5/min by FixedWindow"), "{asked}");
    let (expected, found) = (failure.expected(), failure.found());
    assert!(expected.starts_with("admitted, ") && expected.contains("remaining 5"), "{expected}");
    assert!(found.starts_with("refused, ") && found.contains("remaining 0"), "{found}");
    let message = failure.to_string();
    assert!([failure.case(), asked, expected, found].iter().all(|part| message.contains(part)), "{message}");
}

/// A test for each fault, with cases that have to see it.
macro_rules! faults {
    ($($test:ident: $fault:ident in $($case:ident),+;)+) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $test() {
            is_seen_in(Fault::$fault, &[$(stringify!($case)),+]).await;
        })+
    };
}

faults! {
    counted_refusals: CountsRefusals in a_refusal_changes_nothing;
    hits_that_are_charged_one_by_one: ChargesOneByOne in
        all_are_charged_or_none_is, several_clients_are_one_decision, tuples_beside_single_limits_lose_nothing;
    hits_that_do_not_add_up: AddsNothingUp in hits_on_one_entry_add_up;
    a_clock_that_is_off_by_one: IsAheadByAMicrosecond in
        retry_after_is_the_truth, a_limit_is_full_again_at_its_reset_and_not_before;
    a_clock_of_milliseconds: KnowsMilliseconds in retry_after_is_the_truth, one_limit_is_decided_as_in_rust;
    entries_that_are_forgotten_early: ForgetsEarly in a_limit_is_full_again_at_its_reset_and_not_before;
    costs_of_32_bits: CountsIn32Bits in what_can_never_fit_is_refused_and_changes_nothing;
    refunds_that_are_ignored: IgnoresRefunds in
        a_refund_right_away_undoes_the_charge, refunds_beside_decisions_lose_nothing;
    refunds_as_if_charged_now: IgnoresWhenCharged in a_refund_gives_back_what_still_counts;
    refunds_of_too_much: RefundsTooMuch in a_refund_right_away_undoes_the_charge;
    refunds_of_the_first_only: RefundsTheFirst in several_refunds_in_one_call_are_all_done;
    resets_that_are_ignored: IgnoresResets in a_reset_is_about_one_limit_of_one_client;
    resets_of_all_limits: ResetsTheClient in a_reset_is_about_one_limit_of_one_client;
    clears_that_are_ignored: ClearsNothing in a_clear_is_about_one_namespace;
    clears_of_other_namespaces: ClearsByBeginning in a_clear_is_about_one_namespace;
    keys_that_are_joined: JoinsKeys in clients_that_look_alike_count_apart;
    strategies_that_share_an_entry: ForgetsTheStrategy in strategies_count_apart;
    letters_without_case: IgnoresCase in clients_that_look_alike_count_apart;
    a_race: WritesLate in tasks_on_one_limit_are_admitted_exactly;
    decisions_at_once_that_are_not_kept: ForgetsAtOnce in one_limit_is_decided_as_in_rust;
    charged_peeks: ChargesPeeks in a_peek_changes_nothing;
    charges_of_what_is_unlimited: ChargesTheUnlimited in what_is_unlimited_is_admitted_and_changes_nothing;
    rates_that_are_forgotten: ForgetsTheRate in rates_may_change;
    a_clock_that_opens_limits: ForgetsTheFuture in a_clock_that_goes_back_opens_nothing;
    outcomes_in_another_order: SortsOutcomes in outcomes_are_in_the_order_of_hits;
    a_backend_that_stays_open: StaysOpen in after_close_every_call_is_an_error_that_says_so;
    a_second_close_that_fails: ClosesOnce in close_can_be_called_twice;
}
