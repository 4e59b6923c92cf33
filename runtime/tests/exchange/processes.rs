//! Real processes: the test's own program, started again to be the other worker.

use crate::common::*;
use flinkrs_runtime::PeerId;
use std::io::{BufRead, BufReader, Lines};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;

const CHANNELS: u32 = 12;
const RECORDS: u64 = 30_000;

/// In the child: what it is to do.
const ROLE: &str = "FLINKRS_EXCHANGE_ROLE";

/// In the child: where the parent listens.
const PARENT: &str = "FLINKRS_EXCHANGE_PARENT";

struct Worker {
    process: Child,
    peer: (PeerId, SocketAddr),
    /// Open until it has ended, so that it can write what a test writes.
    _output: Lines<BufReader<ChildStdout>>,
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Starts the other worker, which prints where it listens.
fn start_worker(role: &str, parent: SocketAddr) -> Worker {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "processes::the_other_worker", "--nocapture"]);
    command.env(ROLE, role).env(PARENT, parent.to_string()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut process = command.spawn().unwrap();
    let mut output = BufReader::new(process.stdout.take().unwrap()).lines();
    let addr = output.find_map(|line| line.unwrap().split_once("listens at ").map(|(_, at)| at.to_owned()));
    Worker { process, peer: (PeerId(2), addr.expect("it listens").parse().unwrap()), _output: output }
}

/// The other worker's life; nothing when the test itself runs.
#[test]
fn the_other_worker() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let parent = (PeerId(1), std::env::var(PARENT).unwrap().parse().unwrap());
    let exchange = start(2);
    println!("listens at {}", exchange.local_addr());
    let (to, from) = channel();
    exchange.on_message(Arc::new(move |_, _| to.send(()).unwrap()));
    let endless = role == "endless";
    thread::scope(|scope| {
        for number in 0..CHANNELS {
            // It sends back what it is sent.
            let mut reader = exchange.reader(&[(parent, channel_id(number, 0))], &like()).unwrap();
            let mut writer = exchange.writer(channel_id(number, 1)).unwrap();
            scope.spawn(move || {
                loop {
                    match reader.try_next().unwrap() {
                        Some(Some(batch)) => drop(writer.send(batch).unwrap()),
                        Some(None) if !endless => break writer.end().unwrap(),
                        _ => thread::yield_now(),
                    }
                }
            });
        }
    });
    // What it has sent may still wait for the other side to take it.
    from.recv().unwrap();
}

#[test]
fn many_channels_there_and_back_and_one_that_nobody_reads() {
    let exchange = start(1);
    let lost = losses(&exchange);
    let mut worker = start_worker("echo", exchange.local_addr());
    thread::scope(|scope| {
        // The first channel's echo is read only when all others have passed.
        let mut first = exchange.reader(&[(worker.peer, channel_id(0, 1))], &like()).unwrap();
        for number in 0..CHANNELS {
            let mut writer = exchange.writer(channel_id(number, 0)).unwrap();
            scope.spawn(move || {
                for chunk in 0..RECORDS / 1000 {
                    writer.send(batch(number, chunk * 1000..(chunk + 1) * 1000)).unwrap();
                }
                writer.end().unwrap();
            });
        }
        let (exchange, peer) = (&exchange, worker.peer);
        let others = (1..CHANNELS).map(|number| {
            scope.spawn(move || {
                let mut reader = exchange.reader(&[(peer, channel_id(number, 1))], &like()).unwrap();
                assert_eq!(check_all(&mut reader, number), RECORDS);
            })
        });
        others.collect::<Vec<_>>().into_iter().for_each(|other| other.join().unwrap());
        assert_eq!(check_all(&mut first, 0), RECORDS);
    });
    exchange.send_message(worker.peer, b"done").unwrap();
    assert!(worker.process.wait().unwrap().success());
    assert!(lost.try_recv().is_err(), "it has said that it leaves");
}

#[test]
fn a_killed_worker_is_reported_and_others_go_on() {
    let exchange = start(1);
    let lost = losses(&exchange);
    let mut worker = start_worker("endless", exchange.local_addr());
    let mut writer = exchange.writer(channel_id(0, 0)).unwrap();
    let mut reader = exchange.reader(&[(worker.peer, channel_id(0, 1))], &like()).unwrap();
    writer.send(batch(0, 0..1000)).unwrap();
    let mut records = 0;
    while records < 1000 {
        records += reader.next_batch().unwrap().map_or(0, |batch| batch.len());
    }
    worker.process.kill().unwrap();
    let (peer, message) = lost.recv_timeout(PATIENCE).unwrap();
    assert_eq!(peer, PeerId(2));
    assert!(message.contains("worker 2") && message.contains("was lost"), "{message}");
    // Its channels are gone: they take what is held and no more, and bring nothing.
    wait_until("a channel that takes no more", || writer.try_send(batch(0, 0..1000)).unwrap().is_some());
    assert!(reader.try_next().unwrap().is_none());
    exchange.release(|_| true);
    // The exchange itself has not suffered.
    let other = start(3);
    let writer = other.writer(channel_id(5, 5)).unwrap();
    writer.end().unwrap();
    let mut reader = exchange.reader(&[(at(&other, 3), channel_id(5, 5))], &like()).unwrap();
    assert!(reader.next_batch().unwrap().is_none());
}
