//! The thread that reads finished partitions for consumers elsewhere, as far as their windows go.

use crate::network::remote::exchange::Shared;
use crate::network::remote::frame::{Header, Kind, refusal};
use crate::network::remote::partition_file::{Broken, PartitionFile, PartitionReader};
use crate::network::remote::peer::Peer;
use crate::network::remote::sender::{Frame, Room, SendChannel};
use crate::network::remote::{ChannelId, StoredPartition};
use crate::task::lock;
use std::collections::{HashMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::task::{Wake, Waker};

/// Frames read for one consumer before the others get their turn.
const FRAMES_PER_TURN: usize = 16;

/// The consumers that can be served now.
#[derive(Default)]
pub(crate) struct PartitionServer {
    ready: Mutex<Ready>,
    changed: Condvar,
}

#[derive(Default)]
struct Ready {
    queue: VecDeque<Arc<Served>>,
    stopping: bool,
}

/// A channel out of a file.
pub(crate) struct Served {
    server: Weak<PartitionServer>,
    pub(crate) channel: Arc<SendChannel>,
    peer: Arc<Peer>,
    slot: u32,
    reading: Mutex<Reading>,
}

#[derive(Default)]
enum Reading {
    #[default]
    Unopened,
    Open(PartitionReader),
    /// All has been sent: whoever is woken once more finds nothing to do.
    Over,
}

/// It can go on: its window has room.
impl Wake for Served {
    fn wake(self: Arc<Self>) {
        if let Some(server) = self.server.upgrade() {
            server.push(self);
        }
    }
}

impl PartitionServer {
    /// Serves a channel that a peer has requested.
    pub(crate) fn serve(self: &Arc<Self>, channel: Arc<SendChannel>, peer: &Arc<Peer>, slot: u32) {
        let (server, peer) = (Arc::downgrade(self), Arc::clone(peer));
        self.push(Arc::new(Served { server, channel, peer, slot, reading: Mutex::default() }));
    }

    fn push(&self, served: Arc<Served>) {
        lock(&self.ready).queue.push_back(served);
        self.changed.notify_one();
    }

    pub(crate) fn stop(&self) {
        lock(&self.ready).stopping = true;
        self.changed.notify_one();
    }

    /// Runs until it is stopped.
    pub(crate) fn run(&self, shared: &Shared, folder: &Path) {
        let mut open: HashMap<StoredPartition, Weak<PartitionFile>> = HashMap::new();
        loop {
            let mut ready = lock(&self.ready);
            while ready.queue.is_empty() && !ready.stopping {
                ready = self.changed.wait(ready).unwrap_or_else(PoisonError::into_inner);
            }
            if ready.stopping {
                return;
            }
            let Some(served) = ready.queue.pop_front() else { continue };
            drop(ready);
            match served.turn(folder, &mut open) {
                Ok(Turn::Again) => self.push(served),
                Ok(Turn::Waits) => {}
                Ok(Turn::Over) => shared.tidy(&served.channel),
                Err(Broken(reason)) => {
                    *lock(&served.reading) = Reading::Over;
                    served.peer.send(refusal(served.slot, &reason));
                    lock(&served.peer.outputs).remove(&served.slot);
                }
            }
            open.retain(|_, file| file.strong_count() > 0);
        }
    }
}

enum Turn {
    Again,
    Waits,
    Over,
}

impl Served {
    fn turn(
        self: &Arc<Self>,
        folder: &Path,
        open: &mut HashMap<StoredPartition, Weak<PartitionFile>>,
    ) -> Result<Turn, Broken> {
        let mut reading = lock(&self.reading);
        if let Reading::Unopened = *reading {
            *reading = Reading::Open(open_reader(folder, &self.channel.id, open)?);
        }
        for _ in 0..FRAMES_PER_TURN {
            let Reading::Open(reader) = &mut *reading else { return Ok(Turn::Over) };
            let next = match self.channel.room(|| Waker::from(Arc::clone(self))) {
                Room::Full => return Ok(Turn::Waits),
                Room::Abandoned => None,
                Room::Lost => {
                    *reading = Reading::Over;
                    return Ok(Turn::Over);
                }
                Room::Frame(_) => reader.next_frame()?,
            };
            let Some((header, payload)) = next else {
                *reading = Reading::Over;
                self.channel.push(Frame::bare(Header::new(Kind::End, 0, 0)));
                return Ok(Turn::Over);
            };
            self.channel.push(self.channel.frame(header, payload));
        }
        Ok(Turn::Again)
    }
}

fn open_reader(
    folder: &Path,
    channel: &ChannelId,
    open: &mut HashMap<StoredPartition, Weak<PartitionFile>>,
) -> Result<PartitionReader, Broken> {
    let id = channel.partition();
    let file = match open.get(&id).and_then(Weak::upgrade) {
        Some(file) => file,
        None => {
            let file = PartitionFile::open(folder, &id)?;
            open.insert(id, Arc::downgrade(&file));
            file
        }
    };
    PartitionReader::new(&file, channel.consumer)
}
