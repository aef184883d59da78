//! Reports to a person when a bot, the ledger or the flock needs attention.
//!
//! [`Monitor`] decides when to send an alert, `alert` defines what it says, and [`AlertTarget`] delivers it.
//! `delivery_queue` holds the alerts that a target has yet to receive, `delivered` records those that it has.
//! [`heartbeat`] calls a URL only while all is well, for a service that notices when the calls stop.
//! [`health`](crate::health) provides the state of each bot.

mod alert;
mod command;
mod delivered;
mod delivery_queue;
mod event_queue;
pub mod heartbeat;
mod monitor;
mod target;

pub use self::command::{AlertCommand, is_harmless};
pub use self::event_queue::{EventQueue, event_queue};
pub use self::monitor::Monitor;
pub use self::target::{AlertSettings, AlertTarget};
