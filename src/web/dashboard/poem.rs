//! The page of a bot's poem: its lines, which of them are used, which the network would reject, and an
//! editor.

use std::collections::HashSet;
use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use maud::{Markup, html};
use similar::{ChangeTag, TextDiff};

use super::layout::{self, DashboardPage, NavItem, TargetBot, Viewer};
use crate::flock::account::Account;
use crate::flock::poem::{Entry, EntryId, Poem};
use crate::flock::{Bot, Flock};
use crate::net;
use crate::sources::edit::{self, Manuscript, NotSaved, Unusable};
use crate::sources::{self, SourceError};
use crate::store::StoreError;
use crate::web::auth::SignedForm;
use crate::web::page::{counted, grouped, ledger_unavailable, not_found};
use crate::web::posts::verse;
use crate::web::request::Parameters;
use crate::web::response;
use crate::web::site::Site;
use crate::web::times::LocalTimes;

/// Unchanged lines shown around each difference.
const CONTEXT: usize = 2;
/// How long to search for the shortest difference.
const DIFF_TIMEOUT: Duration = Duration::from_millis(200);

/// Lines on a page.
const LINES_PER_PAGE: usize = 200;

/// The content of the page.
struct PoemPage<'a> {
    flock: &'a Flock,
    bot: &'a Bot,
    viewer: &'a Viewer,
    poem: Result<Poem, SourceError>,
    text: Result<Manuscript, Unusable>,
    used: HashSet<EntryId>,
    account: Option<Account>,
    number: usize,
    /// The result of an edit, if there was one.
    edit: Option<EditResult>,
}

/// The result of an edit.
struct EditResult {
    message: String,
    /// Whether the file changed on disk meanwhile.
    is_conflict: bool,
    /// The person's text, if it was not saved.
    unsaved: Option<String>,
}

impl EditResult {
    const fn failed(&self) -> bool {
        self.unsaved.is_some()
    }
}

/// `GET /bots/{name}/poem`.
pub(super) async fn page(State(site): State<Site>, viewer: Viewer, target: TargetBot, uri: Uri) -> Response {
    let query = Parameters::of_query(&uri);
    let edit = query.find("saved").map(|_| {
        let message = "Saved. The next slot uses the new version.".to_owned();
        EditResult { message, is_conflict: false, unsaved: None }
    });
    show(&site, &target, &viewer, edit, &uri).await
}

/// `POST /bots/{name}/poem`: replaces the file, if it still has the text that the person saw.
pub(super) async fn save(
    State(site): State<Site>,
    target: TargetBot,
    times: LocalTimes,
    uri: Uri,
    SignedForm { form, session }: SignedForm,
) -> Response {
    let bot = &target.bot;
    let (path, split) = (bot.poem.clone(), bot.split);
    let (seen, text) = (form.get("seen").to_owned(), form.get("text").to_owned());
    let mine = text.clone();
    let problem = match edit::save_in_time(&path, split, seen, text).await {
        Ok(()) => {
            tracing::info!(bot = %bot.name, "the poem was edited on the dashboard");
            return response::see_other("poem?saved=yes");
        }
        Err(problem) => problem,
    };
    let message = match &problem {
        NotSaved::Changed(_) => {
            "The file changed on disk while you were editing, so nothing was saved. The differences are below. Save \
            your text, keep the file, or merge them and save the result."
                .to_owned()
        }
        problem => format!("Nothing was saved: {problem}"),
    };
    let is_conflict = matches!(problem, NotSaved::Changed(_));
    let unsaved = Some(mine.replace("\r\n", "\n"));
    let edit = EditResult { message, is_conflict, unsaved };
    show(&site, &target, &Viewer { session, times }, Some(edit), &uri).await
}

