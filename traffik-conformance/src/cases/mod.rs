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
        refusal_changes_nothing,
        cost_of_zero_is_admitted_and_changes_nothing,
        cost_above_the_capacity_is_refused_and_changes_nothing,
        unlimited_hit_is_admitted_and_changes_nothing,
        peek_changes_nothing,
        retry_after_is_exact,
        limit_is_full_again_at_its_reset_and_not_before;
    together:
        hits_are_charged_together_or_not_at_all,
        hits_on_one_entry_add_up,
        sums_beyond_64_bits_are_refused,
        outcomes_are_in_the_order_of_hits,
        decision_about_no_hits_is_admitted,
        several_clients_are_one_decision,
        strategies_are_counted_separately,
        changed_settings_of_a_strategy_keep_its_state;
    traces:
        decisions_about_one_limit_equal_those_in_rust,
        decisions_about_several_limits_equal_those_in_rust,
        decisions_at_changing_rates_equal_those_in_rust,
        clock_that_goes_back_opens_no_limit,
        settlements_equal_those_in_rust,
        grants_equal_those_in_rust,
        refusal_stores_that_the_clock_went_back;
    refunds:
        immediate_refund_undoes_the_charge,
        refund_gives_back_the_cost_that_still_counts,
        refund_gives_back_at_most_what_was_charged,
        refund_of_an_unknown_charge_changes_nothing,
        refunds_in_one_call_are_all_made;
    settlements:
        lower_settlement_gives_back_the_cost_that_still_counts,
        higher_settlement_is_charged_even_if_it_does_not_fit,
        overdraft_is_worked_off_at_its_retry_after,
        settlement_after_the_window_gives_back_nothing,
        settlement_that_fails_changes_nothing,
        settlements_in_one_call_are_independent,
        settlement_that_panics_fails_alone,
        settlements_concurrent_with_decisions_lose_nothing;
    grants:
        grant_is_the_highest_cost_that_fits,
        grant_of_a_tuple_fits_all_of_its_limits,
        grants_on_one_entry_share_what_fits,
        grant_below_the_lowest_cost_is_a_refusal,
        hit_that_is_not_enforced_refuses_nothing,
        hit_that_is_not_enforced_is_charged_if_it_fits,
        refused_decision_charges_no_hit_that_is_not_enforced;
    settings:
        settings_are_returned_if_their_version_differs,
        setting_with_the_expected_value_is_replaced,
        setting_may_have_any_text,
        settings_survive_a_clear,
        settings_of_namespaces_are_separate,
        one_of_two_writers_replaces_a_setting;
    renewals:
        renewal_continues_at_the_end_of_the_charge,
        ended_charge_is_renewed_if_it_fits,
        held_place_is_renewed_under_a_lower_limit,
        renewals_in_one_call_are_independent,
        renewals_concurrent_with_decisions_lose_no_place;
    forgetting:
        reset_forgets_one_limit_of_one_client,
        clear_forgets_one_namespace,
        namespaces_are_counted_separately;
    names:
        similar_clients_are_counted_separately,
        names_of_limits_and_clients_are_kept_apart,
        client_may_have_any_text;
    crowds:
        decision_is_made_if_its_answer_is_not_polled,
        tasks_on_one_limit_are_admitted_exactly,
        tuples_concurrent_with_single_limits_lose_nothing,
        refunds_concurrent_with_decisions_lose_nothing;
    closing:
        call_after_close_returns_closed,
        second_close_has_no_effect;
}
