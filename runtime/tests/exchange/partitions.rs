//! Results that outlive their producer: written, served by whoever has the folder, missing and broken ones.

use crate::common::*;
use flinkrs_core::{Batch, Error};
use flinkrs_runtime::{Compression, Exchange, ExchangeOptions, StoredPartition};
use std::fs;
use std::path::Path;
use std::thread;

const CONSUMERS: u32 = 5;
const RECORDS: u64 = 30_000;

fn keeping(me: u64, folder: &Path) -> ExchangeOptions {
    ExchangeOptions { folder: Some(folder.to_path_buf()), ..options(me) }
}

fn partition(producer: u32) -> StoredPartition {
    channel_id(producer, 0).partition()
}

fn number(producer: u32, consumer: u32) -> u32 {
    producer * CONSUMERS + consumer
}

fn write(exchange: &Exchange, producer: u32, memory_bytes: usize) {
    let mut writers = exchange.partition_writers(&partition(producer), CONSUMERS, memory_bytes).unwrap();
    // The last consumer has nothing.
    let mut sent = 0;
    while sent < RECORDS {
        let until = (sent + 1 + sent % 700).min(RECORDS);
        for consumer in 0..CONSUMERS - 1 {
            writers[consumer as usize].send(batch(number(producer, consumer), sent..until)).unwrap();
        }
        sent = until;
    }
    writers.into_iter().for_each(|writer| writer.end().unwrap());
}

#[test]
fn a_partition_is_served_after_its_worker_has_gone() {
    for (memory_bytes, compression) in
        [(0, Compression::None), (100_000, Compression::Lz4), (64 << 20, Compression::None)]
    {
        let folder = tempfile::tempdir().unwrap();
        let worker = Exchange::start(ExchangeOptions { compression, ..keeping(1, folder.path()) }).unwrap();
        write(&worker, 0, memory_bytes);
        write(&worker, 1, memory_bytes);
        drop(worker);
        let (server, consumer) = (Exchange::start(keeping(7, folder.path())).unwrap(), start(2));
        thread::scope(|scope| {
            for number in 0..2 * CONSUMERS {
                let (server, consumer) = (&server, &consumer);
                scope.spawn(move || {
                    let channel = channel_id(number / CONSUMERS, number % CONSUMERS);
                    let mut reader = consumer.file_reader(&[(at(server, 7), channel)], &like()).unwrap();
                    let expected = if number % CONSUMERS == CONSUMERS - 1 { 0 } else { RECORDS };
                    assert_eq!(check_all(&mut reader, number), expected);
                });
            }
        });
    }
}

#[test]
fn a_worker_reads_its_own_partitions_itself() {
    let folder = tempfile::tempdir().unwrap();
    let worker = Exchange::start(keeping(1, folder.path())).unwrap();
    write(&worker, 0, 1 << 20);
    let mut reader = worker.file_reader(&[(at(&worker, 1), channel_id(0, 2))], &like()).unwrap();
    assert_eq!(check_all(&mut reader, 2), RECORDS);
}

#[test]
fn an_abandoned_partition_is_read_no_further() {
    let folder = tempfile::tempdir().unwrap();
    let (worker, consumer) = (Exchange::start(keeping(1, folder.path())).unwrap(), start(2));
    write(&worker, 0, 1 << 20);
    for _ in 0..20 {
        let mut reader = consumer.file_reader(&[(at(&worker, 1), channel_id(0, 2))], &like()).unwrap();
        assert!(reader.next_batch().unwrap().is_some());
    }
    let mut reader = consumer.file_reader(&[(at(&worker, 1), channel_id(0, 2))], &like()).unwrap();
    assert_eq!(check_all(&mut reader, 2), RECORDS);
}

/// What a consumer finds, from another worker and from the own.
fn refusals(folder: &Path, producer: u32) -> [Error; 2] {
    let (worker, consumer) = (Exchange::start(keeping(1, folder)).unwrap(), start(2));
    [&consumer, &worker].map(|reads| {
        let reader = reads.file_reader(&[(at(&worker, 1), channel_id(producer, 0))], &like());
        let result = reader.and_then(|mut reader| {
            while reader.next_batch()?.is_some() {}
            Ok(())
        });
        result.expect_err("there is something wrong with the partition")
    })
}

#[test]
fn a_missing_partition_is_named() {
    let folder = tempfile::tempdir().unwrap();
    for error in refusals(folder.path(), 3) {
        assert!(matches!(error, Error::Partition { execution: 0, edge: 1, producer: 3, attempt: 0, .. }), "{error:?}");
        assert!(error.to_string().contains("is missing"), "{error}");
    }
}

#[test]
fn an_unfinished_partition_is_missing_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let worker = Exchange::start(keeping(1, folder.path())).unwrap();
    let mut writers = worker.partition_writers(&partition(0), 2, 0).unwrap();
    writers[0].send(batch(0, 0..100)).unwrap();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    for error in refusals(folder.path(), 0) {
        assert!(error.to_string().contains("is missing"), "{error}");
    }
    drop(writers);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_broken_partition_is_named_and_only_that() {
    let folder = tempfile::tempdir().unwrap();
    let worker = Exchange::start(keeping(1, folder.path())).unwrap();
    write(&worker, 0, 1 << 20);
    let path = fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
    let whole = fs::read(&path).unwrap();
    let mut wrongs = vec![whole[..whole.len() / 2].to_vec(), whole[..10].to_vec(), Vec::new()];
    for at in [0, 30, 100, 5000, whole.len() - 100, whole.len() - 20, whole.len() - 1] {
        let mut wrong = whole.clone();
        wrong[at] ^= 4;
        wrongs.push(wrong);
    }
    for wrong in wrongs {
        fs::write(&path, wrong).unwrap();
        for error in refusals(folder.path(), 0) {
            assert!(matches!(error, Error::Partition { producer: 0, .. }), "{error:?}");
            assert!(error.to_string().contains(" is broken: "), "{error}");
        }
    }
}

#[test]
fn a_large_record_goes_through_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let (worker, consumer) = (Exchange::start(keeping(1, folder.path())).unwrap(), start(2));
    let records: Vec<Vec<u8>> = [3, 5 << 20, 0, 2 << 20].map(|bytes| vec![7; bytes]).to_vec();
    let mut writers = worker.partition_writers(&partition(0), 1, 1 << 20).unwrap();
    writers[0].send(Batch::new(records.clone())).unwrap();
    writers.into_iter().for_each(|writer| writer.end().unwrap());
    let like = Batch::new(Vec::<Vec<u8>>::new());
    let mut reader = consumer.file_reader(&[(at(&worker, 1), channel_id(0, 0))], &like).unwrap();
    let mut found = Vec::new();
    while let Some(mut batch) = reader.next_batch().unwrap() {
        found.append(batch.records::<Vec<u8>>());
    }
    assert!(found == records);
}

#[test]
fn partitions_are_removed_when_their_job_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let worker = Exchange::start(keeping(1, folder.path())).unwrap();
    write(&worker, 0, 1 << 20);
    write(&worker, 1, 1 << 20);
    fs::write(folder.path().join("another file"), "").unwrap();
    let finished = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
    let finished = finished.filter(|path| path.extension().is_some()).max().unwrap();
    fs::copy(&finished, finished.with_extension("unfinished")).expect("as of a process that was killed");
    worker.remove_partitions(|id| id.producer == 1).unwrap();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    worker.remove_partitions(|id| id.job == JOB).unwrap();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}