async fn show(
    site: &Site,
    TargetBot { flock, bot, .. }: &TargetBot,
    viewer: &Viewer,
    edit: Option<EditResult>,
    uri: &Uri,
) -> Response {
    let query = Parameters::of_query(uri);
    let number = query.find("page").map_or(Some(1), |page| page.parse().ok()).unwrap_or(0);
    let Some((used, account)) = site.ledger_result(used_lines(site, bot).await) else {
        return ledger_unavailable(uri);
    };
    let poem = sources::read_file_async(&bot.poem, bot.split).await;
    let text = edit::read(&bot.poem).await;
    let lines = poem.as_ref().map_or(0, |poem| poem.entries().len());
    if !(1..=lines.div_ceil(LINES_PER_PAGE).max(1)).contains(&number) {
        return not_found(uri.clone()).await;
    }
    let is_unsaved = edit.as_ref().is_some_and(EditResult::failed);
    let status = if is_unsaved { StatusCode::CONFLICT } else { StatusCode::OK };
    let page = PoemPage { flock, bot, viewer, poem, text, used, account, number, edit };
    let layout = DashboardPage {
        title: &format!("The poem of {}", bot.name),
        root: "../../",
        nav: NavItem::None,
        refreshed_by: None,
        ticket: None,
        viewer,
    };
    layout.response(status, &content(&page))
}

async fn used_lines(site: &Site, bot: &Bot) -> Result<(HashSet<EntryId>, Option<Account>), StoreError> {
    Ok(match site.store.bot_record(&bot.name, site.now()).await? {
        Some(record) => (site.store.used(&bot.name, record.round).await?, record.account),
        None => Default::default(),
    })
}

fn content(page: &PoemPage<'_>) -> Markup {
    let bot = page.bot;
    let edit = page.edit.as_ref();
    let is_unsaved = edit.is_some_and(EditResult::failed);
    html! {
        div.top {
            h1 { "The poem of " a href={ "../" (bot.name) } { (bot.name) } }
            p { code { (bot.poem.display()) } @if layout::may_act(page.flock) && page.text.is_ok() { " · " a href="#edit" { "Edit" } } }
        }
        @if let Some(edit) = edit {
            p.outcome.bad[edit.failed()] role=(if edit.failed() { "alert" } else { "status" }) { (edit.message) }
        }
        @if let Some(edit) = edit.filter(|edit| edit.is_conflict) { (conflict(page, edit)) }
        @if is_unsaved { (editor(page)) }
        @match &page.poem {
            Ok(poem) => (lines(page, poem)),
            Err(problem) => p.bad { (problem.at(&bot.poem)) },
        }
        @if !is_unsaved { (editor(page)) }
    }
}

/// The differences between the person's text and the file, and the choices.
fn conflict(page: &PoemPage<'_>, edit: &EditResult) -> Markup {
    let (Ok(theirs), Some(mine)) = (&page.text, &edit.unsaved) else { return html! {} };
    html! {
        section.conflict aria-labelledby="difference" {
            h2 #difference { "Differences" }
            p.why {
                span.removed { "− only in the file" } " "
                span.added { "+ only in your text" }
            }
            (difference(&theirs.text, mine))
            div.buttons {
                form method="post" action="poem" {
                    (page.viewer.token_field())
                    input type="hidden" name="seen" value=(theirs.mark);
                    textarea hidden name="text" { "\n" (mine) }
                    button.danger { "Overwrite the file with mine" }
                }
                a.button href="poem" { "Keep the file, discard mine" }
                a href="#edit" { "Merge by hand" }
            }
        }
    }
}

