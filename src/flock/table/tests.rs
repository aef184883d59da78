//! Tables as a poem reads them.

use crate::flock::content::{Content, Medium, Part};
use crate::flock::poem::{Entry, EntryKey, Poem, PoemError, Split};

fn texts(table: &str, split: Split) -> Vec<(usize, String)> {
    let poem = Poem::parse(table.as_bytes(), split).unwrap();
    poem.entries().iter().map(|line| (line.number, line.text.clone())).collect()
}

#[track_caller]
fn check(table: &str, split: Split, expect: &[(usize, &str)]) {
    let expect: Vec<_> = expect.iter().map(|(number, text)| (*number, (*text).to_owned())).collect();
    assert_eq!(texts(table, split), expect, "{table:?}");
}

#[track_caller]
fn complaint(table: &str, split: Split) -> (usize, String) {
    let error = Poem::parse(table.as_bytes(), split).unwrap_err();
    (error.line(), error.to_string())
}

#[test]
fn csv_is_read_as_spreadsheets_write_it() {
    // LibreOffice, Numbers; Excel in a country of decimal commas; Excel with its hint; by hand.
    check("text,id\none,1\n\"two, three\",2\n", Split::Csv, &[(2, "one"), (3, "two, three")]);
    check(
        "\u{feff}ID;Text\r\n1;one, two\r\n2;\"a \"\"b\"\"\"\r\n",
        Split::Csv,
        &[(2, "one, two"), (3, "a \"b\"")],
    );
    check("sep=;\r\ntext;n\r\na,b;1\r\n", Split::Csv, &[(3, "a,b")]);
    check("sep=|\ntext|n\na;b|1\n", Split::Csv, &[(3, "a;b")]);
    check("text\tn\na, b\t1\n", Split::Csv, &[(2, "a, b")]);
    check("text\none, two\n", Split::Tsv, &[(2, "one, two")]);
    check(" TEXT \n\n\" one \r\n two \"\n,\n\nthree", Split::Csv, &[(3, "one\n two"), (7, "three")]);
}

#[test]
fn json_lines_are_rows() {
    let table = "{\"text\": \"one\\ntwo\", \"id\": 7}\n\n{\"n\": [1], \"Text\": \"three\", \"alt\": null, \"image\": []}\n";
    check(table, Split::JsonLines, &[(1, "one\ntwo"), (3, "three")]);
}

#[test]
fn a_weight_is_a_number_of_copies() {
    let poem = Poem::parse(b"text,weight\na,\nb,3\na,1\n", Split::Csv).unwrap();
    let copies: Vec<_> =
        poem.entries().iter().map(|line| (line.text.as_str(), line.id.occurrence, line.number)).collect();
    assert_eq!(copies, [("a", 1, 2), ("b", 1, 3), ("b", 2, 3), ("b", 3, 3), ("a", 2, 4)]);
    for weight in ["0", "-1", "1.5", "1001", "x", "99999999999999999999999"] {
        let (line, reason) = complaint(&format!("text,weight\na,1\nb,{weight}\n"), Split::Csv);
        assert_eq!(line, 3, "{weight}");
        assert!(reason.contains("`weight`"), "{reason}");
    }
}

#[test]
fn a_text_is_the_same_line_whatever_file_it_is_in() {
    let id = |file: &str, split| Poem::parse(file.as_bytes(), split).unwrap().entries()[0].id;
    let line = id("one lamp\n", Split::Line);
    assert_eq!(id("text\n one  lamp \n", Split::Csv), line);
    assert_eq!(id("{\"text\":\"one lamp\"}", Split::JsonLines), line);
}

