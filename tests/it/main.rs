//! Everything that is tested through the crate's public face, in one binary: linking is what takes time.

#![allow(clippy::unwrap_used, reason = "a helper that fails should fail its test on the spot")]
#![allow(missing_docs, unreachable_pub, reason = "what helpers are for stands at the head of their files")]

mod bad_input;
mod engine_budget;
mod engine_firing;
mod engine_govern;
mod engine_keeper;
mod engine_mend;
mod engine_model;
mod engine_poem;
mod engine_record;
mod engine_restored;
mod engine_stop;
mod engine_time;
mod engine_trouble;
mod engine_unknown;
mod engine_wishes;
mod fake_x_kill;
mod fake_x_oauth1;
mod fake_x_oauth2;
mod fake_x_timeline;
mod faults;
mod house;
mod ledger;
mod network_contract;
mod program;
mod program_accounts;
mod program_backup;
mod program_check;
mod program_enroll;
mod program_forecast;
mod program_govern;
mod program_ledger;
mod program_manual;
mod program_oidc;
mod program_renewal;
mod program_secrets;
mod program_vault;
mod program_watch;
mod program_x;
mod rigs_oidc;
mod rigs_terminal;
mod sqlite_trouble;
mod store_contract;
mod support;
mod torture;
mod watch_alerts;
mod watch_heartbeat;
mod watch_receivers;
mod x;
mod x_account;
mod x_answers;
mod x_faults;
mod x_signature;
mod x_timeline;
