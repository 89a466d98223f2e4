//! The whole system: `template.yaml` deployed to a local AWS, spoken to as customers, receivers and faults would.
//!
//! One stack and one import of 100,000 profiles serve all cases. `cargo test --test system -- <part of a name>` runs some of them.

mod access;
mod contract;
mod control;
mod delivery;
mod description;
mod faults;
mod files;
mod hostile;
mod privacy;
mod profiles;
mod trial;
mod world;

use std::process::ExitCode;

use fanhook_tests::harness::{self, Case, Company};
use world::World;

/// A case by the path of its function.
macro_rules! case {
    ($company:ident, $module:ident :: $function:ident) => {
        Case {
            name: concat!(stringify!($module), "::", stringify!($function)),
            body: |world| Box::pin(async move { $module::$function(&world).await }),
            company: Company::$company,
        }
    };
}

fn main() -> ExitCode {
    let cases: Vec<Case<World>> = vec![
        case!(Shared, faults::a_function_with_missing_variables_refuses_to_start_and_names_them_all),
        case!(Shared, contract::the_real_services_keep_the_contract_of_the_twins),
        case!(Shared, access::a_token_that_is_not_verified_reaches_no_handler),
        case!(Shared, access::a_member_uses_the_webhooks_that_are_granted),
        case!(Shared, control::a_start_that_is_repeated_starts_once),
        case!(Shared, control::another_workspace_sees_nothing_of_a_run),
        case!(Shared, profiles::a_profile_that_the_api_wrote_is_used_looked_up_and_erased),
        case!(Shared, trial::a_preview_shows_what_a_test_sends_and_a_test_what_came_of_it),
        case!(Shared, trial::a_run_waits_for_what_its_webhook_has_to_prove),
        case!(Shared, trial::the_rate_that_a_handshake_allows_is_kept_to),
        case!(Shared, delivery::a_url_and_a_header_of_the_most_bytes_are_sent_and_those_of_one_more_are_not),
        case!(Shared, files::a_wrong_header_fails_the_run_before_anything_is_sent),
        case!(Shared, files::bad_rows_of_ndjson_are_reported_by_line_and_the_rest_is_sent),
        case!(Shared, files::bad_rows_of_csv_are_reported_by_line_and_the_rest_is_sent),
        case!(Alone, hostile::every_bad_receiver_gives_the_outcome_of_the_retry_table_in_flat_memory),
        case!(Alone, control::after_a_pause_no_request_starts_and_a_resume_completes_the_run),
        case!(Alone, control::after_a_cancel_no_request_starts_and_the_rest_is_cancelled),
        case!(Alone, control::no_more_requests_are_under_way_than_the_endpoint_takes),
        case!(Alone, files::a_truncated_file_fails_the_run_and_the_whole_file_completes_it),
        case!(Alone, delivery::each_of_100_000_users_has_exactly_one_outcome),
        case!(Alone, delivery::users_who_share_requests_each_come_once_under_an_id_of_their_own),
        case!(Alone, delivery::a_message_doubled_and_one_deleted_change_nothing_but_time),
        case!(Alone, delivery::a_run_survives_the_death_of_its_workers),
        case!(Alone, faults::a_message_that_is_not_ours_goes_to_the_dead_letters_alone),
        case!(Alone, description::no_made_up_request_gets_an_answer_that_is_not_described),
        case!(Alone, privacy::no_log_and_no_queue_holds_a_secret_or_personal_data),
    ];
    harness::main(cases, World::begin, World::end)
}
