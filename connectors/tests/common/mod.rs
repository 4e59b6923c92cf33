//! What the tests of the connectors share: reading whole inputs and writing whole outputs.
#![allow(dead_code, reason = "each test file uses its part")]

use flinkrs_core::error::Result;
use flinkrs_core::id::Subtask;
use flinkrs_core::sink::{CommitContext, OutputFormat, RecordWriter, WriterContext};
use flinkrs_core::source::{InputFormat, SplitReader};
use flinkrs_core::types::{Data, codec};
use std::fs;
use std::path::{Path, PathBuf};

/// A folder that goes away with the test.
pub(crate) fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder for the test")
}

/// Writes a file into `folder`.
pub(crate) fn file(folder: &tempfile::TempDir, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, content).expect("writes the file of the test");
    path
}

/// All records of an input, split by split; the splits travel encoded as they do in a job.
pub(crate) fn read_all<I: InputFormat>(input: &I, wanted: usize) -> Result<Vec<I::Item>>
where
    I::Split: Data,
{
    let mut all = Vec::new();
    for (split, _bytes) in input.splits(wanted)? {
        let mut bytes = Vec::new();
        codec::encode(&[split], &mut bytes)?;
        let split = codec::decode::<I::Split>(&bytes)?.remove(0);
        let mut reader = input.open(split)?;
        let mut records = Vec::new();
        while reader.read(&mut records)? {
            assert!(records.len() <= 1024, "a batch has at most 1,024 records");
            all.append(&mut records);
        }
        assert!(records.is_empty(), "nothing comes with the end");
        assert!(!reader.read(&mut records)?, "the end stays the end");
    }
    Ok(all)
}

/// The message of the error that reading ends with.
pub(crate) fn read_error<I: InputFormat>(input: &I) -> String
where
    I::Split: Data,
{
    match read_all(input, 1) {
        Ok(records) => panic!("{} records and no error", records.len()),
        Err(error) => error.to_string(),
    }
}

/// A job whose subtasks have finished with these attempts.
pub(crate) fn job(attempts: &[u32]) -> CommitContext<'_> {
    CommitContext { job: "job", attempts }
}

/// Runs a whole job's output: writes `batches[i]` in subtask `i` and commits.
pub(crate) fn write_all<T: Data, O: OutputFormat<T>>(output: &O, batches: &[Vec<T>]) -> Result<()> {
    let attempts = vec![0; batches.len()];
    output.begin(&job(&attempts))?;
    for (index, batch) in (0..).zip(batches) {
        let subtask = Subtask { index, parallelism: job(&attempts).parallelism() };
        let mut writer = output.open(&WriterContext { job: "job", subtask, attempt: 0 })?;
        writer.write(&mut batch.clone())?;
        writer.finish()?;
    }
    output.commit(&job(&attempts))
}

/// The names in a folder, sorted.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("the folder is there");
    let name =
        |entry: std::io::Result<fs::DirEntry>| entry.expect("readable").file_name().to_string_lossy().into_owned();
    let mut names: Vec<String> = entries.map(name).collect();
    names.sort();
    names
}

/// Compresses with gzip.
pub(crate) fn gzip(content: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content).expect("writes to memory");
    encoder.finish().expect("writes to memory")
}

/// Compresses with Zstandard.
pub(crate) fn zstd(content: &[u8]) -> Vec<u8> {
    zstd::encode_all(content, 1).expect("writes to memory")
}
