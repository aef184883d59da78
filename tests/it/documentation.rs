//! The README and the manual in `docs`: links resolve, messages exist, and the landing page stays short.
//! `program_check` tests `flock.toml.example`, and `faults` the table of faults.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use flockd::daemon::log::OTHER_NAMES;
use flockd::flock::event::Event;

/// The most lines of the landing page.
const LANDING_PAGE: usize = 150;

#[test]
fn every_link_between_pages_resolves() {
    let mut broken = Vec::new();
    let mut links = 0;
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for link in links_of(&text).filter(|link| !link.contains("://")) {
            links += 1;
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            let found = target.exists() && (anchor.is_empty() || anchors_of(&target).contains(anchor));
            if !found {
                broken.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(links > 40, "only {links} links were found");
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn every_page_can_be_reached_from_the_readme() {
    let mut reached = BTreeSet::new();
    let mut ahead = vec![root().join("README.md")];
    while let Some(page) = ahead.pop() {
        if reached.insert(page.canonicalize().unwrap()) {
            let text = fs::read_to_string(&page).unwrap();
            let files = links_of(&text).filter_map(|link| link.split('#').next());
            let files = files.map(|file| page.parent().unwrap().join(file));
            ahead.extend(files.filter(|file| file.extension().is_some_and(|end| end == "md")));
        }
    }
    let lost: Vec<_> = pages().into_iter().filter(|page| !reached.contains(page)).collect();
    assert!(lost.is_empty(), "no page leads to {lost:#?}");
}

/// The architecture page links into the source.
#[test]
fn the_architecture_names_files_that_exist() {
    let page = fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    let named = page.split('`').skip(1).step_by(2).filter(|code| code.ends_with(".rs") && code.contains('/'));
    let named: BTreeSet<&str> = named.collect();
    assert!(named.len() > 20, "{named:?}");
    let is_there = |file: &&str| ["src", "."].iter().any(|folder| root().join(folder).join(file).is_file());
    let lost: Vec<&str> = named.into_iter().filter(|file| !is_there(file)).collect();
    assert!(lost.is_empty(), "no such files: {lost:#?}");
}

#[test]
fn the_readme_is_a_landing_page() {
    let lines = fs::read_to_string(root().join("README.md")).unwrap().lines().count();
    assert!(lines <= LANDING_PAGE, "{lines} lines, {LANDING_PAGE} is the most: move details to docs/");
}

/// Every message that the manual explains exists: its longest piece without a placeholder is searched for in
/// the source.
#[test]
fn the_manual_explains_messages_that_exist() {
    let page = fs::read_to_string(root().join("docs/messages.md")).unwrap();
    let table = page.split("| message | what it means").nth(1).unwrap().split("\n\n").next().unwrap();
    let sources = files(&root().join("src"), "rs");
    let source: String =
        sources.iter().map(|file| fs::read_to_string(file).unwrap().replace("\\\n", " ")).collect();
    let source = source.split_whitespace().collect::<Vec<_>>().join(" ");
    let cells = table.lines().skip(2).filter_map(|line| line.split('|').nth(1));
    let messages: Vec<&str> = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
    assert!(messages.len() > 40, "{messages:?}");
    for message in messages {
        let placeholders = ['…', 'N', 'V', 'A', 'B'];
        let pieces =
            message.split(|c| placeholders.contains(&c)).map(|piece| piece.trim_matches([' ', ':', '@']));
        let longest = pieces.max_by_key(|piece| piece.len()).unwrap();
        assert!(source.contains(longest), "{message:?}: {longest:?} is said nowhere");
    }
}

/// People filter logs by these names.
#[test]
fn the_manual_has_the_name_of_every_event() {
    // Turns of the loop are not logged.
    const UNLOGGED: &[&str] = &["loop-ran"];
    let page = fs::read_to_string(root().join("docs/operating.md")).unwrap();
    let table = page.split("| about | `event` |").nth(1).unwrap().split("\n\n").next().unwrap();
    let told: BTreeSet<&str> = table.split('`').skip(1).step_by(2).filter(|name| *name != "debug").collect();
    let names = Event::NAMES.iter().chain(&OTHER_NAMES).filter(|name| !UNLOGGED.contains(name));
    assert_eq!(told, names.copied().collect());
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The README and every page of the manual.
fn pages() -> Vec<PathBuf> {
    let mut pages = files(&root().join("docs"), "md");
    pages.extend(["README.md", "CHANGELOG.md"].map(|page| root().join(page)));
    pages.into_iter().map(|page| page.canonicalize().unwrap()).collect()
}

fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let below = entries.flat_map(|path| if path.is_dir() { files(&path, ending) } else { vec![path] });
    below.filter(|path| path.extension().is_some_and(|end| end == ending)).collect()
}

/// The targets of a Markdown page's links, pictures included; code is left out.
fn links_of(text: &str) -> impl Iterator<Item = &str> {
    let prose = text.split("```").step_by(2);
    prose.flat_map(|prose| prose.split("](").skip(1)).filter_map(|rest| rest.split(')').next())
}

/// The anchors of a page's headings on the web: lower case, hyphens for spaces, and otherwise only letters
/// and digits.
fn anchors_of(page: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(page).unwrap();
    let prose: String = text.split("```").step_by(2).collect();
    let headings = prose.lines().filter_map(|line| line.strip_prefix('#'));
    let anchor = |heading: &str| -> String {
        let kept = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = kept.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(anchor).collect()
}
