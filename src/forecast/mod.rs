//! Forecasts: the upcoming slots, the exact posts to come, how often bots post and when their poems run out, and how much
//! of an app's capacity a week takes. Everything here is computed; nothing is sent.

pub mod capacity;
pub mod post_rate;
pub mod preview;
pub mod upcoming;
