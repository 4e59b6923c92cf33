//! Lines of text files: every line once for any splits, compressed files, long lines, wrong bytes.

mod common;

use common::{file, folder, gzip, read_all, read_error, zstd};
use flinkrs_connectors::{FileInput, TextInput};
use flinkrs_core::source::{InputFormat, SplitReader};
use flinkrs_core::types::Text;
use proptest::prelude::*;

fn strings(lines: Vec<Text>) -> Vec<String> {
    lines.into_iter().map(String::from).collect()
}

fn lines_of(content: &str) -> Vec<String> {
    let mut lines: Vec<&str> = content.split('\n').collect();
    if lines.last() == Some(&"") {
        lines.pop();
    }
    lines.into_iter().map(|line| line.strip_suffix('\r').unwrap_or(line).to_owned()).collect()
}

#[test]
fn line_ends() {
    let folder = folder();
    for (content, expected) in [
        ("", vec![]),
        ("\n", vec![""]),
        ("a", vec!["a"]),
        ("a\n", vec!["a"]),
        ("a\r\nb\r\n\r\n", vec!["a", "b", ""]),
        ("a\n\nb", vec!["a", "", "b"]),
        ("a\rb\n", vec!["a\rb"]),
    ] {
        let path = file(&folder, "x.txt", content);
        assert_eq!(strings(read_all(&TextInput::new(path), 1).expect("reads")), expected, "{content:?}");
    }
}

#[test]
fn gzip_and_zstd_of_several_members() {
    let folder = folder();
    let (first, second) = ("one\ntwo\nthr", "ee\nfour");
    file(&folder, "a.gz", [gzip(first.as_bytes()), gzip(second.as_bytes())].concat());
    file(&folder, "b.zst", [zstd(first.as_bytes()), zstd(second.as_bytes())].concat());
    file(&folder, "c.gzip", gzip(b""));
    file(&folder, "d.zstd", zstd(b""));
    let input = TextInput::new(FileInput::new(folder.path()).split_bytes(5));
    let splits = input.splits(8).expect("splits");
    assert_eq!(splits.len(), 4, "compressed files aren't cut");
    let expected = ["one", "two", "three", "four", "one", "two", "three", "four"];
    assert_eq!(strings(read_all(&input, 8).expect("reads")), expected);
}

#[test]
fn a_damaged_archive_names_its_file() {
    let folder = folder();
    let mut bytes = gzip(b"some text that is cut");
    bytes.truncate(20);
    let path = file(&folder, "x.gz", bytes);
    let message = read_error(&TextInput::new(&path));
    assert!(message.starts_with(&format!("cannot decompress {}: ", path.display())), "{message}");
    let path = file(&folder, "y.zst", b"no archive");
    let message = read_error(&TextInput::new(&path));
    assert!(message.starts_with(&format!("cannot decompress {}: ", path.display())), "{message}");
}

#[test]
fn what_is_not_utf8_is_an_error_or_replaced() {
    let folder = folder();
    let path = file(&folder, "x.txt", b"first\nsec\xffond\n\xe2\x82\nlast \xe2\x82\xac");
    assert_eq!(
        read_error(&TextInput::new(&path)),
        format!(
            "{}, line 2: byte 9 of the file is not UTF-8 text; `.charset_lossy(true)` \
             reads it with \u{fffd} in place of \
             what is invalid",
            path.display()
        )
    );
    let lossy = read_all(&TextInput::new(&path).charset_lossy(true), 1).expect("reads");
    assert_eq!(strings(lossy), ["first", "sec\u{fffd}ond", "\u{fffd}", "last €"]);
    let compressed = file(&folder, "x.gz", gzip(b"a\nb\nc\xff\n"));
    assert!(read_error(&TextInput::new(&compressed)).starts_with(&format!("{}, line 3: byte 5", compressed.display())));
}

#[test]
fn a_line_of_64_megabytes_is_read_once_whatever_the_splits() {
    let folder = folder();
    let long = "0123456789abcdef".repeat(4 << 20);
    let path = file(&folder, "x.txt", format!("short\n{long}\nafter\n{long}"));
    for split_bytes in [1 << 20, 50 << 20, 1 << 30] {
        let lines = read_all(&TextInput::new(FileInput::new(&path).split_bytes(split_bytes)), 1).expect("reads");
        assert_eq!(lines.len(), 4);
        assert!(lines[0] == "short" && lines[1] == long.as_str() && lines[2] == "after" && lines[3] == long.as_str());
    }
}

#[test]
fn many_blocks_of_lines_that_share_them() {
    let folder = folder();
    let lines: Vec<String> = (0..40_000).map(|i| format!("line {i} {}", "x".repeat(i % 61))).collect();
    let path = file(&folder, "x.txt", lines.join("\n"));
    assert_eq!(strings(read_all(&TextInput::new(&path), 1).expect("reads")), lines);
    // The same with records that go at once, so that blocks are filled again.
    let input = TextInput::new(&path);
    let (mut records, mut count) = (Vec::new(), 0);
    for (split, _bytes) in input.splits(1).expect("splits") {
        let mut reader = input.open(split).expect("opens");
        while reader.read(&mut records).expect("reads") {
            for record in records.drain(..) {
                assert_eq!(record, lines[count].as_str());
                count += 1;
            }
        }
    }
    assert_eq!(count, lines.len());
}

#[test]
fn statistics_follow_sizes_and_a_sample() {
    let folder = folder();
    let path = file(&folder, "x.txt", "0123456789\n".repeat(1000));
    let statistics = TextInput::new(&path).statistics().expect("looks");
    assert_eq!((statistics.records, statistics.record_bytes), (Some(1000.0), Some(11.0)));
    assert_eq!(statistics.bytes, Some(11_000.0));
    let large = file(&folder, "y.txt", "0123456789\n".repeat(100_000));
    let records = TextInput::new(&large).statistics().expect("looks").records.expect("known");
    assert!((records - 100_000.0).abs() < 1.0, "{records}");
    let archive = gzip(&b"0123456789\n".repeat(1000));
    let bytes = archive.len() as f64 * 4.0;
    let statistics = TextInput::new(file(&folder, "x.gz", archive)).statistics().expect("looks");
    assert_eq!((statistics.bytes, statistics.records), (Some(bytes), Some(bytes / 11.0)));
    let statistics = TextInput::new(file(&folder, "empty", "")).statistics().expect("looks");
    assert_eq!((statistics.bytes, statistics.records), (Some(0.0), Some(0.0)));
}

proptest! {
    #[test]
    fn every_line_is_read_once_for_any_split_size(content in "[ab€\r\n]{0,60}", split_bytes in 1u64..70) {
        let folder = folder();
        let path = file(&folder, "x.txt", &content);
        let input = TextInput::new(FileInput::new(path).split_bytes(split_bytes));
        prop_assert_eq!(strings(read_all(&input, 3).expect("reads")), lines_of(&content));
    }

    #[test]
    fn long_lines_too(lengths in prop::collection::vec(0usize..90_000, 0..12), split_bytes in 1_000u64..400_000) {
        let folder = folder();
        let content: String = lengths.iter().map(|length| "x".repeat(*length) + "\n").collect();
        let path = file(&folder, "x.txt", &content);
        let input = TextInput::new(FileInput::new(path).split_bytes(split_bytes));
        let found: Vec<usize> = read_all(&input, 3).expect("reads").iter().map(Text::len).collect();
        prop_assert_eq!(found, lengths);
    }
}