/// A line-by-line difference, with some lines around each change.
fn difference(theirs: &str, mine: &str) -> Markup {
    let ended = |text: &str| format!("{}\n", text.trim_end_matches('\n'));
    let (theirs, mine) = (ended(theirs), ended(mine));
    let diff = TextDiff::configure().timeout(DIFF_TIMEOUT).diff_lines(&theirs, &mine);
    let groups = diff.grouped_ops(CONTEXT);
    html! {
        @if groups.is_empty() { p { "Only white space at the end differs." } }
        pre.difference tabindex="0" dir="auto" {
            @for (at, group) in groups.iter().enumerate() {
                @if at > 0 { span.gap { "⋯\n" } }
                @for op in group {
                    @for change in diff.iter_changes(op) {
                        @match change.tag() {
                            ChangeTag::Delete => del { "− " (change.value()) },
                            ChangeTag::Insert => ins { "+ " (change.value()) },
                            ChangeTag::Equal => span { "  " (change.value()) },
                        }
                    }
                }
            }
        }
    }
}

fn lines(page: &PoemPage<'_>, poem: &Poem) -> Markup {
    let (all, pages) = (poem.entries().len(), poem.entries().len().div_ceil(LINES_PER_PAGE));
    let shown = poem.entries().iter().skip((page.number - 1) * LINES_PER_PAGE).take(LINES_PER_PAGE);
    let used = poem.entries().iter().filter(|line| line.is_used(&page.used)).count();
    html! {
        section.poem aria-labelledby="lines" {
            h2 #lines { (counted(all, "line")) ", " (grouped(used)) " used in this round" }
            ol { @for line in shown { (poem_line(page, line)) } }
            @if pages > 1 {
                nav.pages aria-label="Pages of the poem" {
                    @if page.number > 1 { a rel="prev" href={ "poem?page=" (page.number - 1) } { "← Previous" } }
                    span { "Page " (page.number) " of " (pages) }
                    @if page.number < pages { a rel="next" href={ "poem?page=" (page.number + 1) } { "Next →" } }
                }
            }
        }
    }
}

fn poem_line(page: &PoemPage<'_>, line: &Entry) -> Markup {
    let is_used = line.is_used(&page.used);
    let problem = net::fit(page.bot, page.account.as_ref(), line).err();
    html! {
        li.used[is_used] value=(line.number) {
            (verse(&line.text))
            @if is_used { span.mark-used { "used" } }
            @if let Some(problem) = problem { p.bad { (problem) } }
        }
    }
}

fn editor(page: &PoemPage<'_>) -> Markup {
    if !layout::may_act(page.flock) {
        return html! {};
    }
    let text = match &page.text {
        Ok(text) => text,
        Err(problem) => return html! { section { h2 { "Edit" } p.bad { (problem) } } },
    };
    let unsaved = page.edit.as_ref().and_then(|edit| edit.unsaved.as_deref());
    html! {
        section.editor aria-labelledby="edit" {
            h2 #edit { "Edit" }
            form method="post" action="poem" {
                (page.viewer.token_field())
                input type="hidden" name="seen" value=(text.mark);
                label for="text" { "The whole file. A line that begins with # and a space is a comment." }
                // Browsers ignore a line break right after the tag, so the text gets an extra one.
                textarea #text name="text" rows="16" spellcheck="false" dir="auto" data-guarded {
                    "\n" (unsaved.unwrap_or(&text.text))
                }
                button.primary { "Save" }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_shows_both_sides_escaped() {
        let shown = difference("one\ntwo\n<three>\n", "one\ntwo & a half\n<three>").into_string();
        assert!(shown.contains("<del>− two\n</del><ins>+ two &amp; a half\n</ins>"), "{shown}");
        assert!(shown.contains("<span>  &lt;three&gt;\n</span>"), "{shown}");
        assert!(difference("one\n", "one").into_string().contains("Only white space"));
    }

    #[test]
    fn only_lines_near_a_change_are_shown() {
        let theirs: String = (0..1_000).map(|at| format!("line {at}\n")).collect();
        let mine = theirs.replace("line 10\n", "").replace("line 900\n", "another\n");
        let shown = difference(&theirs, &mine).into_string();
        assert!(
            shown.contains("line 12") && !shown.contains("line 13") && !shown.contains("line 500"),
            "{shown}"
        );
        assert_eq!(shown.matches("class=\"gap\"").count(), 1);
    }
}
