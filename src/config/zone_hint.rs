//! Guesses what was meant by a text that is not an IANA time zone: an offset, an abbreviation, a name from
//! another list.
//!
//! Only place names are compared by spelling. Between abbreviations or offsets, one letter or sign can mean
//! half a day.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use jiff::tz::TimeZone;

use super::suggest;
use super::zones::Zones;
use crate::flock::schedule::Zone;

/// Well-known places, a few for each offset; the first match is the example.
#[rustfmt::skip]
const PLACES: &[&str] = &[
    "Europe/London", "Europe/Berlin", "Europe/Athens", "Europe/Moscow", "Europe/Dublin", "Europe/Lisbon",
    "Europe/Istanbul", "America/New_York", "America/Chicago", "America/Denver", "America/Phoenix",
    "America/Los_Angeles", "America/Anchorage", "Pacific/Honolulu", "America/Halifax", "America/St_Johns",
    "America/Sao_Paulo", "America/Bogota", "America/Caracas", "Pacific/Marquesas", "Atlantic/Azores",
    "America/Noronha", "Africa/Lagos", "Africa/Johannesburg", "Africa/Cairo", "Africa/Nairobi", "Asia/Jerusalem",
    "Asia/Dubai", "Asia/Tehran", "Asia/Kabul", "Asia/Karachi", "Asia/Kolkata", "Asia/Kathmandu", "Asia/Dhaka",
    "Asia/Yangon", "Asia/Bangkok", "Asia/Jakarta", "Asia/Shanghai", "Asia/Hong_Kong", "Asia/Manila",
    "Asia/Singapore", "Asia/Tokyo", "Asia/Seoul", "Australia/Perth", "Australia/Eucla", "Australia/Darwin",
    "Australia/Adelaide", "Australia/Brisbane", "Australia/Sydney", "Australia/Lord_Howe", "Pacific/Noumea",
    "Pacific/Auckland", "Pacific/Chatham", "Pacific/Apia", "Pacific/Pago_Pago", "Pacific/Kiritimati",
];

/// Zone names of other lists, without the words `Standard`, `Daylight`, `Summer` and `Time`: those of
/// Windows, and those in use in North America.
#[rustfmt::skip]
const OTHER_LISTS: &[(&str, &str)] = &[
    ("pacific", "America/Los_Angeles"), ("mountain", "America/Denver"), ("us mountain", "America/Phoenix"),
    ("central", "America/Chicago"), ("eastern", "America/New_York"), ("us eastern", "America/New_York"),
    ("atlantic", "America/Halifax"), ("newfoundland", "America/St_Johns"), ("alaskan", "America/Anchorage"),
    ("alaska", "America/Anchorage"), ("hawaiian", "Pacific/Honolulu"), ("hawaii", "Pacific/Honolulu"),
    ("canada central", "America/Regina"), ("central america", "America/Guatemala"),
    ("central (mexico)", "America/Mexico_City"), ("sa pacific", "America/Bogota"),
    ("e. south america", "America/Sao_Paulo"), ("argentina", "America/Argentina/Buenos_Aires"),
    ("gmt", "Europe/London"), ("british", "Europe/London"), ("greenwich", "Africa/Abidjan"),
    ("greenwich mean", "Africa/Abidjan"), ("w. europe", "Europe/Berlin"), ("central europe", "Europe/Budapest"),
    ("central european", "Europe/Warsaw"), ("romance", "Europe/Paris"), ("western european", "Europe/Lisbon"),
    ("e. europe", "Europe/Chisinau"), ("eastern european", "Europe/Athens"), ("gtb", "Europe/Bucharest"),
    ("fle", "Europe/Kyiv"), ("turkey", "Europe/Istanbul"), ("russian", "Europe/Moscow"), ("moscow", "Europe/Moscow"),
    ("israel", "Asia/Jerusalem"), ("egypt", "Africa/Cairo"), ("south africa", "Africa/Johannesburg"),
    ("arabian", "Asia/Dubai"), ("arab", "Asia/Riyadh"), ("pakistan", "Asia/Karachi"), ("india", "Asia/Kolkata"),
    ("nepal", "Asia/Kathmandu"), ("se asia", "Asia/Bangkok"), ("china", "Asia/Shanghai"),
    ("singapore", "Asia/Singapore"), ("taipei", "Asia/Taipei"), ("tokyo", "Asia/Tokyo"), ("japan", "Asia/Tokyo"),
    ("korea", "Asia/Seoul"), ("w. australia", "Australia/Perth"), ("cen. australia", "Australia/Adelaide"),
    ("aus central", "Australia/Darwin"), ("aus eastern", "Australia/Sydney"),
    ("e. australia", "Australia/Brisbane"), ("new zealand", "Pacific/Auckland"),
    ("coordinated universal", "UTC"), ("universal", "UTC"), ("zulu", "UTC"), ("z", "UTC"),
];

