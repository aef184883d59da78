//! Telling a person when a bot, the ledger or the flock needs one.
//!
//! [`Monitor`] decides when there is something to tell, `alert` says what, [`AlertTarget`] delivers it; what a target is
//! still to be told waits in `delivery_queue`, and what it was told is in `delivered`. [`heartbeat`] calls a URL only while
//! all is well, for a service that notices when the calls stop. How a bot is follows from [`health`](crate::health).

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
