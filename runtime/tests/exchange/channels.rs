//! Two exchanges in one process: order, flow control, what is abandoned and what is released.

use crate::common::*;
use flinkrs_core::Batch;
use flinkrs_runtime::{ChannelWriter, Compression, Exchange, ExchangeOptions, PeerId};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;

fn send_all(mut writer: ChannelWriter, channel: u32, records: u64) {
    let mut sent = 0;
    while sent < records {
        let until = (sent + 1 + sent % 1024).min(records);
        writer.send(batch(channel, sent..until)).expect("the channel takes batches");
        sent = until;
    }
    writer.end().expect("the channel takes its end");
}

fn exchange_in_both_directions(options: impl Fn(u64) -> ExchangeOptions, channels: u32, records: u64) {
    let workers = [1, 2].map(|me| Exchange::start(options(me)).expect("loopback can be listened on"));
    let peers = [at(&workers[0], 1), at(&workers[1], 2)];
    thread::scope(|scope| {
        for (me, worker) in workers.iter().enumerate() {
            for i in 0..channels {
                let number = me as u32 * channels + i;
                // Some are requested before the producer is there, some after.
                let writer = worker.writer(channel_id(number, 0)).expect("the channel is new");
                scope.spawn(move || send_all(writer, number, records));
                let (other, from) = (&workers[1 - me], peers[me]);
                scope.spawn(move || {
                    let mut reader =
                        other.reader(&[(from, channel_id(number, 0))], &like()).expect("it can be asked for");
                    assert_eq!(check_all(&mut reader, number), records);
                });
            }
        }
    });
}

#[test]
fn many_channels_in_both_directions() {
    exchange_in_both_directions(options, 20, 20_000);
}

#[test]
fn compressed_frames_arrive_as_they_were() {
    let compressed = |me| ExchangeOptions { compression: Compression::Lz4, ..options(me) };
    exchange_in_both_directions(compressed, 3, 20_000);
    let (a, b) = (Exchange::start(compressed(1)).unwrap(), Exchange::start(compressed(2)).unwrap());
    let texts: Vec<String> =
        (0..5000).map(|i| format!("the same words again and again, but for a number: {i}")).collect();
    let mut writer = a.writer(channel_id(0, 0)).unwrap();
    writer.send(Batch::new(texts.clone())).unwrap();
    writer.end().unwrap();
    let mut reader = b.reader(&[(at(&a, 1), channel_id(0, 0))], &Batch::new(Vec::<String>::new())).unwrap();
    let mut found = Vec::new();
    while let Some(mut batch) = reader.next_batch().unwrap() {
        found.append(batch.records::<String>());
    }
    assert_eq!(found, texts);
}

#[test]
fn little_memory_makes_small_windows_and_nothing_else() {
    exchange_in_both_directions(|me| ExchangeOptions { memory_bytes: 0, ..options(me) }, 5, 20_000);
}

#[test]
fn a_record_larger_than_every_window_arrives() {
    let (a, b) = (start(1), start(2));
    let mut writer = a.writer(channel_id(0, 0)).unwrap();
    let mut reader = b.reader(&[(at(&a, 1), channel_id(0, 0))], &Batch::new(Vec::<Vec<u8>>::new())).unwrap();
    let records: Vec<Vec<u8>> = [5 << 20, 10, 9 << 20, 0].map(|bytes| vec![bytes as u8; bytes]).to_vec();
    let sent = records.clone();
    let producer = thread::spawn(move || {
        writer.send(Batch::new(sent)).unwrap();
        writer.end().unwrap();
    });
    let mut found = Vec::new();
    while let Some(mut batch) = reader.next_batch().unwrap() {
        found.append(batch.records::<Vec<u8>>());
    }
    producer.join().unwrap();
    assert!(found == records);
}

#[test]
fn a_slow_consumer_stalls_its_producer_only() {
    let (a, b) = (start(1), start(2));
    let mut stalled = a.writer(channel_id(0, 0)).unwrap();
    let mut slow = b.reader(&[(at(&a, 1), channel_id(0, 0))], &like()).unwrap();
    // Fills its window, and what the producer's side holds.
    let (mut rest, mut refused) = (batch(0, 0..100_000), 0);
    wait_until("a full channel", || {
        let before = rest.len();
        rest = stalled.try_send(rest.take()).unwrap().expect("the channel takes all, and nobody reads");
        refused = if rest.len() < before { 0 } else { refused + 1 };
        refused > 100
    });
    // Another channel on the same connection passes much more than any buffer holds.
    let free = a.writer(channel_id(1, 0)).unwrap();
    let producer = thread::spawn(move || send_all(free, 1, 300_000));
    let mut reader = b.reader(&[(at(&a, 1), channel_id(1, 0))], &like()).unwrap();
    assert_eq!(check_all(&mut reader, 1), 300_000);
    producer.join().unwrap();
    // The slow one still has all, once it is read.
    let producer = thread::spawn(move || {
        stalled.send(rest).unwrap();
        stalled.end().unwrap();
    });
    assert_eq!(check_all(&mut slow, 0), 100_000);
    producer.join().unwrap();
}

