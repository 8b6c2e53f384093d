//! Checks that the conformance suite finds each known fault.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use tokio::sync::watch;
use traffik_conformance::{Failures, Suite};

use super::faulty::{AllSettings, Entries, Fault, Faulty};

fn suite(fault: Fault) -> Suite {
    let (entries, settings) = (Entries::default(), AllSettings::default());
    Suite::new(move |namespace, clock| {
        let (entries, settings, closed) = (Arc::clone(&entries), Arc::clone(&settings), Mutex::default());
        let faulty = Faulty { namespace, clock, fault, entries, settings, closed, begun: watch::Sender::default() };
        async move { Ok::<_, Infallible>(faulty) }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn backend_without_a_fault_passes_the_suite() -> Result<(), Failures> {
    suite(Fault::None).check().await
}

async fn is_seen_in(fault: Fault, cases: &[&str]) {
    for case in Suite::cases().filter(|case| cases.contains(&case.name())) {
        assert!(suite(fault).run(case).await.is_err(), "{fault:?} is not found by {case:?}");
    }
}

#[test]
fn each_case_finds_a_fault() {
    for case in Suite::cases() {
        assert!(SEEN.contains(&case.name()), "{case:?} finds no known fault");
    }
    for seen in SEEN {
        assert!(Suite::cases().any(|case| case.name() == *seen), "{seen} is not a case of the suite");
    }
}

#[tokio::test]
async fn failure_names_the_call_the_expectation_and_the_answer() {
    let case = Suite::cases().find(|case| case.name() == "reset_forgets_one_limit_of_one_client").unwrap();
    let failure = suite(Fault::IgnoresResets).run(case).await.unwrap_err();
    assert_eq!(failure.case(), case.name());
    let asked = failure.asked();
    assert!(asked.contains("a peek") && asked.contains("\"limit\" for \"client\"/1, 5/min by FixedWindow"), "{asked}");
    let (expected, found) = (failure.expected(), failure.found());
    assert!(expected.starts_with("admitted with 1, ") && expected.contains("remaining 5"), "{expected}");
    assert!(found.starts_with("refused with 1, ") && found.contains("remaining 0"), "{found}");
    let message = failure.to_string();
    assert!([failure.case(), asked, expected, found].iter().all(|part| message.contains(part)), "{message}");
}

/// A test for each fault, with the cases that must find it.
macro_rules! faults {
    ($($test:ident: $fault:ident in $($case:ident),+;)+) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $test() {
            is_seen_in(Fault::$fault, &[$(stringify!($case)),+]).await;
        })+

        const SEEN: &[&str] = &[$($(stringify!($case)),+),+];
    };
}

faults! {
    counted_refusals: CountsRefusals in refusal_changes_nothing;
    free_hits_that_are_charged: ChargesTheFree in cost_of_zero_is_admitted_and_changes_nothing;
    costs_of_32_bits: CountsIn32Bits in cost_above_the_capacity_is_refused_and_changes_nothing;
    unlimited_hits_that_are_charged: ChargesTheUnlimited in unlimited_hit_is_admitted_and_changes_nothing;
    charged_peeks: ChargesPeeks in peek_changes_nothing;
    clock_that_is_off_by_one: IsAheadByAMicrosecond in
        retry_after_is_exact, limit_is_full_again_at_its_reset_and_not_before;
    clock_of_milliseconds: KnowsMilliseconds in retry_after_is_exact, decisions_about_one_limit_equal_those_in_rust;
    entries_that_are_forgotten_early: ForgetsEarly in limit_is_full_again_at_its_reset_and_not_before;

    hits_that_are_charged_one_by_one: ChargesOneByOne in
        hits_are_charged_together_or_not_at_all, several_clients_are_one_decision, tuples_concurrent_with_single_limits_lose_nothing;
    hits_that_do_not_add_up: AddsNothingUp in hits_on_one_entry_add_up, decisions_about_several_limits_equal_those_in_rust;
    sums_that_start_again: WrapsSums in sums_beyond_64_bits_are_refused;
    outcomes_in_another_order: SortsOutcomes in outcomes_are_in_the_order_of_hits;
    decisions_without_hits_that_fail: NeedsHits in decision_about_no_hits_is_admitted;
    strategies_that_share_an_entry: ForgetsTheStrategy in strategies_are_counted_separately;
    settings_that_are_part_of_a_name: KeepsSettingsApart in changed_settings_of_a_strategy_keep_its_state;

    calls_that_wait_to_be_polled: WaitsToBePolled in decision_is_made_if_its_answer_is_not_polled;
    rates_that_are_forgotten: ForgetsTheRate in decisions_at_changing_rates_equal_those_in_rust;
    clock_that_opens_limits: ForgetsTheFuture in clock_that_goes_back_opens_no_limit;
    refusals_that_ignore_a_clock_step_back: NotesNoTime in refusal_stores_that_the_clock_went_back;

    refunds_that_are_ignored: IgnoresRefunds in
        immediate_refund_undoes_the_charge, refund_gives_back_at_most_what_was_charged, refunds_concurrent_with_decisions_lose_nothing;
    refunds_of_too_much: RefundsTooMuch in immediate_refund_undoes_the_charge;
    refunds_as_if_charged_now: IgnoresWhenCharged in refund_gives_back_the_cost_that_still_counts;
    refunds_without_an_entry_that_fail: NeedsCharges in refund_of_an_unknown_charge_changes_nothing;
    refunds_of_the_first_only: RefundsTheFirst in refunds_in_one_call_are_all_made;

    renewals_that_are_ignored: IgnoresRenewals in renewal_continues_at_the_end_of_the_charge;
    renewals_in_two_steps: RenewsInTwoSteps in renewals_concurrent_with_decisions_lose_no_place;
    renewals_of_held_permits_only: RenewsOnlyWhatIsHeld in ended_charge_is_renewed_if_it_fits;
    renewals_that_require_room: RenewsByTheLimit in held_place_is_renewed_under_a_lower_limit;
    renewals_that_are_one_decision: RenewsTogether in renewals_in_one_call_are_independent;

    resets_that_are_ignored: IgnoresResets in reset_forgets_one_limit_of_one_client;
    resets_of_all_limits: ResetsTheClient in reset_forgets_one_limit_of_one_client;
    clears_that_are_ignored: ClearsNothing in clear_forgets_one_namespace;
    clears_of_other_namespaces: ClearsByBeginning in clear_forgets_one_namespace;
    namespaces_that_are_one: SharesNamespaces in namespaces_are_counted_separately;

    keys_that_are_joined: JoinsKeys in similar_clients_are_counted_separately;
    letters_without_case: IgnoresCase in similar_clients_are_counted_separately;
    uids_and_clients_that_are_joined: JoinsNames in names_of_limits_and_clients_are_kept_apart;
    texts_that_are_trimmed: TrimsTexts in client_may_have_any_text;

    differences_that_are_given_back: GivesBackTheDifference in
        lower_settlement_gives_back_the_cost_that_still_counts, settlements_equal_those_in_rust;
    higher_costs_that_have_to_fit: ChargesWhatFits in
        higher_settlement_is_charged_even_if_it_does_not_fit, overdraft_is_worked_off_at_its_retry_after;
    higher_costs_that_are_charged_in_the_past: ChargesInThePast in settlement_after_the_window_gives_back_nothing;
    failures_that_are_kept: KeepsFailures in settlement_that_fails_changes_nothing;
    settlements_that_fail_together: SettlesTogether in settlements_in_one_call_are_independent;
    settlements_that_panic_together: PanicsTogether in settlement_that_panics_fails_alone;
    settlements_that_race: SettlesLate in settlements_concurrent_with_decisions_lose_nothing;

    lowest_costs_that_are_ignored: IgnoresTheLowest in grant_is_the_highest_cost_that_fits, grants_equal_those_in_rust;
    grants_of_the_lowest: GrantsTheLowest in grants_on_one_entry_share_what_fits;
    grants_of_each_its_own: GrantsEachItsOwn in grant_of_a_tuple_fits_all_of_its_limits;
    grants_of_too_little: GrantsBelowTheLowest in grant_below_the_lowest_cost_is_a_refusal;
    hits_that_are_all_enforced: EnforcesAll in hit_that_is_not_enforced_refuses_nothing;
    hits_that_are_never_charged: SkipsUnenforced in hit_that_is_not_enforced_is_charged_if_it_fits;
    hits_that_are_charged_alone: ChargesUnenforcedAlone in refused_decision_charges_no_hit_that_is_not_enforced;

    versions_that_are_forgotten: ForgetsVersions in settings_are_returned_if_their_version_differs;
    settings_that_are_always_replaced: ReplacesAlways in setting_with_the_expected_value_is_replaced;
    settings_that_are_empty: MixesUpEmpty in setting_with_the_expected_value_is_replaced;
    settings_that_are_trimmed: TrimsSettings in setting_may_have_any_text;
    settings_that_are_cleared: ClearsSettings in settings_survive_a_clear;
    settings_that_are_shared: SharesSettings in settings_of_namespaces_are_separate;
    settings_that_race: ReplacesLate in one_of_two_writers_replaces_a_setting;

    a_race: WritesLate in tasks_on_one_limit_are_admitted_exactly;
    a_backend_that_stays_open: StaysOpen in call_after_close_returns_closed;
    a_second_close_that_fails: ClosesOnce in second_close_has_no_effect;
}
