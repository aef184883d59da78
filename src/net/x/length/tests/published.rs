//! The conformance cases of twitter-text, when they are at hand.

use std::path::PathBuf;

use yaml_rust2::{Yaml, YamlLoader};

use super::super::{LINK, count, glyphs, judge, weight, weighted};

/// Weights one character at a time: the configuration before v3, which took emoji apart.
fn letters(text: &str) -> usize {
    text.chars().map(weight).sum()
}

#[test]
fn published_cases() {
    let path = std::env::var_os("FLOCKD_TWITTER_TEXT_CASES").map_or_else(
        || {
            let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
            root.join("../shared/data/twitter-text-validate.yml")
        },
        PathBuf::from,
    );
    let Ok(cases) = std::fs::read_to_string(&path) else {
        println!("the published cases were not at hand: {}", path.display());
        return;
    };
    let cases = &YamlLoader::load_from_str(&cases).unwrap()[0]["tests"];
    let ran = section(&cases["WeightedTweetsCounterTest"], letters)
        + section(&cases["WeightedTweetsWithDiscountedEmojiCounterTest"], glyphs)
        + section(&cases["UnicodeDirectionalMarkerCounterTest"], glyphs);
    assert_eq!(ran, 44);
    assert_eq!(links_without_scheme(&cases["urls_without_protocol"]), 5);
}

/// Runs the cases of a section and says how many there were.
fn section(cases: &Yaml, plain: fn(&str) -> usize) -> usize {
    let cases = cases.as_vec().unwrap();
    for case in cases {
        let (text, expected) = (case["text"].as_str().unwrap(), &case["expected"]);
        let what = case["description"].as_str().unwrap();
        let length = count(text, plain);
        assert_eq!(i64::try_from(length).ok(), expected["weightedLength"].as_i64(), "{what}");
        assert_eq!(Some(judge(text, length).is_ok()), expected["valid"].as_bool(), "{what}");
    }
    cases.len()
}

/// Checks that each case is a link from end to end.
fn links_without_scheme(cases: &Yaml) -> usize {
    let cases = cases.as_vec().unwrap();
    for case in cases {
        let text = case["text"].as_str().unwrap();
        assert_eq!(weighted(text), LINK, "{text}");
    }
    cases.len()
}