#[test]
fn what_nobody_reads_is_bounded_by_the_budget_whatever_the_number_of_channels() {
    const CHANNELS: u32 = 200;
    let (a, b) = (start(1), start(2));
    let mut writers: Vec<ChannelWriter> = (0..CHANNELS).map(|i| a.writer(channel_id(i, 0)).unwrap()).collect();
    let mut readers: Vec<_> =
        (0..CHANNELS).map(|i| b.reader(&[(at(&a, 1), channel_id(i, 0))], &like()).unwrap()).collect();
    // Once something has passed, the producer's side knows the windows.
    for (i, (writer, reader)) in (0..).zip(writers.iter_mut().zip(&mut readers)) {
        writer.send(batch(i, 0..1)).unwrap();
        assert_eq!(reader.next_batch().unwrap().map(|batch| batch.len()), Some(1));
    }
    let mut rests: Vec<Batch> = (0..CHANNELS).map(|i| batch(i, 0..20_000)).collect();
    let left = |rests: &[Batch]| rests.iter().map(Batch::len).sum::<usize>();
    let (all, mut refused) = (left(&rests), 0);
    wait_until("full channels", || {
        let before = left(&rests);
        for (writer, rest) in writers.iter_mut().zip(&mut rests) {
            *rest = writer.try_send(rest.take()).unwrap().expect("nobody reads");
        }
        refused = if left(&rests) < before { 0 } else { refused + 1 };
        refused > 100
    });
    let bytes = (all - left(&rests)) * size_of::<Record>();
    // The consumer's half of the budget, the least windows, and as much again at the producer's side: a frame each.
    let most = 2 * ((8 << 20) / 2 + CHANNELS as usize * (16 << 10)) + (1 << 20);
    assert!(bytes <= most, "{bytes} bytes are on their way, of at most {most}");
    assert!(bytes >= CHANNELS as usize * (16 << 10), "only {bytes} bytes are on their way");
}

#[test]
fn an_abandoned_channel_does_not_hold_up_its_producer() {
    let (a, b) = (start(1), start(2));
    let writer = a.writer(channel_id(0, 0)).unwrap();
    let mut reader = b.reader(&[(at(&a, 1), channel_id(0, 0))], &like()).unwrap();
    let producer = thread::spawn(move || send_all(writer, 0, 500_000));
    assert!(reader.next_batch().unwrap().is_some());
    drop(reader);
    producer.join().unwrap();
}

#[test]
fn messages_arrive_in_order() {
    let (a, b) = (start(1), start(2));
    let (to, from) = channel();
    b.on_message(Arc::new(move |peer, message| to.send((peer, message)).unwrap()));
    for i in 0..1000u32 {
        a.send_message(at(&b, 2), &i.to_le_bytes()).unwrap();
    }
    for i in 0..1000u32 {
        assert_eq!(from.recv_timeout(PATIENCE).unwrap(), (PeerId(1), i.to_le_bytes().to_vec()));
    }
}

#[test]
fn two_that_dial_each_other_at_once_share_a_connection() {
    for _ in 0..50 {
        let (a, b) = (start(1), start(2));
        let lost = [losses(&a), losses(&b)];
        let (to, from) = channel();
        let received = to.clone();
        a.on_message(Arc::new(move |peer, _| received.send(peer).unwrap()));
        b.on_message(Arc::new(move |peer, _| to.send(peer).unwrap()));
        let (to_a, to_b) = (at(&a, 1), at(&b, 2));
        thread::scope(|scope| {
            scope.spawn(|| a.send_message(to_b, b"hello").unwrap());
            scope.spawn(|| b.send_message(to_a, b"hello").unwrap());
        });
        let mut both = [from.recv_timeout(PATIENCE).unwrap(), from.recv_timeout(PATIENCE).unwrap()];
        both.sort();
        assert_eq!(both, [PeerId(1), PeerId(2)]);
        drop((a, b));
        assert!(lost.iter().all(|lost| lost.try_recv().is_err()), "nobody was lost");
    }
}

#[test]
fn released_channels_are_gone_on_both_sides() {
    let (a, b) = (start(1), start(2));
    let mut writer = a.writer(channel_id(0, 0)).unwrap();
    let mut reader = b.reader(&[(at(&a, 1), channel_id(0, 0))], &like()).unwrap();
    writer.send(batch(0, 0..10)).unwrap();
    assert!(reader.next_batch().unwrap().is_some());
    b.release(|channel| channel.producer == 0);
    a.release(|channel| channel.producer == 0);
    // The same channel may be made again: nothing is known of it.
    let writer = a.writer(channel_id(0, 0)).unwrap();
    let mut reader = b.reader(&[(at(&a, 1), channel_id(0, 0))], &like()).unwrap();
    writer.end().unwrap();
    assert!(reader.next_batch().unwrap().is_none());
}
