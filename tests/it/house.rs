//! The rules of the house that a compiler does not check: who may use whom, and how large a file may be.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The most lines of a source file.
const LONGEST: usize = 600;

/// Which layers of the crate a layer may name. What is not in the list of its layer is forbidden.
const MAY_USE: &[(&str, &[&str])] = &[
    ("flock", &[]),
    ("clock", &["flock"]),
    ("listener", &[]),
    ("files", &[]),
    ("config", &["files", "flock"]),
    ("sources", &["files", "flock", "clock"]),
    ("net", &["files", "flock", "clock"]),
    ("store", &["files", "flock", "clock"]),
    ("engine", &["flock", "clock", "sources", "net", "store"]),
    ("health", &["flock", "clock", "sources", "net", "store"]),
    ("forecast", &["flock", "net", "store"]),
    ("alerts", &["flock", "clock", "sources", "net", "store", "health"]),
    ("enroll", &["flock", "clock", "listener", "net", "store"]),
    ("web", &["flock", "clock", "listener", "sources", "net", "store", "health", "forecast", "enroll"]),
    (
        "daemon",
        &[
            "files", "flock", "clock", "config", "sources", "net", "store", "health", "forecast", "alerts",
            "engine", "enroll", "web",
        ],
    ),
    (
        "cli",
        &[
            "files", "flock", "clock", "config", "sources", "net", "store", "health", "forecast", "alerts",
            "engine", "enroll", "web", "daemon",
        ],
    ),
];

/// Crates that the domain must not know: it does no I/O, waits for nothing and keeps no database.
const NOT_IN_THE_DOMAIN: &[&str] =
    &["tokio", "reqwest", "sqlx", "axum", "tracing", "std::fs", "std::env", "std::thread"];

#[test]
fn layers_use_only_what_is_below_them() {
    let mut wrong = Vec::new();
    for (layer, file, text) in sources() {
        let Some((_, allowed)) = MAY_USE.iter().find(|(name, _)| *name == layer) else {
            assert!(["lib", "main"].contains(&layer.as_str()), "{} belongs to no layer", file.display());
            continue;
        };
        for used in crate_modules(&text) {
            if used != layer && !allowed.contains(&used.as_str()) {
                wrong.push(format!("{}: {layer} must not use {used}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_layer_is_there_and_in_the_rules() {
    let layers: BTreeSet<String> = sources().into_iter().map(|(layer, ..)| layer).collect();
    let known: BTreeSet<String> = MAY_USE.iter().map(|(layer, _)| (*layer).to_owned()).collect();
    let outside = ["lib".to_owned(), "main".to_owned()].into();
    assert_eq!(layers.difference(&outside).cloned().collect::<BTreeSet<_>>(), known);
}

#[test]
fn the_domain_touches_nothing() {
    for (_, file, text) in sources().into_iter().filter(|(layer, ..)| layer == "flock") {
        for outside in NOT_IN_THE_DOMAIN {
            let named = format!("{outside}::");
            assert!(!code(&text).contains(&named), "{} names {outside}", file.display());
        }
    }
}

#[test]
fn the_rules_of_this_test_would_notice() {
    let text =
        "use crate::{clock::Clock, net};\n// crate::cli is only mentioned here\nlet x = crate::web::serve();";
    assert_eq!(crate_modules(text), BTreeSet::from(["clock", "net", "web"].map(str::to_owned)));
}

#[test]
fn files_are_of_a_size_to_be_read() {
    let tests = files(&root().join("tests"));
    let sources = files(&root().join("src"));
    let long: BTreeMap<_, _> = sources
        .into_iter()
        .chain(tests)
        .map(|file| (file.clone(), fs::read_to_string(file).unwrap().lines().count()))
        .filter(|(_, lines)| *lines > LONGEST)
        .collect();
    assert!(long.is_empty(), "longer than {LONGEST} lines: {long:#?}");
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every source file with its layer: the first part of its path below `src`.
fn sources() -> Vec<(String, PathBuf, String)> {
    let src = root().join("src");
    let sources = files(&src).into_iter().map(|file| {
        let below = file.strip_prefix(&src).unwrap();
        let first = below.components().next().unwrap().as_os_str().to_str().unwrap();
        (first.trim_end_matches(".rs").to_owned(), file.clone(), fs::read_to_string(&file).unwrap())
    });
    sources.collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let below = entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] });
    below.filter(|path| path.extension().is_some_and(|extension| extension == "rs")).collect()
}

/// The text without its comments.
fn code(text: &str) -> String {
    text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// The modules at the top of the crate that a text names, in `use crate::x`, `use crate::{x, y}` or a path.
fn crate_modules(text: &str) -> BTreeSet<String> {
    let code = code(text);
    let mut named = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        if code[..at].ends_with('$') {
            continue;
        }
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            Some(group) => named.extend(group_members(group)),
            None => named.extend([word(rest)]),
        }
    }
    named
}

/// The first words in a group of imports, whose own groups are passed over.
fn group_members(group: &str) -> Vec<String> {
    let (mut depth, mut members, mut start) = (0, Vec::new(), 0);
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => {
                members.push(word(group[start..at].trim()));
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                members.push(word(group[start..at].trim()));
                start = at + 1;
            }
            _ => {}
        }
    }
    members.retain(|member| !member.is_empty());
    members
}

fn word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}
