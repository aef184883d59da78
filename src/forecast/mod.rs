//! Forecasts: the upcoming slots, how often bots post and when their poems run out, and how much of an app's capacity a
//! week takes. Everything here is computed from schedules and limits; nothing is sent or written.

pub mod capacity;
pub mod post_rate;
pub mod upcoming;
