//! The page of a bot's poem: which lines are used and which are not, which are too long for its network; and its text to edit.
//! How a text is put in a file's place is `sources::edit`'s business.

use std::collections::HashSet;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use maud::{Markup, html};
use similar::{ChangeTag, TextDiff};

use super::frame::{self, Frame, Part};
use super::here::Here;
use crate::flock::account::Account;
use crate::flock::poem::{Line, LineId, Poem};
use crate::flock::{Bot, Flock};
use crate::net;
use crate::sources::edit::{self, Manuscript, NotSaved, Unusable};
use crate::sources::{self, SourceError};
use crate::store::StoreError;
use crate::web::auth::{Form, Pass, Signed, fields};
use crate::web::page::{counted, grouped, verse};
use crate::web::times::Times;
use crate::web::{Site, answer, not_found, troubled};

/// So many lines around each difference are shown.
const CONTEXT: usize = 2;
/// How long a shorter difference is looked for.
const DIFF_TIME: Duration = Duration::from_millis(200);

/// How many lines a page lists.
const LINES_A_PAGE: usize = 200;

/// What the page shows.
struct View<'a> {
    flock: &'a Flock,
    bot: &'a Bot,
    pass: &'a Pass,
    times: &'a Times,
    poem: Result<Poem, SourceError>,
    text: Result<Manuscript, Unusable>,
    used: HashSet<LineId>,
    account: Option<Account>,
    page: usize,
    /// What is to be said about an edit before.
    word: Option<Word>,
}

/// What is to be said about an edit.
struct Word {
    said: String,
    is_bad: bool,
    /// Whether the file has changed under them.
    is_conflict: bool,
    /// What somebody wrote that was not saved.
    unsaved: Option<String>,
}

/// `GET /bots/{name}/poem`.
pub(super) async fn page(
    State(site): State<Site>,
    Extension(pass): Extension<Pass>,
    times: Times,
    here: Here,
    uri: Uri,
) -> Response {
    let query = fields(uri.query().unwrap_or_default().as_bytes());
    let word = query.find("saved").map(|_| {
        let said = "Saved. The next slot uses the new version.".to_owned();
        Word { said, is_bad: false, is_conflict: false, unsaved: None }
    });
    show(&site, &here, (&pass, &times), &query, word, &uri).await
}

/// `POST /bots/{name}/poem`: puts what somebody has written in the file's place, if that is still what they saw.
pub(super) async fn save(
    State(site): State<Site>,
    here: Here,
    times: Times,
    uri: Uri,
    Signed { form, pass }: Signed,
) -> Response {
    let bot = &here.bot;
    let (path, split) = (bot.poem.clone(), bot.split);
    let (seen, text) = (form.get("seen").to_owned(), form.get("text").to_owned());
    let mine = text.clone();
    let problem = match edit::save_in_time(&path, split, seen, text).await {
        Ok(()) => {
            tracing::info!(bot = %bot.name, "the poem was edited on the dashboard");
            return answer::see_other("poem?saved=yes");
        }
        Err(problem) => problem,
    };
    let said = match &problem {
        NotSaved::Changed(_) => {
            "The file changed on disk while you were editing, so nothing was saved. The differences are below. Save \
            your text, keep the file, or merge them and save the result."
                .to_owned()
        }
        problem => format!("Nothing was saved: {problem}"),
    };
    let is_conflict = matches!(problem, NotSaved::Changed(_));
    let word = Word { said, is_bad: true, is_conflict, unsaved: Some(mine.replace("\r\n", "\n")) };
    show(&site, &here, (&pass, &times), &fields(b""), Some(word), &uri).await
}

async fn show(
    site: &Site,
    Here { flock, bot, .. }: &Here,
    (pass, times): (&Pass, &Times),
    query: &Form,
    word: Option<Word>,
    uri: &Uri,
) -> Response {
    let page = query.find("page").map_or(Some(1), |page| page.parse().ok()).unwrap_or(0);
    let status =
        if word.as_ref().is_some_and(|word| word.is_bad) { StatusCode::CONFLICT } else { StatusCode::OK };
    let Some(known) = site.heard(known(site, bot).await) else { return troubled(uri) };
    let poem = sources::read_file_async(&bot.poem, bot.split).await;
    let text = edit::read(&bot.poem).await;
    let lines = poem.as_ref().map_or(0, |poem| poem.lines().len());
    if !(1..=lines.div_ceil(LINES_A_PAGE).max(1)).contains(&page) {
        return not_found(uri.clone()).await;
    }
    let (used, account) = known;
    let view = View { flock, bot, pass, times, poem, text, used, account, page, word };
    answer::board(status, markup(&view))
}

async fn known(site: &Site, bot: &Bot) -> Result<(HashSet<LineId>, Option<Account>), StoreError> {
    Ok(match site.store.bot_record(&bot.name, site.clock.now()).await? {
        Some(standing) => (site.store.used(&bot.name, standing.round).await?, standing.account),
        None => Default::default(),
    })
}

