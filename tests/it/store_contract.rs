//! What every ledger promises, as tests of any [`Store`] that run for each implementation. What is specific to one (files, locks,
//! servers) is elsewhere.

mod bots;
mod choosing;
mod commands;
mod credentials;
mod health;
mod identity;
mod names;
mod post_states;
mod reading;
mod settling;
mod transfer;
mod uniqueness;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use flockd::flock::post::{Post, State};
use flockd::store::sqlite::Sqlite;
use flockd::store::{Draft, Store};
use futures_util::future::BoxFuture;
use tempfile::TempDir;

use super::ledger;

/// A new ledger, seen by two who work with it at once.
pub(crate) struct Ledger {
    /// Its holder.
    pub one: Arc<dyn Store>,
    /// A client beside the lease owner.
    pub other: Arc<dyn Store>,
    /// Opens a copy that [`Store::copy_to`] has made.
    open_copy: fn(PathBuf) -> BoxFuture<'static, Arc<dyn Store>>,
    folder: TempDir,
}

impl Ledger {
    /// A new ledger that knows these bots.
    async fn with(self, names: &[&str]) -> Self {
        let entries: Vec<_> = names.iter().map(|name| ledger::entry(name)).collect();
        assert_eq!(self.one.upsert_bots(&entries, ledger::at(0)).await.unwrap(), []);
        self
    }

    fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Enters a bot of that name and brings a post of it into a state.
    async fn post_in(&self, state: State, draft: Draft) -> Post {
        let (begins, moves) = ledger::way_to(state);
        self.one.upsert_bots(&[ledger::entry(draft.bot.as_str())], ledger::at(0)).await.unwrap();
        let mut post = self.one.open(&Draft { begins, ..draft }).await.unwrap();
        for step in &moves {
            post = self.one.advance(post.id, step, ledger::at(50)).await.unwrap();
        }
        assert_eq!(post.state, state);
        post
    }
}

async fn sqlite() -> Ledger {
    let folder = tempfile::tempdir().unwrap();
    let database = format!("sqlite:{}", folder.path().join("flock.db").display());
    let one = Arc::new(Sqlite::open_as_owner(&database).await.unwrap());
    let other = Arc::new(Sqlite::open_as_client(&database).await.unwrap().unwrap());
    Ledger { one, other, open_copy: |path| Box::pin(open_sqlite(path)), folder }
}

async fn open_sqlite(path: PathBuf) -> Arc<dyn Store> {
    Arc::new(Sqlite::open_as_owner(&format!("sqlite:{}", path.display())).await.unwrap())
}

/// Runs each story for each ledger.
macro_rules! contract {
    ($($theme:ident { $($story:ident,)+ })+) => {
        mod on_sqlite {
            $(mod $theme { $(
                #[tokio::test]
                async fn $story() {
                    super::super::$theme::$story(super::super::sqlite().await).await;
                }
            )+ })+
        }
    };
}

