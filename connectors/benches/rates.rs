//! How many bytes per second one core reads and writes; checks every answer before it reports a rate.
//!
//! `cargo bench -p flinkrs-connectors -- FOLDER` reads `text.txt`, `records.bin` and `tpch/lineitem.tbl` there.

use flinkrs_connectors::{CsvInput, CsvOutput, Date, Decimal, FixedInput, Record, TextInput, TextOutput, WriteMode};
use flinkrs_core::batch::BATCH_RECORDS;
use flinkrs_core::error::Result;
use flinkrs_core::id::Subtask;
use flinkrs_core::sink::{CommitContext, OutputFormat, RecordWriter, WriterContext};
use flinkrs_core::source::{InputFormat, SplitReader};
use flinkrs_core::types::Text;
use std::fmt::Debug;
use std::path::Path;
use std::time::Instant;

fn main() -> Result<()> {
    let folder = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let Some(folder) = folder else {
        eprintln!("name a folder with the benchmark's inputs: cargo bench -p flinkrs-connectors -- FOLDER");
        return Ok(());
    };
    let folder = Path::new(&folder);
    let lineitem = folder.join("tpch/lineitem.tbl");
    if !lineitem.exists() {
        eprintln!("no data in {}: nothing measured", folder.display());
        return Ok(());
    }
    let dbgen = |input: CsvInput<_>| input.delimiter(b'|').quote(None);
    let lines = std::fs::read(&lineitem).map(|bytes| memchr::memchr_iter(b'\n', &bytes).count()).unwrap_or(0);

    read("text, words", &TextInput::new(folder.join("text.txt")), None, |line: &Text| line.len());
    read("text, lineitem", &TextInput::new(&lineitem), Some(lines), |line: &Text| line.len());
    let input = CsvInput::<(u64, f64, f64, Text)>::new(&lineitem).delimiter(b'|').quote(None).columns(&[0, 5, 6, 10]);
    read("csv, key f64 f64 text", &input, Some(lines), |record| record.1 as usize);
    let input = CsvInput::<(u64, Decimal<2>, Decimal<2>, Date)>::new(&lineitem).columns(&[0, 5, 6, 10]);
    let input = dbgen(input);
    read("csv, key money money date", &input, Some(lines), |record| record.1.0 as usize);
    let input = CsvInput::<(u64, Decimal<2>, Decimal<2>, Date)>::new(&lineitem).columns(&[0, 5, 6, 10]);
    read("csv, the same, quotes on", &input.delimiter(b'|'), Some(lines), |record| record.1.0 as usize);
    read("binary", &FixedInput::<100>::new(folder.join("records.bin")), None, |r: &Record<100>| usize::from(r.0[0]));

    let input = CsvInput::<(u64, Decimal<2>, f64, Text)>::new(&lineitem).delimiter(b'|').columns(&[0, 5, 4, 13]);
    let mut records = Vec::new();
    let split = input.splits(1)?.remove(0).0;
    let mut reader = input.open(split)?;
    while reader.read(&mut records)? {}
    let target = std::env::temp_dir().join(format!("flinkrs-rates-{}", std::process::id()));
    write("csv, key money f64 text", &CsvOutput::new(&target).mode(WriteMode::Overwrite), &records, &target)?;
    let texts: Vec<Text> = records.iter().map(|record| record.3.clone()).collect();
    write("text", &TextOutput::new(&target).mode(WriteMode::Overwrite), &texts, &target)
}

fn read<I: InputFormat>(name: &str, input: &I, expected: Option<usize>, look: impl Fn(&I::Item) -> usize)
where
    I::Item: Debug,
{
    let mut best = f64::INFINITY;
    let (mut bytes, mut count, mut sum) = (0, 0, 0);
    for _ in 0..3 {
        (bytes, count, sum) = (0, 0, 0usize);
        let start = Instant::now();
        let mut records = Vec::with_capacity(BATCH_RECORDS);
        for (split, split_bytes) in input.splits(2).expect("the input is there") {
            bytes += split_bytes;
            let mut reader = input.open(split).expect("opens");
            while reader.read(&mut records).expect("reads") {
                count += records.len();
                sum = records.iter().fold(sum, |sum, record| sum.wrapping_add(look(record)));
                records.clear();
            }
        }
        best = best.min(start.elapsed().as_secs_f64());
    }
    assert!(expected.is_none_or(|expected| expected == count), "{name}: {count} records, not {expected:?}");
    assert!(sum > 0);
    report("read ", name, count, bytes, best);
}

fn write<T, O>(name: &str, output: &O, records: &[T], target: &Path) -> Result<()>
where
    T: flinkrs_core::types::Data,
    O: OutputFormat<T>,
{
    let mut best = f64::INFINITY;
    let mut bytes = 0;
    let whole = CommitContext { job: "rates", attempts: &[0] };
    for _ in 0..3 {
        output.begin(&whole)?;
        let mut writer =
            output.open(&WriterContext { job: "rates", subtask: Subtask { index: 0, parallelism: 1 }, attempt: 0 })?;
        let mut elapsed = 0.0;
        for batch in records.chunks(BATCH_RECORDS) {
            let mut batch = batch.to_vec();
            let start = Instant::now();
            writer.write(&mut batch)?;
            elapsed += start.elapsed().as_secs_f64();
        }
        writer.finish()?;
        output.commit(&whole)?;
        bytes = std::fs::metadata(target).expect("the output is there").len();
        best = best.min(elapsed);
    }
    let lines = std::fs::read(target).map(|bytes| memchr::memchr_iter(b'\n', &bytes).count()).unwrap_or(0);
    assert_eq!(lines, records.len());
    std::fs::remove_file(target).expect("the output can go");
    report("write", name, records.len(), bytes, best);
    Ok(())
}

fn report(verb: &str, name: &str, records: usize, bytes: u64, seconds: f64) {
    let (rate, each) = (bytes as f64 / 1e6 / seconds, seconds * 1e9 / records as f64);
    eprintln!("{verb} {name:28} {records:>10} records {rate:>7.0} MB/s {each:>6.1} ns per record");
}