fn markup(view: &View<'_>) -> Markup {
    let bot = view.bot;
    let title = format!("The poem of {}", bot.name);
    let frame = Frame {
        title: &title,
        root: "../../",
        part: Part::Other,
        news: None,
        ticket: None,
        pass: view.pass,
        times: view.times,
    };
    let body = html! {
        div.top {
            h1 { "The poem of " a href={ "../" (bot.name) } { (bot.name) } }
            p { code { (bot.poem.display()) } @if frame::may_act(view.flock) && view.text.is_ok() { " · " a href="#edit" { "Edit" } } }
        }
        @if let Some(word) = &view.word {
            p.outcome.bad[word.is_bad] role=(if word.is_bad { "alert" } else { "status" }) { (word.said) }
        }
        @if let Some(word) = view.word.as_ref().filter(|word| word.is_conflict) { (conflict(view, word)) }
        @if view.word.as_ref().is_some_and(|word| word.unsaved.is_some()) { (editor(view)) }
        @match &view.poem {
            Ok(poem) => (lines(view, poem)),
            Err(problem) => p.bad { (problem.at(&bot.poem)) },
        }
        @if view.word.as_ref().is_none_or(|word| word.unsaved.is_none()) { (editor(view)) }
    };
    frame::layout(&frame, &body)
}

/// How what somebody wrote differs from what the file says now, and the ways on.
fn conflict(view: &View<'_>, word: &Word) -> Markup {
    let (Ok(theirs), Some(mine)) = (&view.text, &word.unsaved) else { return html! {} };
    html! {
        section.conflict aria-labelledby="difference" {
            h2 #difference { "What differs" }
            p.why {
                span.removed { "− only in the file" } " "
                span.added { "+ only in your text" }
            }
            (difference(&theirs.text, mine))
            div.buttons {
                form method="post" action="poem" {
                    (frame::token(view.pass))
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

/// A difference line by line, with some lines around each change.
fn difference(theirs: &str, mine: &str) -> Markup {
    let ended = |text: &str| format!("{}\n", text.trim_end_matches('\n'));
    let (theirs, mine) = (ended(theirs), ended(mine));
    let diff = TextDiff::configure().timeout(DIFF_TIME).diff_lines(&theirs, &mine);
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

fn lines(view: &View<'_>, poem: &Poem) -> Markup {
    let (all, pages) = (poem.lines().len(), poem.lines().len().div_ceil(LINES_A_PAGE));
    let shown = poem.lines().iter().skip((view.page - 1) * LINES_A_PAGE).take(LINES_A_PAGE);
    let used = poem.lines().iter().filter(|line| view.used.contains(&line.id)).count();
    html! {
        section.poem aria-labelledby="lines" {
            h2 #lines { (counted(all, "line")) ", " (grouped(used)) " used in this round" }
            ol { @for line in shown { (one(view, line)) } }
            @if pages > 1 {
                nav.leaves aria-label="Pages of the poem" {
                    @if view.page > 1 { a rel="prev" href={ "poem?page=" (view.page - 1) } { "← Previous" } }
                    span { "Page " (view.page) " of " (pages) }
                    @if view.page < pages { a rel="next" href={ "poem?page=" (view.page + 1) } { "Next →" } }
                }
            }
        }
    }
}

fn one(view: &View<'_>, line: &Line) -> Markup {
    let is_used = view.used.contains(&line.id);
    let misfit = net::validate(view.bot, view.account.as_ref(), &line.text).err();
    html! {
        li.used[is_used] value=(line.number) {
            (verse(&line.text))
            @if is_used { span.mark-used { "used" } }
            @if let Some(misfit) = misfit { p.bad { (misfit) } }
        }
    }
}

fn editor(view: &View<'_>) -> Markup {
    if !frame::may_act(view.flock) {
        return html! {};
    }
    let text = match &view.text {
        Ok(text) => text,
        Err(problem) => return html! { section { h2 { "Edit" } p.bad { (problem) } } },
    };
    let unsaved = view.word.as_ref().and_then(|word| word.unsaved.as_deref());
    html! {
        section.editor aria-labelledby="edit" {
            h2 #edit { "Edit" }
            form method="post" action="poem" {
                (frame::token(view.pass))
                input type="hidden" name="seen" value=(text.mark);
                label for="text" { "The whole file. A line that begins with # and a space is a comment." }
                // A line break right behind the tag is not part of the text, so one more stands there.
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
    fn a_difference_names_both_sides_and_escapes_them() {
        let shown = difference("one\ntwo\n<three>\n", "one\ntwo & a half\n<three>").into_string();
        assert!(shown.contains("<del>− two\n</del><ins>+ two &amp; a half\n</ins>"), "{shown}");
        assert!(shown.contains("<span>  &lt;three&gt;\n</span>"), "{shown}");
        assert!(difference("one\n", "one").into_string().contains("Only white space"));
    }

    #[test]
    fn far_from_a_change_nothing_is_shown() {
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
