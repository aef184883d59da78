//! What posts say besides a single text, on the dashboard's pages: their parts, and their pictures by name and description.

use maud::{Markup, html};

use crate::flock::content::{Content, Medium};
use crate::flock::post::State;
use crate::flock::thread::Thread;
use crate::health::threads::{PartView, ThreadView};
use crate::web::page::external_link;
use crate::web::posts::{title, verse};

/// Pictures, each with its description.
pub(super) fn pictures(media: &[Medium]) -> Markup {
    html! {
        @if !media.is_empty() {
            ul.attached aria-label="Pictures" {
                @for Medium { name, alt, .. } in media {
                    li { bdi.name { (name) } @if !alt.is_empty() { ": " bdi lang="" { (alt) } } }
                }
            }
        }
    }
}

/// A post to come: what its headline leaves out.
pub(super) fn beyond_headline(content: Option<&Content>) -> Markup {
    let Some(content) = content else { return html! {} };
    html! {
        @if let [part] = &content.parts[..] { (pictures(&part.media)) }
        @else {
            ol.parts aria-label="Parts" {
                @for part in &content.parts {
                    li { bdi.said lang="" { (title(&part.text)) } (pictures(&part.media)) }
                }
            }
        }
    }
}

/// A post of the history with all its parts.
pub(super) fn whole(thread: &ThreadView<'_>) -> Markup {
    html! {
        @match &thread.parts()[..] {
            [] => p.none { "No line." },
            [part] => (part_body(part)),
            parts => ol.parts {
                @for part in parts {
                    li { (part_body(part)) @if thread.progress() != Thread::Single { (place(part)) } }
                }
            }
        }
    }
}

fn part_body(part: &PartView<'_>) -> Markup {
    html! {
        @if !part.text.is_empty() || part.media.is_empty() { (verse(part.text)) }
        (pictures(part.media))
    }
}

/// The state of a part, and where it is.
fn place(part: &PartView<'_>) -> Markup {
    html! {
        p.by {
            @match part.post {
                Some(post) => {
                    span.state.{ "was-" (post.state.as_str()) } { (post.state.as_str()) }
                    @if post.state == State::Posted && post.url.is_some() {
                        " " (external_link(post.url.as_deref(), "view"))
                    }
                },
                None => "not begun",
            }
        }
    }
}

/// How far a thread has come, while it is not whole.
pub(super) fn progress(thread: &ThreadView<'_>) -> Option<String> {
    let is_begun = matches!(thread.head.state, State::Posted | State::Deleted);
    let is_open = matches!(thread.progress(), Thread::Going | Thread::Partial);
    (is_begun && is_open).then(|| format!("{} of {} parts", thread.posted(), thread.head.parts()))
}
