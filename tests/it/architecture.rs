//! The architecture rules that the compiler does not check: which layers may use which, and how long a file
//! may be.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The most lines of a source file.
const LONGEST: usize = 600;

/// The layers that each layer may use. A layer that its list does not name is forbidden.
const MAY_USE: &[(&str, &[&str])] = &[
    ("flock", &[]),
    ("clock", &["flock"]),
    ("media", &["flock"]),
    ("listener", &[]),
    ("files", &[]),
    ("config", &["files", "flock"]),
    ("sources", &["files", "flock", "clock", "media"]),
    ("net", &["files", "flock", "clock", "media"]),
    ("store", &["files", "flock", "clock"]),
    ("engine", &["flock", "clock", "media", "sources", "net", "store"]),
    ("health", &["flock", "clock", "sources", "net", "store"]),
    ("forecast", &["flock", "net", "store"]),
    ("alerts", &["flock", "clock", "sources", "net", "store", "health"]),
    ("enroll", &["flock", "clock", "listener", "net", "store"]),
    (
        "web",
        &["flock", "clock", "listener", "media", "sources", "net", "store", "health", "forecast", "enroll"],
    ),
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
            "files", "flock", "clock", "config", "media", "sources", "net", "store", "health", "forecast",
            "alerts", "engine", "enroll", "web", "daemon",
        ],
    ),
];

/// Crates that the domain must not use: it does no I/O, has no async code and no database.
const NOT_IN_THE_DOMAIN: &[&str] =
    &["tokio", "reqwest", "sqlx", "axum", "tracing", "std::fs", "std::env", "std::thread"];

#[test]
fn layers_use_only_the_layers_they_may() {
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
fn every_layer_exists_and_has_a_rule() {
    let layers: BTreeSet<String> = sources().into_iter().map(|(layer, ..)| layer).collect();
    let known: BTreeSet<String> = MAY_USE.iter().map(|(layer, _)| (*layer).to_owned()).collect();
    let outside = ["lib".to_owned(), "main".to_owned()].into();
    assert_eq!(layers.difference(&outside).cloned().collect::<BTreeSet<_>>(), known);
}

#[test]
fn the_domain_does_no_io() {
    for (_, file, text) in sources().into_iter().filter(|(layer, ..)| layer == "flock") {
        for outside in NOT_IN_THE_DOMAIN {
            let named = format!("{outside}::");
            assert!(!code(&text).contains(&named), "{} names {outside}", file.display());
        }
    }
}

#[test]
fn these_checks_detect_violations() {
    let text =
        "use crate::{clock::Clock, net};\n// crate::cli is only mentioned here\nlet x = crate::web::serve();";
    assert_eq!(crate_modules(text), BTreeSet::from(["clock", "net", "web"].map(str::to_owned)));
}

/// In an import cycle, no file can be understood before the others. A module and its ancestors may name each
/// other.
#[test]
fn imports_have_no_cycles() {
    let modules = sources().into_iter().map(|(_, file, text)| (module_of(&file), text));
    let texts: BTreeMap<String, String> = modules.filter(|(module, _)| !module.contains("tests")).collect();
    let imports = |(module, text): (&String, &String)| (module.clone(), imported(module, text, &texts));
    let mut left: BTreeMap<String, BTreeSet<String>> = texts.iter().map(imports).collect();
    assert!(left.values().map(BTreeSet::len).sum::<usize>() > 1_000, "imports are not read any more");
    // A file that imports nothing, or that nothing imports, is in no cycle.
    for _ in 0..texts.len() {
        let there: BTreeSet<String> = left.keys().cloned().collect();
        let used: BTreeSet<String> = left.values().flatten().cloned().collect();
        left.values_mut().for_each(|imports| imports.retain(|module| there.contains(module)));
        left.retain(|module, imports| used.contains(module) && !imports.is_empty());
    }
    assert!(left.is_empty(), "files in circles, and between them: {left:#?}");
}

#[test]
fn imports_resolve_to_the_defining_file() {
    let texts = [
        ("a", "pub use self::b::{B, deep::D};\nmod b;"),
        ("a::b", "use super::c::{self, C};\nuse crate::{\n    a::{B, D, deep},\n    e::{f::F as G},\n};"),
        ("a::b::deep", "use std::fs;"),
        ("a::c", "// use crate::e;\nuse crate::a::{B, D};\n    use super::b::NameInATestModule;"),
        ("e", ""),
    ];
    let texts = BTreeMap::from(texts.map(|(module, text)| (module.to_owned(), text.to_owned())));
    let found = |module: &str| imported(module, &texts[module], &texts);
    assert_eq!(found("a::b"), ["a::c", "e"].map(str::to_owned).into());
    assert_eq!(found("a::c"), ["a::b", "a::b::deep"].map(str::to_owned).into());
    assert_eq!(found("a::b::deep"), BTreeSet::new());
}

#[test]
fn no_source_file_is_too_long() {
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

/// The crate's top-level modules that a text names, in `use crate::x`, `use crate::{x, y}` or a path.
fn crate_modules(text: &str) -> BTreeSet<String> {
    let code = code(text);
    let mut named = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        if code[..at].ends_with('$') {
            continue;
        }
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            Some(group) => named.extend(group_members(group).into_iter().map(word)),
            None => named.extend([word(rest)]),
        }
    }
    named
}

