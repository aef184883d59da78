//! "Did you mean": the known word nearest to an unknown one.

use chrono_tz::{TZ_VARIANTS, Tz};

/// Longer texts get no suggestion: comparing takes time that grows with both lengths, and no word known is longer.
const MAX_LEN: usize = 64;

/// No more words than this are compared with.
const MAX_CANDIDATES: usize = 1_000;

/// The candidate nearest to `text`, if it is near: one slip, and one more for every four characters.
pub(super) fn nearest<'c>(text: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    if text.len() > MAX_LEN {
        return None;
    }
    let text = text.to_lowercase();
    let allowed = 1 + text.chars().count() / 4;
    candidates
        .into_iter()
        .take(MAX_CANDIDATES)
        .map(|candidate| (strsim::osa_distance(&text, &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// The IANA zone that was probably meant: of that city, or nearly of that name.
pub(super) fn zone(text: &str) -> Option<&'static str> {
    let city = |name: &str| name.rsplit('/').next().unwrap_or(name).replace(' ', "_").to_lowercase();
    let wanted = city(text);
    let of_that_city = TZ_VARIANTS.iter().copied().map(Tz::name).find(|name| city(name) == wanted);
    of_that_city.or_else(|| nearest(text, TZ_VARIANTS.iter().copied().map(Tz::name)))
}

/// A text from the file as it is safe to print: on one line, and not a page of it.
pub(super) fn short(text: &str) -> String {
    const MAX: usize = 60;
    let mut escaped = text.escape_debug();
    let shown: String = escaped.by_ref().take(MAX).collect();
    if escaped.next().is_some() { format!("{shown}…") } else { shown }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_understood_and_guesses_not_made() {
        let keys = ["schedule", "poem", "at_end", "was"];
        let near = |text| nearest(text, keys);
        assert_eq!(near("shedule"), Some("schedule"));
        assert_eq!(near("POEM"), Some("poem"));
        assert_eq!(near("atend"), Some("at_end"));
        assert_eq!(near("colour"), None);
        assert_eq!(near(&"schedule".repeat(9)), None);
    }

    #[test]
    fn a_zone_is_found_by_its_city() {
        assert_eq!(zone("berlin"), Some("Europe/Berlin"));
        assert_eq!(zone("europe/berlin"), Some("Europe/Berlin"));
        assert_eq!(zone("New York"), Some("America/New_York"));
        assert_eq!(zone("America/NewYork"), Some("America/New_York"));
        assert_eq!(zone("Middle-earth/Bree"), None);
    }

    #[test]
    fn what_is_printed_stays_on_a_line() {
        assert_eq!(short("a\nb"), "a\\nb");
        assert_eq!(short(&"ü".repeat(61)), format!("{}…", "ü".repeat(60)));
    }
}
