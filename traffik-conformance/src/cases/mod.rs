//! The cases, by what they are about.

mod alone;
mod closing;
mod crowds;
mod forgetting;
mod grants;
mod names;
mod refunds;
mod renewals;
mod settings;
mod settlements;
mod together;
mod traces;

use std::{fmt, pin::Pin};

use super::bench::{Bench, Check};

/// One expectation of a backend.
#[derive(Clone, Copy)]
pub struct Case {
    name: &'static str,
    pub(super) run: fn(Bench) -> Pin<Box<dyn Future<Output = Check> + Send>>,
}

impl Case {
    /// Returns the expectation in words, as the name of a test.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Case").field(&self.name).finish()
    }
}

/// The one table of cases.
macro_rules! cases {
    ($($about:ident: $($name:ident),+ $(,)?;)+) => {
        pub(super) const ALL: &[Case] = &[
            $($(Case { name: stringify!($name), run: |bench| Box::pin($about::$name(bench)) },)+)+
        ];
    };
}

cases! {
    alone:
        a_refusal_changes_nothing,
        what_costs_nothing_is_admitted_and_changes_nothing,
        what_can_never_fit_is_refused_and_changes_nothing,
        what_is_unlimited_is_admitted_and_changes_nothing,
        a_peek_changes_nothing,
        retry_after_is_the_truth,
        a_limit_is_full_again_at_its_reset_and_not_before;
    together:
        all_are_charged_or_none_is,
        hits_on_one_entry_add_up,
        sums_beyond_64_bits_are_refused,
        outcomes_are_in_the_order_of_hits,
        no_hits_are_admitted,
        several_clients_are_one_decision,
        strategies_count_apart,
        the_settings_of_a_strategy_may_change;
    traces:
        one_limit_is_decided_as_in_rust,
        several_limits_are_decided_as_in_rust,
        rates_may_change,
        a_clock_that_goes_back_opens_nothing,
        settlements_are_made_as_in_rust,
        grants_are_made_as_in_rust,
        a_refusal_notes_that_the_clock_went_back;
    refunds:
        a_refund_right_away_undoes_the_charge,
        a_refund_gives_back_what_still_counts,
        a_refund_never_gives_more_than_there_was,
        a_refund_of_what_is_not_known_is_harmless,
        several_refunds_in_one_call_are_all_done;
    settlements:
        lower_cost_gives_back_what_still_counts,
        higher_cost_is_charged_whether_it_fits_or_not,
        overdraft_is_worked_off_at_its_retry_after,
        settlement_after_the_window_gives_back_nothing,
        settlement_that_fails_changes_nothing,
        settlements_in_one_call_are_independent,
        settlements_next_to_decisions_lose_nothing;
    grants:
        what_fits_is_granted,
        tuple_is_granted_what_fits_all_of_it,
        hits_on_one_entry_share_what_fits,
        grant_below_the_lowest_cost_is_a_refusal,
        hit_that_is_not_enforced_refuses_nothing,
        hit_that_is_not_enforced_is_charged_if_it_fits,
        refused_decision_charges_no_hit_that_is_not_enforced;
    settings:
        settings_are_read_if_their_version_is_another,
        setting_is_replaced_if_it_has_the_expected_value,
        any_text_is_a_setting,
        settings_survive_a_clear,
        settings_of_namespaces_are_separate,
        one_of_two_writers_replaces_a_setting;
    renewals:
        a_renewal_goes_on_where_the_charge_would_have_ended,
        what_counts_no_more_is_renewed_if_there_is_room,
        a_place_that_is_held_is_renewed_whatever_the_limit_is,
        renewals_are_each_for_itself,
        renewals_beside_decisions_lose_no_place;
    forgetting:
        a_reset_is_about_one_limit_of_one_client,
        a_clear_is_about_one_namespace,
        namespaces_count_apart;
    names:
        clients_that_look_alike_count_apart,
        limits_and_clients_are_not_mixed_up,
        any_text_is_a_client;
    crowds:
        decision_whose_answer_is_not_polled_is_made,
        tasks_on_one_limit_are_admitted_exactly,
        tuples_beside_single_limits_lose_nothing,
        refunds_beside_decisions_lose_nothing;
    closing:
        after_close_every_call_is_an_error_that_says_so,
        close_can_be_called_twice;
}
