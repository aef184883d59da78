//! The ledger in a SQLite file: the default, for one machine.
//!
//! One connection writes (`writer`), a few read. Each function in `job` is one unit of work, `sql` has every statement,
//! and `open` opens the file and explains the many ways in which that can fail. Only the process that has the ledger's
//! lock, its owner, sends posts; any number of processes may read and submit commands.

mod backup;
mod ballast;
mod connect;
mod credential;
mod error;
mod filesystem;
mod header;
mod integrity;
mod job;
mod ledger;
mod lock;
mod notifier;
mod open;
mod paths;
mod permissions;
mod restore;
mod row;
mod sessions;
mod sql;
mod store;
mod transfer;
mod writer;

pub use self::integrity::{Content, Step};
pub use self::ledger::Sqlite;
pub use self::restore::Restore;

#[cfg(test)]
mod tests;
