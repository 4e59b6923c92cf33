//! Strangers at the listener: garbage, cut frames, other versions, jobs and secrets. Each loses its connection, and
//! nobody else notices.

use crate::common::*;
use flinkrs_runtime::{Exchange, ExchangeOptions, PeerId};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::channel;

/// Two workers that talk before and after.
fn undisturbed(disturb: impl FnOnce(&Exchange)) {
    let (a, b) = (start(1), start(2));
    let lost = losses(&b);
    let (to, from) = channel();
    b.on_message(Arc::new(move |_, message| to.send(message).unwrap()));
    a.send_message(at(&b, 2), b"before").unwrap();
    assert_eq!(from.recv_timeout(PATIENCE).unwrap(), b"before");
    disturb(&b);
    a.send_message(at(&b, 2), b"after").unwrap();
    assert_eq!(from.recv_timeout(PATIENCE).unwrap(), b"after");
    assert!(lost.try_recv().is_err(), "nobody was lost");
}

/// Sends bytes and waits until the other side hangs up; what it says until then.
fn say(to: &Exchange, bytes: &[u8]) -> Vec<u8> {
    let mut stranger = TcpStream::connect(to.local_addr()).unwrap();
    stranger.set_read_timeout(Some(PATIENCE)).unwrap();
    // The other side may have hung up before it has all.
    let _ = stranger.write_all(bytes);
    let mut answer = Vec::new();
    match stranger.read_to_end(&mut answer) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}"),
    }
    answer
}

#[test]
fn garbage_is_cut_off() {
    undisturbed(|b| {
        for bytes in [
            vec![0; 1000],
            vec![0xff; 64],
            b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(10),
            (0..=255).collect(),
        ] {
            say(b, &bytes);
        }
    });
}

#[test]
fn who_leaves_in_the_middle_is_forgotten() {
    undisturbed(|b| {
        for count in [0, 1, 63] {
            let mut stranger = TcpStream::connect(b.local_addr()).unwrap();
            stranger.write_all(&vec![b'F'; count]).unwrap();
            stranger.shutdown(Shutdown::Write).unwrap();
            let mut answer = Vec::new();
            let _ = stranger.read_to_end(&mut answer);
            assert!(answer.is_empty());
        }
    });
}

#[test]
fn another_version_is_told_which_this_is() {
    undisturbed(|b| {
        let mut hello = vec![0; 64];
        hello[..6].copy_from_slice(b"FLKX\xff\x00");
        let answer = say(b, &hello);
        assert_eq!((answer.len(), &answer[..6]), (64, b"FLKX\x01\x00".as_slice()));
    });
}

#[test]
fn who_does_not_know_the_secret_learns_nothing_and_is_lost_at_once() {
    undisturbed(|b| {
        for other in [
            ExchangeOptions { secret: b"guessed".to_vec(), ..options(3) },
            ExchangeOptions { job: JOB + 1, ..options(3) },
            ExchangeOptions { ..options(2) },
        ] {
            let me = other.me;
            let c = Exchange::start(other).unwrap();
            let lost = losses(&c);
            if me == PeerId(2) {
                // Of its own id is only what a worker says to itself.
                assert!(c.send_message(at(b, 2), b"hello").is_err());
                continue;
            }
            c.send_message(at(b, 2), b"hello").unwrap();
            let (peer, message) = lost.recv_timeout(PATIENCE).unwrap();
            assert_eq!(peer, PeerId(2));
            assert!(message.contains("cannot connect to worker 2"), "{message}");
        }
    });
}

#[test]
fn a_peer_that_is_not_there_is_lost() {
    let a = start(1);
    let gone = {
        let b = start(2);
        at(&b, 2)
    };
    let lost = losses(&a);
    a.send_message(gone, b"hello").unwrap();
    let (peer, message) = lost.recv_timeout(PATIENCE).unwrap();
    assert_eq!(peer, PeerId(2));
    assert!(message.contains("refused"), "{message}");
}

#[test]
fn a_peer_that_is_another_one_is_lost() {
    let (a, b) = (start(1), start(2));
    let lost = losses(&a);
    a.send_message((PeerId(9), b.local_addr()), b"hello").unwrap();
    assert!(lost.recv_timeout(PATIENCE).unwrap().1.contains("worker 2 listens there"));
}
