//! Tasks and inboxes at the ends of remote channels.

use crate::network::remote::{ChannelId, Compression, Exchange, ExchangeOptions, PeerId, address_of};
use crate::network::{ChannelSender, Inbox, Sent, Taken};
use crate::task::{Runnable, Scheduler, TaskCell, Verdict, lock};
use flinkrs_core::Batch;
use flinkrs_core::element::{Barrier, Element, Superstep, Watermark};
use flinkrs_memory::{BatchSpillBuffer, SpillSpace};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

fn start(me: u64) -> Exchange {
    let options = ExchangeOptions {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        job: 1,
        me: PeerId(me),
        secret: b"secret".to_vec(),
        memory_bytes: 4 << 20,
        compression: Compression::None,
        folder: None,
        tls: None,
    };
    Exchange::start(options).unwrap()
}

fn channel(producer: u32) -> ChannelId {
    ChannelId { job: 1, execution: 0, edge: 0, producer, attempt: 0, consumer: 0 }
}

fn request(from: &Exchange, id: u64, by: &Exchange, producer: u32, inbox: &Arc<Inbox>) {
    let like = Batch::new(Vec::<u64>::new());
    let peer = (PeerId(id), from.local_addr());
    by.request(peer, channel(producer), Arc::clone(inbox), like).unwrap();
}

/// Sends elements as a task does: what finds no room is sent when it is woken.
struct Producer {
    sender: Box<dyn ChannelSender>,
    elements: VecDeque<Element>,
}

impl Runnable for Producer {
    fn run(&mut self) -> Verdict {
        while let Some(element) = self.elements.pop_front() {
            if let Sent::Full(element) = self.sender.try_send(element).unwrap() {
                self.elements.push_front(element);
                return Verdict::Wait;
            }
        }
        Verdict::Done
    }
}

/// Takes a little at a time, and says what it took.
struct Consumer {
    inbox: Arc<Inbox>,
    taken: Arc<Mutex<Vec<String>>>,
}

impl Runnable for Consumer {
    fn run(&mut self) -> Verdict {
        let mut elements = VecDeque::new();
        let found = self.inbox.take(&mut elements).unwrap();
        let texts = elements.into_iter().map(|element| match element {
            Element::Batch(mut batch) => format!("{:?}", batch.records::<u64>()),
            other => format!("{other:?}"),
        });
        lock(&self.taken).extend(texts);
        match found {
            Taken::Some => Verdict::Again,
            Taken::Empty => Verdict::Wait,
            Taken::Ended => Verdict::Done,
        }
    }
}

fn cell(scheduler: &Arc<Scheduler>, body: impl Runnable + 'static) -> Arc<TaskCell> {
    let cell = TaskCell::new(scheduler, 0);
    cell.set_body(Box::new(body));
    cell
}

/// Runs producers in one process's tasks and a consumer in another's, so to speak; what the consumer took.
fn run(inbox: &Arc<Inbox>, elements: Vec<Vec<Element>>) -> Vec<String> {
    let (a, b) = (start(1), start(2));
    let (there, here) = (Scheduler::new(1, Some(a.lookout())), Scheduler::new(1, Some(b.lookout())));
    let producers = elements.into_iter().zip(0..).map(|(elements, producer)| {
        let sender = a.sender(channel(producer)).unwrap();
        cell(&there, Producer { sender, elements: elements.into() })
    });
    let producers: Vec<_> = producers.collect();
    let taken = Arc::default();
    let consumer = cell(&here, Consumer { inbox: Arc::clone(inbox), taken: Arc::clone(&taken) });
    inbox.set_consumer(Arc::clone(&consumer));
    for producer in 0..producers.len() as u32 {
        request(&a, 1, &b, producer, inbox);
    }
    there.start(&producers).unwrap();
    here.start(&[consumer]).unwrap();
    assert!(there.wait(Some(PATIENCE)) && here.wait(Some(PATIENCE)), "a task was not woken");
    std::mem::take(&mut *lock(&taken))
}

fn batch(number: u64) -> Element {
    Element::Batch(Batch::new(vec![number; 1000]))
}

#[test]
fn elements_of_every_kind_arrive_in_order() {
    let mut sent: Vec<Element> = (0..2000).map(batch).collect();
    for at in (0..2000).step_by(97) {
        sent.insert(at, Element::SuperstepEnd(Superstep(at as u32)));
        sent.insert(at, Element::Watermark(Watermark(-7)));
        sent.insert(at, Element::Barrier(Barrier(u64::MAX)));
    }
    let expected: Vec<String> = sent
        .iter()
        .map(|element| match element {
            Element::Batch(batch) => format!("{:?}", batch.clone().records::<u64>()),
            other => format!("{other:?}"),
        })
        .collect();
    sent.push(Element::End);
    let taken = run(&Inbox::pipelined(1), vec![sent]);
    // A batch may arrive in parts.
    let flat = |texts: &[String]| texts.concat().replace("][", ", ");
    assert!(flat(&taken) == flat(&expected));
}

#[test]
fn a_blocking_inbox_keeps_what_comes_until_all_have_ended() {
    let space = SpillSpace::new(&std::env::temp_dir());
    let inbox = Inbox::blocking(3, BatchSpillBuffer::new(&space, 100_000));
    let sent = |from: u64| (from * 100..from * 100 + 100).map(batch).chain([Element::End]).collect();
    let taken = run(&inbox, (0..3).map(sent).collect());
    let mut firsts: Vec<u64> = taken
        .iter()
        .flat_map(|text| {
            let numbers = text.trim_matches(['[', ']']).split(", ").map(|number| number.parse::<u64>().unwrap());
            numbers.collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(firsts.len(), 300_000);
    firsts.sort_unstable();
    firsts.dedup();
    assert!(firsts.into_iter().eq(0..300));
    assert!(space.spilled_bytes() > 0);
}

#[test]
fn a_failed_channel_fails_its_consumer() {
    let (a, b) = (start(1), start(2));
    let inbox = Inbox::pipelined(1);
    let like = Batch::new(Vec::<u64>::new());
    b.request_stored((PeerId(1), a.local_addr()), channel(0), Arc::clone(&inbox), like).unwrap();
    let mut into = VecDeque::new();
    let begin = std::time::Instant::now();
    let error = loop {
        match inbox.take(&mut into) {
            Ok(_) => assert!(begin.elapsed() < PATIENCE),
            Err(error) => break error,
        }
    };
    assert!(error.to_string().contains("keeps no partitions"), "{error}");
}

#[test]
fn the_channel_of_a_worker_to_itself_is_refused() {
    let a = start(1);
    let like = Batch::new(Vec::<u64>::new());
    let asked = a.request((PeerId(1), a.local_addr()), channel(0), Inbox::pipelined(1), like);
    assert!(asked.is_err());
}

#[test]
fn a_process_is_found_by_the_name_of_its_host() {
    let named = |text| address_of(text, &"worker 1");
    assert_eq!(named("localhost:7000").unwrap(), "127.0.0.1:7000".parse().unwrap());
    assert_eq!(named("10.1.2.3:7000").unwrap(), "10.1.2.3:7000".parse().unwrap());
    let error = named("no port").unwrap_err().to_string();
    assert!(error.contains("'no port' of worker 1 can't be found from here"), "{error}");
}