/// Large cities whose zone is named after another city.
#[rustfmt::skip]
const CITIES: &[(&str, &str)] = &[
    ("amsterdam", "Europe/Amsterdam"), ("barcelona", "Europe/Madrid"), ("beijing", "Asia/Shanghai"),
    ("peking", "Asia/Shanghai"), ("shenzhen", "Asia/Shanghai"), ("mumbai", "Asia/Kolkata"),
    ("delhi", "Asia/Kolkata"), ("new_delhi", "Asia/Kolkata"), ("bangalore", "Asia/Kolkata"),
    ("chennai", "Asia/Kolkata"), ("hyderabad", "Asia/Kolkata"), ("osaka", "Asia/Tokyo"), ("kyoto", "Asia/Tokyo"),
    ("hanoi", "Asia/Ho_Chi_Minh"), ("abu_dhabi", "Asia/Dubai"), ("ankara", "Europe/Istanbul"),
    ("boston", "America/New_York"), ("washington", "America/New_York"), ("washington_dc", "America/New_York"),
    ("miami", "America/New_York"), ("atlanta", "America/New_York"), ("philadelphia", "America/New_York"),
    ("dallas", "America/Chicago"), ("houston", "America/Chicago"), ("austin", "America/Chicago"),
    ("minneapolis", "America/Chicago"), ("seattle", "America/Los_Angeles"), ("portland", "America/Los_Angeles"),
    ("san_francisco", "America/Los_Angeles"), ("san_diego", "America/Los_Angeles"),
    ("las_vegas", "America/Los_Angeles"), ("ottawa", "America/Toronto"), ("quebec", "America/Toronto"),
    ("calgary", "America/Edmonton"), ("rio_de_janeiro", "America/Sao_Paulo"), ("brasilia", "America/Sao_Paulo"),
    ("munich", "Europe/Berlin"), ("hamburg", "Europe/Berlin"), ("frankfurt", "Europe/Berlin"),
    ("cologne", "Europe/Berlin"), ("milan", "Europe/Rome"), ("naples", "Europe/Rome"), ("geneva", "Europe/Zurich"),
    ("bern", "Europe/Zurich"), ("edinburgh", "Europe/London"), ("manchester", "Europe/London"),
    ("lyon", "Europe/Paris"), ("saint_petersburg", "Europe/Moscow"), ("st_petersburg", "Europe/Moscow"),
    ("cape_town", "Africa/Johannesburg"), ("pretoria", "Africa/Johannesburg"), ("wellington", "Pacific/Auckland"),
];

/// Words for the machine's own zone.
const OF_THE_MACHINE: [&str; 6] = ["local", "localtime", "system", "auto", "default", "host"];

/// What to write instead of this text, as the end of a message.
pub(super) fn hint(text: &str) -> String {
    let plain = text.trim().trim_start_matches(':');
    place(plain)
        .map(did_you_mean)
        .or_else(|| of_the_machine(plain))
        .or_else(|| Some(of_offset(offset(plain)?)))
        .or_else(|| of_another_list(plain).map(did_you_mean))
        .or_else(|| posix(plain))
        .or_else(|| abbreviation(plain))
        .or_else(|| misspelt(plain).map(did_you_mean))
        .unwrap_or_else(|| "write a zone from the IANA list, like \"Europe/Berlin\"".into())
}

