//! Stand-in until the real one lands.
use crate::net::Misfit;
/// Check.
pub fn check(text: &str) -> Result<(), Misfit> {
    let length = text.chars().count();
    if length > 280 {
        Err(Misfit::TooLong { network: crate::flock::NetworkKind::X, length, max: 280 })
    } else {
        Ok(())
    }
}
