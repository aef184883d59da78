//! Tables as a poem reads them.

use crate::flock::poem::{Poem, PoemError, Split};

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
        ("text,image\na,owl.jpg\n", Split::Csv, 2, "`image`"),
        ("text,alt2\na,an owl\n", Split::Csv, 2, "`alt2`"),
        ("text,date\na,12-24\n", Split::Csv, 2, "`date`"),
        ("sep=ä\ntext\na\n", Split::Csv, 1, "can't separate"),
        ("text\na\n{\n", Split::JsonLines, 1, "no JSON object"),
        ("{\"text\":\"a\"}\n{\"text\":7}\n", Split::JsonLines, 2, "in quotes"),
        ("{\"text\":\"a\"}\n{\"n\":7}\n", Split::JsonLines, 2, "no text"),
        ("{\"text\":\"a\"}\n[1]\n", Split::JsonLines, 2, "no JSON object"),
        ("{\"parts\":[{\"text\":\"a\"}]}\n", Split::JsonLines, 1, "`parts`"),
        ("{\"text\":\"a\\u0007\"}\n", Split::JsonLines, 1, "U+0007"),
    ] {
        let (at, reason) = complaint(table, split);
        assert_eq!(at, line, "{table:?}: {reason}");
        assert!(reason.contains(say), "{table:?}: {reason}");
    }
    assert_eq!(Poem::parse(b"", Split::Csv), Err(PoemError::Empty));
    assert_eq!(Poem::parse(b"text,n\n,\n\n", Split::Csv), Err(PoemError::Empty));
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