fn did_you_mean(name: &str) -> String {
    format!("did you mean \"{name}\"?")
}

/// A place of that name in another spelling: white space for `_`, the city alone, or the path of a file.
fn place(text: &str) -> Option<&'static str> {
    let folded = text.trim_matches('/').replace([' ', '-'], "_").to_lowercase();
    let fold = |name: &str| name.replace('-', "_").to_lowercase();
    let same = |name: &&str| is_place(name) && fold(name) == folded;
    let city = folded.rsplit('/').next().unwrap_or(&folded);
    let of_that_city =
        |name: &&str| is_place(name) && name.rsplit('/').next().is_some_and(|own| fold(own) == city);
    let ends_so = |name: &&str| name.contains('/') && folded.ends_with(&format!("/{}", name.to_lowercase()));
    let known = CITIES.iter().find(|(name, _)| *name == city).map(|(_, zone)| *zone);
    // `Etc/UTC` and the like are not cities.
    let is_word = city.len() < 4 || city.starts_with("gmt") || city.bytes().any(|byte| byte.is_ascii_digit());
    Zones::names()
        .find(same)
        .or_else(|| Zones::names().find(ends_so))
        .or_else(|| Zones::names().filter(|_| !is_word).find(of_that_city))
        .or(known)
}

/// Whether a name is that of a place: `Etc/GMT+5` and `Etc/GMT-5` differ by one sign and ten hours.
fn is_place(name: &str) -> bool {
    name.contains('/') && !name.starts_with("Etc/")
}

fn of_the_machine(text: &str) -> Option<String> {
    let is_one = OF_THE_MACHINE.iter().any(|word| text.eq_ignore_ascii_case(word));
    let remedy = "a schedule must not depend on how a machine is set: write the place, like \"Europe/Berlin\" \
        (`timedatectl` shows the machine's)";
    is_one.then(|| remedy.to_owned())
}

/// The offset from UTC in minutes: `UTC+2`, `GMT-05:30`, `+0200`, `Etc/UTC+2`.
fn offset(text: &str) -> Option<i32> {
    let text = text.to_ascii_uppercase().replace(' ', "").replace('\u{2212}', "-");
    let text = text.strip_prefix("ETC/").unwrap_or(&text);
    let rest = ["UTC", "GMT", "Z"].iter().find_map(|prefix| text.strip_prefix(prefix)).unwrap_or(text);
    let (sign, digits) = match (rest.strip_prefix('+'), rest.strip_prefix('-')) {
        (Some(digits), _) => (1, digits),
        (_, Some(digits)) => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = match digits.split_once(':') {
        Some((hours, minutes)) if minutes.len() == 2 => (hours, minutes),
        Some(_) => return None,
        None if digits.len() > 2 => digits.split_at_checked(digits.len() - 2)?,
        None => (digits, "0"),
    };
    let number = |text: &str| {
        text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<i32>().ok()).flatten()
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    (hours <= 14 && minutes < 60).then_some(sign * (hours * 60 + minutes))
}

/// The sign in names such as `Etc/GMT+5` follows POSIX, where west is positive.
fn of_offset(minutes: i32) -> String {
    let (hours, rest) = (minutes / 60, minutes % 60);
    let shown =
        format!("UTC{hours:+}{}", if rest == 0 { String::new() } else { format!(":{:02}", rest.abs()) });
    let place = PLACES.iter().find(|name| offsets(name).contains(&(minutes * 60)));
    let city = place.map(|name| format!("a place, like \"{name}\"")).unwrap_or("a place".into());
    match (minutes, rest) {
        (0, _) => "write \"UTC\"".into(),
        (_, 0) if (-12..=14).contains(&hours) => format!(
            "write {city}, which follows local time changes, or \"Etc/GMT{:+}\", which is {shown} all year: in these names the sign is reversed",
            -hours
        ),
        _ => format!("no zone is {shown} by name: write {city}"),
    }
}

/// The zone for a name of another list: `Pacific Standard Time`, `(UTC+01:00) Berlin`.
fn of_another_list(text: &str) -> Option<&'static str> {
    let text = text.to_lowercase();
    let words =
        text.split_whitespace().filter(|word| !["standard", "daylight", "summer", "time"].contains(word));
    let stem = words.collect::<Vec<_>>().join(" ");
    OTHER_LISTS.iter().find(|(name, _)| *name == stem).map(|(_, zone)| *zone)
}