contract! {
    bots {
        slots_begin_when_the_schedule_is_first_seen,
        another_schedule_begins_anew,
        another_schedule_never_goes_back,
        what_was_considered_never_goes_back,
        a_renamed_bot_keeps_its_history,
        two_histories_are_not_made_one,
        a_name_without_posts_takes_a_history_over,
        a_name_given_up_is_free_for_another,
        names_move_up_in_a_row,
        an_account_is_remembered,
        a_stranger_is_not_in_the_ledger,
    }
    choosing {
        a_seed_is_drawn_once_and_goes_with_the_bot,
        texts_of_earlier_rounds_are_known_also_under_another_name,
        a_line_that_is_passed_over_is_used_and_nothing_else_happened,
        only_what_was_passed_over_is_taken_back,
    }
    credentials {
        a_bot_that_never_signed_in_has_nothing, a_sign_in_of_a_clock_that_was_ahead_mends_nothing_that_came_after,
        who_signs_in_is_kept_with_the_tokens,
        tokens_are_replaced_only_by_a_process_that_has_read_them,
        one_of_two_replaces_a_version,
        two_bots_have_two_accounts,
        signing_out_leaves_no_way_back,
        one_of_two_claims_the_tokens,
        a_claim_ends_by_itself,
        a_claim_of_a_clock_that_was_ahead_does_not_count,
        all_are_sealed_anew_or_none,
        what_apps_registered_is_kept_and_sealed_anew,
        one_key_seals_all,
        a_refused_change_harms_no_other,
        a_key_opens_once_and_a_session_lasts,
        a_key_runs_out,
        sessions_end_one_by_one_or_all_with_the_keys,
    }
    identity {
        what_an_account_said_counts_whatever_its_bot_was_called,
        what_was_said_elsewhere_counts_in_the_round_of_coming,
        who_came_first_is_kept_while_they_stay,
        ids_mean_something_on_their_own_server_only,
        an_account_without_its_server_is_found_by_its_handle,
    }
    transfer {
        what_is_handed_over_is_the_same_there,
        twice_is_as_good_as_once,
        bots_that_arrive_are_behind_their_accounts,
        what_has_come_to_rest_since_is_brought_up_to_date,
        one_complaint_keeps_all_of_it_out,
        older_posts_come_before_what_is_here,
        tokens_stay_where_they_are,
        one_bot_is_handed_over_alone,
        the_order_of_lines_is_handed_over_to_a_bot_that_has_not_posted,
    }
    names {
        a_renamed_bot_stays_signed_in,
        a_bot_renamed_before_it_was_entered_stays_signed_in,
        signed_in_under_both_names_the_new_one_counts,
        signed_in_names_move_up_in_a_row,
        a_name_given_up_takes_nothing_along_twice,
    }
    post_states {
        every_pair_is_an_edge_or_refused,
        no_move_is_left_out_of_the_table,
        attempts_and_errors_are_counted,
        what_is_taken_back_stays_what_it_was,
        each_move_says_when_it_was,
        a_beginning_says_why,
        a_post_that_is_not_there_cannot_move,
        what_is_sent_is_fixed_before_the_first_attempt,
        a_process_that_takes_over_doubts_what_was_being_sent,
        random_walks_stay_on_the_edges,
    }
    uniqueness {
        a_slot_is_used_once_whatever_became_of_it,
        a_slot_may_be_skipped_ahead,
        only_a_skip_is_undone_and_frees_its_slot,
        a_skip_is_not_the_last_that_happened,
        a_line_is_used_once_in_a_round,
        a_bot_has_one_open_post,
        a_failing_draft_harms_no_other,
        one_of_two_wins_a_slot,
        one_of_two_wins_a_line,
    }
    reading {
        a_bot_stands_where_its_posts_left_it,
        rounds_are_begun_by_lines_that_were_not_released,
        duplicates_are_avoided_until_another_was_posted,
        what_left_in_the_last_hour_is_counted,
        ailing_since_the_first_of_a_run,
        ailing_anew_after_signing_in,
        the_last_is_the_one_written_last,
        posts_are_filtered_and_newest_first,
        days_are_read_and_counted,
        a_copy_is_a_ledger,
        a_copy_never_replaces_a_file,
    }
    settling {
        what_may_have_been_accepted_is_spent, what_was_spent_in_years_to_come_is_not_spent_now,
        a_look_costs_whatever_comes_of_it,
        what_is_tried_again_is_paid_for_when_it_is_tried,
        a_look_changes_nothing_about_since_when,
        ids_of_the_network_are_known,
        a_text_was_said_before_if_another_post_was_sent_with_it,
        a_pause_lasts_until_it_is_ended,
        a_backup_knows_that_it_was_put_back,
        a_backup_of_one_that_was_put_back_is_as_far_behind,
        what_was_found_is_posted_and_its_line_used,
    }
    health {
        how_far_each_bot_is_dealt_with,
        whose_last_slot_was_tried_in_vain,
        an_alert_is_remembered_for_its_day,
        alerts_are_forgotten_after_a_week,
        being_well_can_be_proved_again_and_again,
    }
    commands {
        commands_are_open_oldest_first,
        every_order_of_claim_finish_and_cancel,
        a_command_comes_back_as_it_was,
    }
}