#[test]
fn what_is_wrong_with_a_table_is_said_with_its_line() {
    for (table, split, line, say) in [
        ("id,quote\n1,a\n", Split::Csv, 1, "`id`, `quote`"),
        ("text,Text\na,b\n", Split::Csv, 1, "two columns `text`"),
        ("text,n\na,1\nb\n", Split::Csv, 3, "1 field, and the header 2 columns"),
        ("text,n\nrain, rain,1\n", Split::Csv, 2, "3 fields"),
        ("text,n\n,1\n", Split::Csv, 2, "no text"),
        ("text,n\n\"a\nb,1\nc,2\n", Split::Csv, 2, "never ends"),
        ("text,n\n\"a\n\nb\" c,1\n", Split::Csv, 4, "double each quote"),
        ("text,n\na \"b\",1\n", Split::Csv, 2, "put the text in quotes"),
        ("text,image\na,owl.jpg\n,\nb,../owl.jpg\n", Split::Csv, 4, "outside"),
        ("text,image\na,owl.heic\n", Split::Csv, 2, "JPEG or PNG"),
        ("text,alt2\na,an owl\n", Split::Csv, 2, "`alt2`"),
        ("text,image,alt\na,,an owl\n", Split::Csv, 2, "`image`"),
        ("image,alt\n,\n,an owl\n", Split::Csv, 3, "`image`"),
        ("text,image,image1\na,,\n", Split::Csv, 1, "two columns `image`"),
        ("text,date\na,12-24\nb,2026-02-30\n", Split::Csv, 3, "\"2026-02-30\" is none"),
        ("text,date,weight\na,12-24,2\n", Split::Csv, 2, "`weight`"),
        ("text,sensitive\na,maybe\n", Split::Csv, 2, "`sensitive`"),
        ("text,language\na,english\n", Split::Csv, 2, "`language`"),
        ("text,parts\na,b\n", Split::Csv, 2, "`parts`"),
        ("text,id\na,7\nb,8\n\"c\nd\",7\n", Split::Csv, 4, "`id` of line 2"),
        ("{\"text\":\"a\",\"id\":7}\n{\"text\":\"b\",\"id\":\"7\"}\n", Split::JsonLines, 2, "`id` of line 1"),
        ("sep=ä\ntext\na\n", Split::Csv, 1, "can't separate"),
        ("text\na\n{\n", Split::JsonLines, 1, "no JSON object"),
        ("{\"text\":\"a\"}\n{\"text\":7}\n", Split::JsonLines, 2, "in quotes"),
        ("{\"text\":\"a\"}\n{\"n\":7}\n", Split::JsonLines, 2, "no text"),
        ("{\"text\":\"a\"}\n[1]\n", Split::JsonLines, 2, "no JSON object"),
        ("{\"parts\":[{\"text\":\"a\"}],\"text\":\"b\"}\n", Split::JsonLines, 1, "`parts`"),
        ("{\"parts\":[{\"text\":\"a\"},{\"n\":1}]}\n", Split::JsonLines, 1, "no text"),
        ("{\"parts\":[\"a\"]}\n", Split::JsonLines, 1, "`parts`"),
        ("{\"parts\":{\"text\":\"a\"}}\n", Split::JsonLines, 1, "`parts`"),
        ("{\"text\":\"a\",\"image\":[1]}\n", Split::JsonLines, 1, "`image`"),
        ("{\"text\":\"a\",\"image\":[\"a.jpg\"],\"alt\":[\"a\",\"b\"]}\n", Split::JsonLines, 1, "`alt`"),
        ("{\"text\":\"a\",\"Text\":\"b\"}\n", Split::JsonLines, 1, "two values"),
        ("{\"text\":\"a\",\"image\":\"a.jpg\",\"alt\":\"\\u0007\"}\n", Split::JsonLines, 1, "U+0007"),
        ("{\"text\":\"a\\u0007\"}\n", Split::JsonLines, 1, "U+0007"),
    ] {
        let (at, reason) = complaint(table, split);
        assert_eq!(at, line, "{table:?}: {reason}");
        assert!(reason.contains(say), "{table:?}: {reason}");
    }
    assert_eq!(Poem::parse(b"", Split::Csv), Err(PoemError::Empty));
    assert_eq!(Poem::parse(b"text,n\n,\n\n", Split::Csv), Err(PoemError::Empty));
}

fn entries(table: &str, split: Split) -> Vec<Entry> {
    Poem::parse(table.as_bytes(), split).unwrap().entries().to_vec()
}

#[test]
fn rows_have_pictures_and_say_how_they_are_shown() {
    let table = "Text;IMAGE;alt;image2;Alt2;spoiler_text;sensitive;language\n\
        one;owl.jpg;an owl;./b/barn.png;a barn;birds;yes;de, en\n;owl.jpg;;;;;;\ntwo;;;3.gif;a film;;false;\nthree;;;;;;;\n";
    let [one, bare, two, three] = &entries(table, Split::Csv)[..] else { panic!("four rows") };
    let medium = |name: &str, alt: &str| Medium { name: name.into(), alt: alt.into(), digest: None };
    assert_eq!(
        one.content.as_deref(),
        Some(&Content {
            parts: vec![Part {
                text: "one".into(),
                media: vec![medium("owl.jpg", "an owl"), medium("b/barn.png", "a barn")]
            }],
            spoiler_text: Some("birds".into()),
            sensitive: true,
            languages: vec!["de".into(), "en".into()],
        })
    );
    assert_eq!(one.id.key, EntryKey::with_pictures("one", &["owl.jpg", "b/barn.png"]));
    assert!(bare.text.is_empty() && bare.lacks_alt() && !one.lacks_alt());
    assert_eq!(two.content.as_ref().unwrap().parts[0].media, [medium("3.gif", "a film")]);
    assert_eq!((&three.content, three.id.key), (&None, EntryKey::of("three")));
}