/// A POSIX rule instead of a name, such as `MST7` or `CET-1CEST,M3.5.0,M10.5.0/3`.
fn posix(text: &str) -> Option<String> {
    // A person who writes `UTC5` is not thinking of POSIX, where that is five hours behind.
    let rules =
        TimeZone::posix(text).ok().filter(|_| !text.starts_with("UTC") && !text.starts_with("GMT"))?;
    let zone = Zone::new("POSIX", rules);
    let seconds: BTreeSet<i32> = seasons().map(|at| zone.local(at).offset().local_minus_utc()).into();
    let remedy = match seconds.first() {
        Some(only) if seconds.len() == 1 => of_offset(only / 60),
        _ => {
            let place = PLACES.iter().find(|name| offsets(name) == seconds).unwrap_or(&"Europe/Berlin");
            format!("write the place, like \"{place}\"")
        }
    };
    Some(format!("this is a POSIX rule, not a name: {remedy}"))
}

/// An abbreviation that a zone has for half of the year, or that several zones share.
fn abbreviation(text: &str) -> Option<String> {
    let wanted = text.to_ascii_uppercase();
    let called_so = |name: &&&str| {
        let zone = Zone::built_in(name);
        zone.is_some_and(|zone| seasons().iter().any(|at| zone.abbreviation(*at) == wanted))
    };
    let places: Vec<String> =
        PLACES.iter().filter(called_so).take(4).map(|name| format!("\"{name}\"")).collect();
    let looks_so = text.len() <= 5 && text.bytes().all(|byte| byte.is_ascii_uppercase());
    match places.as_slice() {
        [] if looks_so => {
            Some("this looks like an abbreviation: write the place, like \"Europe/Berlin\"".into())
        }
        [] => None,
        [place] => Some(format!("an abbreviation names no zone: write the place, like {place}")),
        places => Some(format!(
            "an abbreviation stands for several zones: write the place, like {}",
            places.join(" or ")
        )),
    }
}

/// One typo, or two in a long name: `Dubai` and `Mumbai` are two cities.
fn misspelt(text: &str) -> Option<&'static str> {
    let allowed = if text.len() < 12 { 1 } else { 2 };
    suggest::nearest_within(text, allowed, Zones::names().filter(|name| is_place(name)))
}

/// A day in each half of a year.
fn seasons() -> [DateTime<Utc>; 2] {
    ["2026-01-15T12:00:00Z", "2026-07-15T12:00:00Z"].map(|at| at.parse().expect("an instant"))
}

