//! CSV: types, options, quotes, splits, and the words of every error.

mod common;

use common::{file, folder, gzip, names, read_all, read_error, write_all};
use flinkrs_connectors::{CsvInput, CsvOutput, Date, Decimal, FileInput};
use flinkrs_core::source::InputFormat;
use flinkrs_core::types::{Data, Text};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use std::fmt::Debug;

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum Status {
    Open,
    #[serde(rename = "F")]
    Finished,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Order {
    key: u64,
    status: Status,
    place: (f64, f32),
    note: Option<String>,
}

type Options<T> = fn(CsvInput<T>) -> CsvInput<T>;

fn read<T: Data>(content: &str, options: impl Fn(CsvInput<T>) -> CsvInput<T>) -> Vec<T> {
    let folder = folder();
    let path = file(&folder, "x.csv", content);
    read_all(&options(CsvInput::new(path)), 1).expect("reads")
}

/// The error, with the file's folder left out.
fn error<T: Data + Debug>(content: &str, options: impl Fn(CsvInput<T>) -> CsvInput<T>) -> String {
    let folder = folder();
    let path = file(&folder, "x.csv", content);
    let message = read_error(&options(CsvInput::new(path)));
    message.replace(&format!("{}/", folder.path().display()), "")
}

#[test]
fn every_type_of_column() {
    type Row = (u8, i16, u32, i64, u128, (bool, char), String, Text, Option<u32>, Decimal<2>, Date);
    let line =
        "255,-32768,+7,-9223372036854775808,340282366920938463463374607431768211455,TRUE,€,a,b,,1.5,2024-02-29\r\n";
    let expected = (
        255,
        -32_768,
        7,
        i64::MIN,
        u128::MAX,
        (true, '€'),
        "a".into(),
        "b".into(),
        None,
        Decimal(150),
        "2024-02-29".parse().expect("a date"),
    );
    assert_eq!(read::<Row>(line, |input| input), [expected]);
    assert_eq!(read::<u32>("1\n2", |input| input), [1, 2]);
    assert_eq!(
        read::<(Text, Vec<f64>)>("a,1,2.5,\nb\n", |input| input),
        [("a".into(), vec![1.0, 2.5]), ("b".into(), vec![])]
    );
}

#[test]
fn structs_take_columns_by_position() {
    let content = "key,status,x,y,note,more\n1,F,1.5,-2,text,z\n2,Open,1e300,inf,,\n";
    let expected = [
        Order { key: 1, status: Status::Finished, place: (1.5, -2.0), note: Some("text".into()) },
        Order { key: 2, status: Status::Open, place: (1e300, f32::INFINITY), note: None },
    ];
    assert_eq!(read::<Order>(content, |input| input.header(true)), expected);
}

#[test]
fn options() {
    let ints = |content: &str, options: Options<(i32, i32)>| read(content, options);
    assert_eq!(ints("1|2|\n3|4|\n", |i| i.delimiter(b'|').quote(None)), [(1, 2), (3, 4)]);
    assert_eq!(ints("1,x,2\n3,y,4", |i| i.columns(&[2, 0])), [(2, 1), (4, 3)]);
    assert_eq!(ints("# 1,2\n1,2\n#\n3,4\n", |i| i.comment("#")), [(1, 2), (3, 4)]);
    assert_eq!(ints("\n1,2\n\r\n\n3,4\n\n", |i| i.skip_empty_lines(true)), [(1, 2), (3, 4)]);
    assert_eq!(ints(" 1 ,\t2 \n  \n\"3\" , \"4\"\n", |i| i.trim(true).skip_empty_lines(true)), [(1, 2), (3, 4)]);
    assert_eq!(ints("1,2\nx,4\n5\n\n7,8\n", |i| i.ignore_invalid_lines(true)), [(1, 2), (7, 8)]);
    assert_eq!(ints("  1, 2\n3\t\t4 ,\n5 6 7\n", CsvInput::any_separator), [(1, 2), (3, 4), (5, 6)]);
    assert_eq!(ints("# made by x\na,b\n1,2\n", |i| i.comment("#").header(true)), [(1, 2)]);
    assert_eq!(ints("\u{feff}1,2\n", |i| i), [(1, 2)]);
}

#[test]
fn headers_are_skipped_once_in_each_file() {
    let folder = folder();
    file(&folder, "a.csv", "n\n1\n2\n3\n");
    file(&folder, "b.csv", "n\n4\n5\n");
    file(&folder, "c.csv", "n");
    file(&folder, "d.csv", "");
    file(&folder, "e.csv.gz", gzip(b"n\n6\n"));
    for split_bytes in 1..10 {
        let input = CsvInput::<u32>::new(FileInput::new(folder.path()).split_bytes(split_bytes)).header(true);
        assert_eq!(read_all(&input, 1).expect("reads"), [1, 2, 3, 4, 5, 6], "splits of {split_bytes} bytes");
    }
}

#[test]
fn quotes_and_line_breaks_within_them() {
    let pairs = |content: &str, options: Options<(String, String)>| read(content, options);
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    assert_eq!(pairs("\"a,b\",\"c\"\"d\"\nplain,5\" nail\n", |i| i), [pair("a,b", "c\"d"), pair("plain", "5\" nail")]);
    assert_eq!(pairs("'a;b';\"\n", |i| i.quote(Some(b'\'')).delimiter(b';')), [pair("a;b", "\"")]);
    let content = "\"head\ner\",x\n\"a\nb\",c\r\nd,\"e\r\nf\"\n";
    assert_eq!(pairs(content, |i| i.multiline(true).header(true)), [pair("a\nb", "c"), pair("d", "e\r\nf")]);
}

#[test]
fn a_quoted_field_may_be_longer_than_a_block() {
    let long = "many\nlines\n".repeat(200_000);
    let content = format!("1,\"{long}\"\n2,b\n");
    let rows = read::<(u32, String)>(&content, |input| input.multiline(true));
    assert!(rows.len() == 2 && rows[0].1 == long && rows[1] == (2, "b".to_owned()));
}

#[test]
fn errors_of_values() {
    type Row = (u32, Text, u32);
    let dbgen = |input: CsvInput<Row>| input.delimiter(b'|');
    let before = "1|x|2|\n".repeat(16);
    assert_eq!(
        error(&format!("{before}1|x|abc|\n"), dbgen),
        "x.csv, line 17, column 3: 'abc' is not a number (u32); the line is: 1|x|abc|"
    );
    assert_eq!(
        error("4294967296|x|1", dbgen),
        "x.csv, line 1, column 1: '4294967296' is out of range for a number (u32); the line is: 4294967296|x|1"
    );
    assert_eq!(
        error("1|x\n", dbgen),
        "x.csv, line 1, column 3: a number (u32) is expected, but there are only 2 columns; the line is: 1|x"
    );
    assert_eq!(error::<u32>("1\n\n2", |i| i), "x.csv, line 2, column 1: '' is not a number (u32); the line is: ");
    assert_eq!(
        error::<(u32, u32)>("a,b,7,x\n", |i| i.columns(&[2, 3])),
        "x.csv, line 1, column 4: 'x' is not a number (u32); the line is: a,b,7,x"
    );
    assert_eq!(
        error::<(u32, u32)>("7\n", |i| i.columns(&[0])),
        "x.csv, line 1, the record has more fields than `.columns` names; the line is: 7"
    );
    let long = "y".repeat(300);
    assert_eq!(
        error::<u32>(&long, |i| i),
        format!("x.csv, line 1, column 1: '{0}…' is not a number (u32); the line is: {0}…", &long[..200])
    );
}

#[test]
fn errors_of_fields_with_names_and_types_of_their_own() {
    assert_eq!(
        error::<Order>("1,Lost,0,0,\n", |i| i),
        "x.csv, line 1, column 2 (status): 'Lost' is not one of Open, F; the line is: 1,Lost,0,0,"
    );
    assert_eq!(
        error::<Order>("1,F,0,zero,\n", |i| i),
        "x.csv, line 1, column 4 (place): 'zero' is not a number (f32); the line is: 1,F,0,zero,"
    );
    assert_eq!(
        error::<Decimal<2>>("1.234", |i| i),
        "x.csv, line 1, column 1: '1.234' is not a decimal number with at most 2 digits after the point (64 bits); the \
         line is: 1.234"
    );
    assert_eq!(
        error::<Date>("2023-02-29", |i| i),
        "x.csv, line 1, column 1: '2023-02-29' is not a date (YYYY-MM-DD); the line is: 2023-02-29"
    );
    assert_eq!(
        error::<(bool, char)>("yes,ab", |i| i),
        "x.csv, line 1, column 1: 'yes' is not true or false; the line is: yes,ab"
    );
    assert_eq!(
        error::<(String, u32)>("\"a,b\",\"c\"", |i| i),
        "x.csv, line 1, column 2: 'c' is not a number (u32); the line is: \"a,b\",\"c\""
    );
}

#[test]
fn errors_of_quotes_and_options() {
    assert_eq!(
        error::<(u32, String)>("1,a\n2,\"b\nc\"\n", |i| i),
        "x.csv, line 2, column 2: a quote opens the field and none closes it (`.multiline(true)` allows line breaks \
         within quotes); the line is: 2,\"b"
    );
    assert_eq!(
        error::<u32>("1", |i| i.delimiter(b'\n')),
        "the delimiter can't be a line break; any other single byte is allowed"
    );
    assert_eq!(
        error::<u32>("1", |i| i.delimiter(b'"')),
        "the delimiter and the quote are both '\"'; any other single byte is allowed"
    );
}

#[test]
fn bytes_that_are_no_text_are_an_error_only_where_text_is_wanted() {
    let folder = folder();
    let path = file(&folder, "x.csv", b"1,\xff\n");
    assert_eq!(read_all(&CsvInput::<u32>::new(&path), 1).expect("reads"), [1]);
    assert_eq!(
        read_error(&CsvInput::<(u32, Text)>::new(&path)),
        format!("{}, line 1, column 2: '\u{fffd}' is not UTF-8 text; the line is: 1,\u{fffd}", path.display())
    );
}

#[test]
fn a_line_number_counts_from_the_start_of_the_file() {
    let folder = folder();
    let mut content = "12345\n".repeat(300_000);
    content.insert_str(6 * 250_000, "x\n");
    for (name, content) in [("x.csv", content.as_bytes().to_vec()), ("y.csv.gz", gzip(content.as_bytes()))] {
        let path = file(&folder, name, content);
        let message = read_error(&CsvInput::<u32>::new(FileInput::new(&path).split_bytes(100_000)));
        assert!(message.starts_with(&format!("{}, line 250001, column 1: 'x'", path.display())), "{message}");
    }
}

#[test]
fn statistics_count_the_wanted_columns_only() {
    let folder = folder();
    let path = file(&folder, "x.csv", "1,a long column that nobody wants to read,2\n".repeat(100));
    let statistics = CsvInput::<(u64, u64)>::new(&path).columns(&[0, 2]).statistics().expect("looks");
    assert_eq!(
        (statistics.records, statistics.record_bytes, statistics.bytes),
        (Some(100.0), Some(16.0), Some(1600.0))
    );
}

#[test]
fn writes_what_it_reads() {
    let folder = folder();
    let path = folder.path().join("out.csv");
    let orders = vec![
        Order { key: 1, status: Status::Finished, place: (0.1, 1e-7), note: Some("a, \"b\"\nc".into()) },
        Order { key: u64::MAX, status: Status::Open, place: (-0.0, 1.0), note: None },
    ];
    write_all(&CsvOutput::new(&path), std::slice::from_ref(&orders)).expect("writes");
    let text = std::fs::read_to_string(&path).expect("is there");
    assert_eq!(text, "1,F,0.1,1e-7,\"a, \"\"b\"\"\nc\"\n18446744073709551615,Open,-0.0,1.0,\n");
    assert_eq!(read_all(&CsvInput::<Order>::new(&path).multiline(true), 1).expect("reads"), orders);
    assert_eq!(names(folder.path()), ["out.csv"]);
}

#[test]
fn writes_other_dialects_and_types() {
    let folder = folder();
    let path = folder.path().join("a");
    type Row = ((i8, bool), Decimal<2>, Date, char, Vec<u16>, Text);
    let row: Row = ((-1, true), Decimal(-5), Date(0), '|', vec![1, 2], "a b".into());
    write_all(&CsvOutput::new(&path).delimiter(b'|'), &[vec![row.clone()]]).expect("writes");
    assert_eq!(std::fs::read_to_string(&path).expect("is there"), "-1|true|-0.05|1970-01-01|\"|\"|1|2|a b\n");
    let path = folder.path().join("b");
    write_all(&CsvOutput::new(&path).delimiter(b' ').quote(None), &[vec![row]]).expect("writes");
    assert_eq!(std::fs::read_to_string(&path).expect("is there"), "-1 true -0.05 1970-01-01 | 1 2 a b\n");
    let maps = vec![std::collections::BTreeMap::from([(1, 2)])];
    let message = write_all(&CsvOutput::new(folder.path().join("c")), &[maps]).expect_err("no map").to_string();
    assert!(message.ends_with("can't be written: a map can't be written as a line"), "{message}");
}

proptest! {
    #[test]
    fn every_record_is_read_once_for_any_split_size(
        rows in prop::collection::vec((any::<i32>(), "[a-z\"]{0,9}", prop::option::of(any::<u16>())), 0..20),
        split_bytes in 1u64..200,
        quote in any::<bool>(),
    ) {
        let folder = folder();
        let path = folder.path().join("x.csv");
        let quote = quote.then_some(b'"');
        write_all(&CsvOutput::new(&path).quote(quote), std::slice::from_ref(&rows)).expect("writes");
        let files = FileInput::new(&path).split_bytes(split_bytes);
        let input = CsvInput::<(i32, String, Option<u16>)>::new(files).quote(quote);
        prop_assert_eq!(read_all(&input, 2).expect("reads"), rows);
    }

    #[test]
    fn any_text_comes_back(
        rows in prop::collection::vec(("[^\u{feff}]{0,12}", any::<f64>(), "[,\"\n\r ]{0,6}"), 1..8)
    ) {
        let folder = folder();
        let path = folder.path().join("x.csv");
        // A byte order mark at the start of a file isn't text.
        let rows: Vec<_> = rows.into_iter().map(|(a, b, c)| (a, b, c, 1u8)).collect();
        write_all(&CsvOutput::new(&path), std::slice::from_ref(&rows)).expect("writes");
        let input = CsvInput::<(String, f64, String, u8)>::new(&path).multiline(true);
        let back = read_all(&input, 1).expect("reads");
        prop_assert_eq!(format!("{back:?}"), format!("{rows:?}"));
    }
}
