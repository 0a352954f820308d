//! The list of all laws. [`LAWS`] and the tests that [`laws!`](crate::laws!) generates share it.

use crate::{Law, Over};

/// Passes the list of laws, by module and with the cases that each applies to, to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! each_law {
    ([$($then:tt)*] $($given:tt)*) => {
        $($then)*! { ($($given)*)
            audit {
                back_propagation_is_its_own_gradient: Cases,
                every_rule_is_audited_in_finite_numbers: Cases,
                the_last_block_of_mono_forward_learns_from_the_gradient: Cases,
            }
            direct_feedback {
                the_signal_is_taken_as_given: Cases,
                zero_feedback_teaches_hidden_blocks_nothing: Cases,
            }
            extreme_data { every_rule_trains_on_extreme_data_or_refuses_it: Recipes, }
            finished {
                a_block_is_given_what_the_blocks_below_it_make_at_inference: Noisy,
                steps_on_batches_of_unknown_address_do_not_share_their_randomness: Noisy,
            }
            finite_difference {
                a_gradient_of_a_rule_that_is_not_local_is_the_slope_of_the_sum_of_losses: Cases,
                a_local_gradient_is_the_slope_of_the_blocks_own_loss: Cases,
            }
            learning {
                the_loss_falls_and_the_accuracy_rises: Learners,
                what_is_no_number_shows_in_a_loss_and_stops_nothing_before: Cases,
            }
            locality {
                a_block_puts_gradients_of_itself_and_its_head_on_the_tape_and_no_others: Cases,
                a_rule_that_reads_what_is_above_says_what_and_does: Cases,
                a_rule_that_says_it_is_not_local_is_not: Cases,
                a_step_of_a_local_rule_is_its_blocks_one_after_the_other: Cases,
                another_head_of_one_block_changes_no_other_blocks_gradients: Cases,
                another_teaching_signal_to_one_block_changes_no_other_blocks_gradients: Cases,
                blocks_above_have_no_say: Cases,
                burn_train_sees_the_step_that_the_tape_recorded: Cases,
                greedy_and_simultaneous_learning_start_alike: Cases,
                learning_moves_a_pass_on_as_advancing_does: Cases,
            }
            owners {
                nothing_belongs_to_a_block_that_is_not_there: Cases,
                what_learns_with_one_block_belongs_to_it: Cases,
                what_teaches_one_block_belongs_to_it: Cases,
            }
            readouts { readouts_of_one_name_are_made_of_blocks_in_one_way: Cases, }
            smoothing { every_head_that_takes_smoothing_minimises_the_expected_loss: Cases, }
            state {
                a_record_holds_all_that_a_model_knows: Cases,
                gradient_checkpointing_changes_no_gradient: Recipes,
                the_seed_decides_everything: Cases,
            }
            supervision {
                a_rule_without_classifiers_has_no_heads_to_give: Cases,
                every_loss_reaches_every_block_below: Cases,
                losses_and_the_last_block_are_those_of_the_rule: Cases,
                with_one_block_it_is_the_rule: Cases,
            }
        }
    };
}

macro_rules! all {
    (() $($module:ident { $($law:ident: $over:ident,)* })*) => {
        &[$($(Law {
            name: concat!(stringify!($module), "::", stringify!($law)),
            over: Over::$over,
            check: $crate::laws::$module::$law,
        }),*),*]
    };
}

/// All laws.
pub const LAWS: &[Law] = each_law!([all]);

/// Generates one test for every law, over the [`Laws`](crate::Laws) that an expression gives: `laws!(my_laws());`, in a
/// module of a test file.
#[macro_export]
macro_rules! laws {
    ($laws:expr) => {
        $crate::each_law!([$crate::law_tests] $laws);
    };
}

/// The tests that [`laws!`] generates.
#[doc(hidden)]
#[macro_export]
macro_rules! law_tests {
    (($laws:expr) $($module:ident { $($law:ident: $over:ident,)* })*) => {
        $(mod $module {
            #[allow(unused_imports)]
            use super::*;
            $(
                #[test]
                fn $law() {
                    ($laws).check(&$crate::Law {
                        name: concat!(stringify!($module), "::", stringify!($law)),
                        over: $crate::Over::$over,
                        check: $crate::laws::$module::$law,
                    });
                }
            )*
        })*
    };
}
