//! Whom to watch over and who is told, which may change while the flock runs.

use std::sync::Arc;
use std::time::Duration;

use super::Receiver;
use crate::flock::Bot;
use crate::flock::secret::Secret;

/// Whom to watch over, and who is told.
#[derive(Debug, Clone, Default)]
pub struct Rota {
    /// The bots, in the order of the file.
    pub bots: Vec<Arc<Bot>>,
    /// Who is told when one needs a person.
    pub receivers: Vec<Receiver>,
    /// The URL that is called only while every bot is on time, and how often.
    pub heartbeat: Option<(Secret, Duration)>,
}