/// The members of an import group, including nested groups.
fn group_members(group: &str) -> Vec<&str> {
    let (mut depth, mut members, mut start) = (0, Vec::new(), 0);
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => {
                members.push(group[start..at].trim());
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                members.push(group[start..at].trim());
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

/// A file's module path: `store::sqlite` for `src/store/sqlite/mod.rs`.
fn module_of(file: &Path) -> String {
    let below = file.strip_prefix(root().join("src")).unwrap().with_extension("");
    let parts = below.iter().map(|part| part.to_str().unwrap()).filter(|part| *part != "mod");
    parts.collect::<Vec<_>>().join("::")
}

/// The modules that define what a module imports, except its ancestors and descendants.
fn imported(module: &str, text: &str, texts: &BTreeMap<String, String>) -> BTreeSet<String> {
    let is_within = |inner: &str, outer: &str| inner == outer || inner.starts_with(&format!("{outer}::"));
    let imports = use_paths(module, text).into_iter().filter(|(is_export, _)| !is_export);
    let homes = imports.filter_map(|(_, path)| home_of(&path, texts));
    homes.filter(|home| !is_within(home, module) && !is_within(module, home)).collect()
}

/// The module that defines the name at the end of a path, behind any re-exports.
fn home_of(path: &str, texts: &BTreeMap<String, String>) -> Option<String> {
    let mut ends = path.match_indices("::").map(|(end, _)| end).collect::<Vec<_>>();
    ends.push(path.len());
    let home = ends.into_iter().rev().map(|end| &path[..end]).find(|home| texts.contains_key(*home))?;
    let name = path[home.len()..].strip_prefix("::").map(word).unwrap_or_default();
    let mut exports = use_paths(home, &texts[home]).into_iter().filter(|(is_export, _)| *is_export);
    match exports.find(|(_, export)| export.rsplit("::").next() == Some(&*name) && export != path) {
        Some((_, export)) => home_of(&export, texts),
        None => Some(home.to_owned()),
    }
}

/// The paths within the crate in a file's `use` items, and whether the item re-exports them. Indented items,
/// those of test modules, are left out.
fn use_paths(module: &str, text: &str) -> Vec<(bool, String)> {
    let (code, mut paths) = (code(text), Vec::new());
    for (at, _) in code.match_indices("use ") {
        let before = code[..at].rsplit('\n').next().unwrap_or_default();
        if before.is_empty() || before.starts_with("pub") {
            let item = code[at + "use ".len()..].split(';').next().unwrap_or_default();
            let within = expanded(item).into_iter().filter_map(|path| from_root(module, &path));
            paths.extend(within.map(|path| (!before.is_empty(), path)));
        }
    }
    paths
}

/// The single paths in an import group.
fn expanded(item: &str) -> Vec<String> {
    let path = item.trim().split(" as ").next().unwrap_or_default();
    match item.split_once('{') {
        None => vec![path.trim_end_matches("::self").to_owned()],
        Some((prefix, group)) => {
            let whole = |member| expanded(&format!("{}{member}", prefix.trim_start()));
            group_members(group).into_iter().flat_map(whole).collect()
        }
    }
}

/// A path that begins with `crate`, `self` or `super`, resolved from the crate's root; `None` for another
/// crate's.
fn from_root(module: &str, path: &str) -> Option<String> {
    let (first, rest) = path.split_once("::")?;
    match first {
        "crate" => Some(rest.to_owned()),
        "self" => Some(format!("{module}::{rest}")),
        "super" => {
            let parent = module.rsplit_once("::")?.0;
            from_root(parent, rest).or_else(|| Some(format!("{parent}::{rest}")))
        }
        _ => None,
    }
}
