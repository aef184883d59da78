//! What stands for a bot or its days in a picture, made here: an avatar from its name, and a bar for each of the last days. A
//! picture from the network would tell that network who looks at the dashboard, and when.

use std::fmt::Write as _;

use maud::{Markup, html};
use sha2::{Digest as _, Sha256};

use crate::web::page::counted;

/// So many days have a bar.
pub(super) const DAYS: usize = 30;

/// The height of the bars' picture, and the room of a bar.
const HEIGHT: u64 = 20;
const STEP: usize = 3;

/// Grounds on which white letters are read well (at least 4.5 to 1), whatever is around them.
const GROUNDS: [&str; 16] = [
    "#a3262a", "#a8440b", "#7d5a00", "#5e6600", "#2f6b1d", "#0a6b4b", "#0b6672", "#0d5f9c", "#3a51b5",
    "#5f43b2", "#7f3a9e", "#9c2c78", "#7a4a3a", "#4a5a66", "#5a4a7a", "#3d5c3a",
];

/// The outlines of avatars, 24 wide and high.
const SHAPES: [&str; 6] = [
    // A circle, a square with round corners, a hexagon, a leaf, a shield, an octagon.
    "M12 0a12 12 0 1 1 0 24a12 12 0 1 1 0-24z",
    "M4 1h16a3 3 0 0 1 3 3v16a3 3 0 0 1-3 3h-16a3 3 0 0 1-3-3v-16a3 3 0 0 1 3-3z",
    "M12 0l11 6v12l-11 6l-11-6v-12z",
    "M1 1h11a11 11 0 0 1 11 11v11h-11a11 11 0 0 1-11-11z",
    "M1 2h22v11a11 11 0 0 1-22 0z",
    "M7 0h10l7 7v10l-7 7h-10l-7-7v-10z",
];

/// What a bot's avatar is made of: the same for the same name, always.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Look {
    shape: usize,
    ground: usize,
    letters: String,
}

impl Look {
    fn of(name: &str) -> Self {
        let digest = Sha256::digest(name);
        let hash = usize::from(u16::from_be_bytes([digest[0], digest[1]]));
        let (shape, ground) = (hash % SHAPES.len(), hash / SHAPES.len() % GROUNDS.len());
        Self { shape, ground, letters: letters(name) }
    }
}

/// The initials of a name of several words, its last number whole, or the first letters of a single word.
fn letters(name: &str) -> String {
    let mut words = name.split(['-', '_']).filter(|word| !word.is_empty());
    let (first, last) = (words.next().unwrap_or("·"), words.next_back());
    let letters: String = match last {
        None => first.chars().take(2).collect(),
        Some(last) => {
            let digits = last.len() - last.trim_end_matches(|c: char| c.is_ascii_digit()).len();
            let tail = match digits {
                0 => &last[..1],
                digits => &last[last.len() - digits.min(2)..],
            };
            format!("{}{tail}", &first[..first.chars().next().map_or(0, char::len_utf8)])
        }
    };
    letters.to_uppercase()
}

/// The avatar of a bot.
pub(super) fn avatar(name: &str) -> Markup {
    let look = Look::of(name);
    html! {
        svg.picture viewBox="0 0 24 24" aria-hidden="true" {
            path d=(SHAPES[look.shape]) fill=(GROUNDS[look.ground]) {}
            text x="12" y="16" text-anchor="middle" { (look.letters) }
        }
    }
}

/// The last days of a bot, the newest at the right, in bars and in words.
pub(super) fn days(counts: &[u64]) -> Markup {
    let (sum, most) = (counts.iter().sum::<u64>(), counts.iter().copied().max().unwrap_or(0));
    let label = format!(
        "{} sent in {} days",
        counted(usize::try_from(sum).unwrap_or(usize::MAX), "post"),
        counts.len()
    );
    let mut bars = String::new();
    for (at, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        // The smallest is still seen.
        let height = (count * (HEIGHT - 2)).div_ceil(most.max(1)) + 1;
        // Writing to a string can't fail.
        let _ = write!(bars, "M{} {HEIGHT}v-{height}", at * STEP + 1);
    }
    html! {
        svg.days viewBox={ "0 0 " (counts.len() * STEP) " " (HEIGHT) } role="img" aria-label=(label) {
            path d=(bars) {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn forty_one_bots_are_told_apart() {
        let birds: Vec<String> = (1..=41).map(|at| format!("bird-{at}")).collect();
        let looks: HashSet<Look> = birds.iter().map(|name| Look::of(name)).collect();
        assert_eq!(looks.len(), 41);
        let named = [
            "walt",
            "emily",
            "sylvia",
            "anne",
            "allen",
            "basho",
            "issa",
            "buson",
            "rumi",
            "hafez",
            "sappho",
            "homer",
            "dante",
            "blake",
            "keats",
            "byron",
            "shelley",
            "yeats",
            "auden",
            "eliot",
            "pound",
            "frost",
            "rilke",
            "celan",
            "heine",
            "goethe",
            "villon",
            "verlaine",
            "rimbaud",
            "lorca",
            "neruda",
            "paz",
            "pessoa",
            "cavafy",
            "seferis",
            "akhmatova",
            "tsvetaeva",
            "pushkin",
            "milosz",
            "szymborska",
            "transtromer",
        ];
        let looks: HashSet<Look> = named.iter().map(|name| Look::of(name)).collect();
        assert_eq!(looks.len(), 41);
        // Not by their letters alone.
        let drawn: HashSet<(usize, usize)> =
            birds.iter().map(|name| (Look::of(name).shape, Look::of(name).ground)).collect();
        assert!(drawn.len() >= 28, "{} of 96 are used", drawn.len());
    }

    #[test]
    fn letters_are_read_on_every_ground() {
        let channel = |hex: &str| {
            let value = f64::from(u8::from_str_radix(hex, 16).unwrap()) / 255.0;
            if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        for ground in GROUNDS {
            let light = 0.2126 * channel(&ground[1..3])
                + 0.7152 * channel(&ground[3..5])
                + 0.0722 * channel(&ground[5..7]);
            let contrast = 1.05 / (light + 0.05);
            assert!(contrast >= 4.5, "{ground}: {contrast:.2}");
        }
    }

    #[test]
    fn letters_come_from_words_and_numbers() {
        assert_eq!(letters("walt"), "WA");
        assert_eq!(letters("bird-7"), "B7");
        assert_eq!(letters("bird-1041"), "B41");
        assert_eq!(letters("night_tide_lines"), "NL");
        assert_eq!(letters("x"), "X");
        assert_eq!(letters("--"), "·");
    }

    #[test]
    fn bars_are_said_in_words_too() {
        let shown = days(&[0, 1, 40]).into_string();
        assert!(shown.contains("aria-label=\"41 posts sent in 3 days\""), "{shown}");
        assert!(shown.contains("d=\"M4 20v-2M7 20v-19\""), "{shown}");
        assert!(days(&[0; DAYS]).into_string().contains("0 posts sent in 30 days"));
    }
}