#[test]
fn json_rows_have_lists_and_parts() {
    let table = "{\"text\":\"one\",\"image\":[\"a.jpg\",\"b.jpg\"],\"alt\":[\"an a\",null],\"sensitive\":true,\"language\":[\"en\"]}\n\
        {\"parts\":[{\"text\":\"one\",\"image\":\"a.jpg\",\"alt\":\"an a\"},{\"text\":\"two\"}],\"spoiler_text\":\"a story\"}\n";
    let [one, thread] = &entries(table, Split::JsonLines)[..] else { panic!("two rows") };
    let content = one.content.as_ref().unwrap();
    assert!(content.sensitive && content.languages == ["en"]);
    let shown: Vec<_> = content.media().map(|medium| (medium.name.as_str(), medium.alt.as_str())).collect();
    assert_eq!(shown, [("a.jpg", "an a"), ("b.jpg", "")]);
    assert_eq!(thread.text, "one\n\ntwo");
    assert_eq!(thread.content.as_ref().unwrap().spoiler_text.as_deref(), Some("a story"));
    let stanza = Poem::parse(b"one ![another a](a.jpg)\n---\ntwo\n", Split::Stanza).unwrap();
    assert_eq!(stanza.entries()[0].id, thread.id, "a thread is the same one in a text file");
}

#[test]
fn an_id_is_the_identity_and_the_text_counts_too() {
    let before = entries("text\none\ntwo\none\n", Split::Csv);
    let after = entries("text,id\none,1\ntwo,b\none,3\n", Split::Csv);
    for (before, after) in before.iter().zip(&after) {
        assert_eq!((after.also, after.id.key == before.id.key), (Some(before.id), false));
        assert!(after.content.is_some() && after.is_used(&[before.id].into()));
    }
    let edited = entries("text,id\nsomething else,1\ntwo,\n", Split::Csv);
    assert_eq!((edited[0].id, edited[1].id), (after[0].id, before[1].id));
    let json = entries("{\"id\":1,\"text\":\"one\"}\n", Split::JsonLines);
    assert_eq!(json[0].id, after[0].id);
}

#[test]
fn a_dated_row_is_told_from_others() {
    let table = entries("text,date\none,2026-12-24\ntwo,02-29\nthree,\n", Split::Csv);
    let dates: Vec<_> = table.iter().map(|entry| entry.date.map(|date| date.to_string())).collect();
    assert_eq!(dates, [Some("2026-12-24".to_owned()), Some("02-29".to_owned()), None]);
    let with_content: Vec<bool> = table.iter().map(|entry| entry.content.is_some()).collect();
    assert_eq!(with_content, [true, true, false]);
    assert_eq!(table[0].id.key, EntryKey::of("one"), "the day on which it is used makes the difference");
}

/// How long it takes is measured with `--ignored --nocapture`, in a release build.
#[test]
#[ignore = "a measurement"]
fn a_million_rows() {
    let rows: String = (0..1_000_000).map(|n| format!("text {n},p/{n}.jpg,alt {n},{n}\n")).collect();
    let table = format!("text,image,alt,id\n{rows}");
    let begun = std::time::Instant::now();
    let poem = Poem::parse(table.as_bytes(), Split::Csv).unwrap();
    println!("{} rows of {} bytes in {:?}", poem.entries().len(), table.len(), begun.elapsed());
}

proptest::proptest! {
    /// Whatever the texts are, what a writer of CSV has written is read as it was.
    #[test]
    fn what_was_written_is_read(
        rows in proptest::collection::vec("[ -~äé詩\n]{0,20}[a-z]", 1..20),
        separator in proptest::sample::select(vec![b',', b';', b'\t']),
        crlf: bool,
    ) {
        let mut writer = csv::WriterBuilder::new()
            .delimiter(separator)
            .terminator(if crlf { csv::Terminator::CRLF } else { csv::Terminator::Any(b'\n') })
            .from_writer(Vec::new());
        writer.write_record(["n", "text", "more"]).unwrap();
        for (at, text) in rows.iter().enumerate() {
            writer.write_record([&at.to_string(), text, "-"]).unwrap();
        }
        let table = writer.into_inner().unwrap();
        let read = Poem::parse(&table, Split::Csv).unwrap();
        let read: Vec<String> = read.entries().iter().map(|line| line.text.clone()).collect();
        let trimmed = |text: &String| text.trim().lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
        let written: Vec<String> = rows.iter().map(trimmed).collect();
        proptest::prop_assert_eq!(read, written);
    }
}
