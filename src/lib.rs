//! flockd keeps a flock of bots: each bot owns an account on a social network and a poem; on its cron
//! schedule the daemon chooses a line that bot has never posted, posts it, and records it in a ledger.
//!
//! The layers, bottom first; a layer uses only those above it in this list, and a test enforces it
//! (`tests/it/architecture.rs`):
//!
//! - [`flock`] is the domain: poems, choosing, schedules, the states of a post. No I/O, no async, no clock.
//! - [`clock`] is the only reader of wall time.
//! - [`files`] reads files that others own: regular ones, within a deadline.
//! - [`media`] makes pictures into those that a network takes, without their metadata. Bytes in, bytes out.
//! - [`config`] turns `flock.toml` into a [`flock::Flock`], or into all diagnostics at once.
//! - [`sources`] keeps the poems and notices edits.
//! - [`net`] posts to the networks behind one small trait.
//! - [`store`] is the ledger behind one trait.
//! - [`health`] is the state of each bot and of the flock: one answer for the command line, the pages, metrics and alerts.
//! - [`forecast`] says what is coming: slots, posts, capacity, and when a poem runs out.
//! - [`alerts`] tells a person when one is needed, and sees that it was delivered.
//! - `listener` accepts connections, with limits on their number and on idle time.
//! - [`enroll`] signs a bot in, and talks to the person by way of a trait.
//! - [`engine`] posts when slots are due: `engine::attempt` is its heart.
//! - [`web`] serves the dashboard, the feeds, health and metrics.
//! - [`daemon`] wires these together, starts and stops.
//! - [`cli`] is the command line.

pub mod alerts;
pub mod cli;
pub mod clock;
pub mod config;
pub mod daemon;
pub mod engine;
pub mod enroll;
pub mod files;
pub mod flock;
pub mod forecast;
pub mod health;
mod listener;
pub mod media;
pub mod net;
pub mod sources;
pub mod store;
pub mod web;
