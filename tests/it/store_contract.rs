//! What every ledger promises, as tests of any [`Store`] that run for each implementation. Implementation
//! details (files, locks, servers) are tested elsewhere.

mod bots;
mod choosing;
mod commands;
mod credentials;
mod health;
mod identity;
mod names;
mod pictures;
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

/// A new ledger, opened by two users at once.
pub(crate) struct Ledger {
    /// The lease owner.
    pub one: Arc<dyn Store>,
    /// A client beside the lease owner.
    pub other: Arc<dyn Store>,
    /// Opens a backup that [`Store::copy_to`] has made.
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

    /// Enters a bot of that name and brings one of its posts into a state.
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
        a_changed_schedule_starts_over,
        a_changed_schedule_never_moves_back,
        the_schedule_cursor_never_moves_back,
        a_renamed_bot_keeps_its_history,
        two_histories_are_not_merged,
        a_name_without_posts_takes_over_a_history,
        an_abandoned_name_is_free_for_another_bot,
        names_move_up_in_a_row,
        an_account_is_remembered,
        an_unknown_bot_has_no_record,
    }
    choosing {
        a_seed_is_drawn_once_and_follows_a_rename,
        texts_of_earlier_rounds_survive_a_rename,
        passing_a_line_over_only_uses_that_line,
        only_a_passed_over_line_can_be_restored,
    }
    credentials {
        a_bot_that_never_signed_in_has_nothing, a_sign_in_dated_in_the_future_clears_no_later_failure,
        the_account_is_stored_with_the_tokens,
        tokens_are_replaced_only_by_a_process_that_has_read_them,
        of_two_concurrent_replacements_one_wins,
        two_bots_have_two_accounts,
        signing_out_cannot_be_undone_by_old_tokens,
        of_two_concurrent_claims_one_gets_the_lease,
        a_credential_lease_expires,
        a_lease_dated_in_the_future_does_not_count,
        rekeying_is_all_or_nothing,
        app_registrations_are_stored_and_rekeyed,
        nothing_sealed_with_the_old_key_is_stored_after_rekeying,
        a_refused_change_does_not_affect_others,
        a_login_link_works_once_and_its_session_lasts,
        a_login_link_expires,
        sessions_end_one_by_one_or_all_with_the_login_links,
    }
    identity {
        an_accounts_posts_count_whatever_its_bots_name_was,
        posts_under_another_name_count_in_the_round_of_arrival,
        the_first_bot_of_an_account_keeps_it_while_it_stays,
        account_ids_are_scoped_to_their_server,
        an_account_without_its_server_is_found_by_its_handle,
    }
    pictures {
        pictures_of_several_posts_are_read_at_once,
        a_picture_is_shown_while_a_feed_has_its_post,
    }
    transfer {
        an_import_equals_the_export,
        threads_and_pictures_arrive_as_they_are,
        importing_is_idempotent,
        imported_bots_need_reconciliation,
        a_later_import_updates_posts_settled_since,
        one_error_rejects_the_whole_import,
        older_imported_posts_precede_existing_ones,
        tokens_are_not_exported,
        a_single_bot_can_be_exported,
        passed_over_lines_are_exported,
        the_line_order_is_exported_for_a_bot_that_has_not_posted,
    }
    names {
        a_renamed_bot_stays_signed_in,
        a_bot_renamed_before_it_was_entered_stays_signed_in,
        the_new_names_credentials_win,
        signed_in_names_move_up_in_a_row,
        an_abandoned_name_hands_its_credentials_over_once,
    }
    post_states {
        every_illegal_transition_is_refused,
        the_transition_table_has_every_move,
        attempts_and_errors_are_counted,
        a_deleted_post_keeps_its_details,
        each_transition_is_timestamped,
        a_post_created_in_a_final_state_has_a_reason,
        an_unknown_post_has_no_transitions,
        the_payload_is_fixed_before_the_first_attempt,
        after_a_takeover_posts_being_sent_have_an_unknown_outcome,
        random_walks_follow_legal_transitions,
    }
    uniqueness {
        a_slot_is_used_once_whatever_its_outcome,
        a_slot_can_be_skipped_ahead_of_time,
        only_a_skip_is_undone_and_frees_its_slot,
        a_skip_does_not_change_a_bots_state,
        a_line_is_used_once_in_a_round,
        a_bot_has_one_open_post,
        an_invalid_draft_does_not_affect_others,
        of_two_concurrent_drafts_one_gets_the_slot,
        of_two_concurrent_drafts_one_gets_the_line,
    }
    reading {
        a_bots_record_follows_from_its_posts,
        only_unreleased_lines_begin_a_round,
        duplicates_are_avoided_until_another_was_posted,
        posts_sent_in_the_last_hour_are_counted,
        a_failing_streak_dates_from_its_first_failure,
        signing_in_starts_a_new_failing_streak,
        the_last_post_is_the_one_written_last,
        posts_are_filtered_and_newest_first,
        days_are_read_and_counted,
        a_backup_is_a_ledger,
        a_backup_never_replaces_a_file,
    }
    settling {
        posts_that_may_have_been_accepted_are_charged, spending_dated_in_the_future_does_not_count_now,
        a_probe_is_charged_whatever_its_result,
        a_retry_is_charged_when_it_is_sent,
        a_probe_does_not_change_since_when_an_outcome_is_unknown,
        ids_of_the_network_are_known,
        a_text_was_said_before_if_another_post_was_sent_with_it,
        a_pause_lasts_until_it_is_ended,
        a_backup_knows_that_it_was_restored,
        a_backup_of_a_restored_ledger_needs_the_same_reconciliation,
        reconciled_posts_are_recorded_and_use_their_lines,
    }
    health {
        each_bots_schedule_cursor_is_listed,
        bots_whose_last_slot_failed_are_listed,
        an_alert_is_remembered_for_its_day,
        alerts_are_forgotten_after_a_week,
        the_write_check_can_be_repeated,
    }
    commands {
        commands_are_open_oldest_first,
        every_order_of_claim_finish_and_cancel,
        a_command_is_read_back_unchanged,
    }
}