/// The offsets of a place over the year, in seconds.
fn offsets(name: &str) -> BTreeSet<i32> {
    let zone = Zone::built_in(name);
    zone.map(|zone| seasons().map(|at| zone.local(at).offset().local_minus_utc()).into()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first zone that a hint names, or nothing.
    fn first(text: &str) -> String {
        hint(text).split('"').nth(1).unwrap_or_default().to_owned()
    }

    fn all(text: &str) -> Vec<String> {
        hint(text).split('"').skip(1).step_by(2).map(str::to_owned).collect()
    }

    #[test]
    fn every_zone_that_is_named_exists() {
        let named = PLACES.iter().chain(OTHER_LISTS.iter().chain(CITIES).map(|(_, zone)| zone));
        for name in named {
            assert_eq!(Zone::built_in(name).map(|zone| zone.name().to_owned()).as_deref(), Some(*name));
        }
    }

    /// The zone suggested for an offset has that offset for at least half of the year.
    #[test]
    fn an_offset_is_never_turned_around() {
        for minutes in (-12 * 60..=14 * 60).step_by(15) {
            let (hours, rest) = (minutes / 60, (minutes % 60_i32).abs());
            let sign = if minutes < 0 { '-' } else { '+' };
            let hours: i32 = hours.abs();
            for text in [
                format!("UTC{sign}{hours}:{rest:02}"),
                format!("GMT{sign}{hours:02}{rest:02}"),
                format!("{sign}{hours:02}:{rest:02}"),
            ] {
                for name in all(&text) {
                    assert!(offsets(&name).contains(&(minutes * 60)), "{text}: {name}");
                }
            }
        }
        assert!(all("GMT+5").contains(&"Etc/GMT-5".to_owned()) && hint("GMT+5").contains("reversed"));
        assert!(all("UTC\u{2212}8").contains(&"Etc/GMT+8".to_owned()));
        assert_eq!(first("+05:30"), "Asia/Kolkata");
        assert_eq!(
            (first("+00:00"), first("Z"), first("GMT+00:00")),
            ("UTC".into(), "UTC".into(), "UTC".into())
        );
        assert_eq!(first("UTC+2"), "Europe/Berlin");
        for signless in ["UTC5", "GMT 5", "Etc/GMT 5", "Etc/GMT5", "Etc/UTC 5"] {
            assert!(!hint(signless).contains("GMT"), "{signless}: {}", hint(signless));
        }
    }

    #[test]
    fn an_abbreviation_is_not_compared_by_spelling() {
        assert_eq!(all("PST"), ["America/Los_Angeles", "Asia/Manila"]);
        assert_eq!(all("IST"), ["Europe/Dublin", "Asia/Jerusalem", "Asia/Kolkata"]);
        assert_eq!(
            (all("CEST"), all("cest")),
            (vec!["Europe/Berlin".to_owned()], vec!["Europe/Berlin".to_owned()])
        );
        assert!(all("CST").contains(&"Asia/Shanghai".to_owned()));
        for unknown in ["XST", "QQ", "ABCDE"] {
            assert!(hint(unknown).contains("abbreviation"), "{unknown}");
        }
    }

    #[test]
    fn a_rule_of_posix_is_read() {
        assert!(all("MST7").contains(&"Etc/GMT+7".to_owned()));
        assert!(all("<+03>-3").contains(&"Etc/GMT-3".to_owned()));
        assert_eq!(first("CET-1CEST,M3.5.0,M10.5.0/3"), "Europe/Berlin");
        assert_eq!(first("EST5EDT,M3.2.0,M11.1.0"), "America/New_York");
    }

    #[test]
    fn names_of_other_lists_are_known() {
        assert_eq!(first("Pacific Standard Time"), "America/Los_Angeles");
        assert_eq!(first("Eastern Daylight Time"), "America/New_York");
        assert_eq!(first("Eastern Time"), "America/New_York");
        assert_eq!(first("W. Europe Standard Time"), "Europe/Berlin");
        assert_eq!(first("Central European Summer Time"), "Europe/Warsaw");
    }

    #[test]
    fn a_place_is_found_in_other_spellings() {
        for text in [
            "berlin",
            "Berlin",
            " Europe/Berlin ",
            "europe-berlin/Berlin",
            "/usr/share/zoneinfo/Europe/Berlin",
            ":Europe/Berlin",
            "posix/Europe/Berlin",
            "Europe/Berln",
            "Munich",
            "Europe/Munich",
        ] {
            assert_eq!(first(text), "Europe/Berlin", "{text}");
        }
        assert_eq!(
            (first("New York"), first("port au prince")),
            ("America/New_York".into(), "America/Port-au-Prince".into())
        );
        assert_eq!(first("America/NewYork"), "America/New_York");
        assert_eq!(first("Asia/Mumbai"), "Asia/Kolkata");
        assert_eq!(hint("Middle-earth/Bree"), "write a zone from the IANA list, like \"Europe/Berlin\"");
    }

    #[test]
    fn the_machines_own_zone_is_no_answer() {
        for text in ["local", "Local", "localtime", "system"] {
            assert!(hint(text).contains("timedatectl"), "{text}");
        }
    }
}
