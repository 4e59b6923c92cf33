//! The service of a worker through which its channels to and from other workers go, and its handle.

use crate::network::remote::credit::{Grant, ReceiveBudget, ReceiveWindow};
use crate::network::remote::frame::{Header, Kind, MESSAGE_BYTES_MAX, Malformed, refusal, with_payload};
use crate::network::remote::handshake::Identity;
use crate::network::remote::input::{FileInput, RemoteInput};
use crate::network::remote::links::Links;
use crate::network::remote::partition_server::PartitionServer;
use crate::network::remote::partition_writer::partition_senders;
use crate::network::remote::peer::Peer;
use crate::network::remote::reactor::Reactor;
use crate::network::remote::sender::{RemoteSender, SendChannel, SendShare};
use crate::network::remote::socket::TlsConfigs;
use crate::network::remote::{BufferPool, ChannelId, Origin, PeerId, StoredPartition};
use crate::network::{ChannelSender, Inbox};
use crate::task::{Lookout, lock};
use flinkrs_core::{Batch, Error, Result};
use flinkrs_protocol::NetworkUse;
use std::collections::HashMap;
use std::fmt;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

/// A channel that is requested before its producer is there waits; a peer that asks for more than so many is broken.
const REQUESTS_WAITING_MAX: usize = 1 << 20;

/// Whether frames are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Compression {
    /// They are not: for networks that are faster than a core compresses.
    #[default]
    None,
    /// With LZ4, where that makes a frame smaller.
    Lz4,
}

/// What an exchange is started with.
#[derive(Clone)]
pub struct ExchangeOptions {
    /// Where to listen; port 0 takes any. `127.0.0.1:0` unless peers are on other machines.
    pub listen: SocketAddr,
    /// What the processes that talk to each other belong to: a job, or a cluster.
    pub job: u128,
    /// This worker, unique within the job.
    pub me: PeerId,
    /// What only the workers of the job know; a connection begins with the proof that both sides do.
    pub secret: Vec<u8>,
    /// Memory for what arrives and what waits to be sent, in bytes: half of it is the budget of all receive windows, a
    /// quarter for channels that hold data nobody has requested yet, a quarter for buffers at rest. Beyond it come
    /// 16 KiB and one frame per channel, and 1 MiB per peer.
    pub memory_bytes: usize,
    /// Whether frames are compressed, and the blocks of partitions' files.
    pub compression: Compression,
    /// Where partitions are written, and served from: this worker's, or those of one that has gone.
    pub folder: Option<PathBuf>,
    /// How connections are encrypted that this side makes, and that others make, and by which certificates both prove
    /// themselves; `None`: they aren't.
    pub tls: Option<TlsConfigs>,
}

impl fmt::Debug for ExchangeOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("ExchangeOptions");
        out.field("listen", &self.listen).field("me", &self.me).field("memory_bytes", &self.memory_bytes);
        out.field("compression", &self.compression).finish_non_exhaustive()
    }
}

/// Another worker, or whoever serves partitions in its place, and where it listens.
type Address = (PeerId, SocketAddr);

type MessageHandler = Arc<dyn Fn(PeerId, Vec<u8>) + Send + Sync>;
type LostHandler = Arc<dyn Fn(PeerId, Vec<ChannelId>, Error) + Send + Sync>;

/// The network of one worker: a handle that is cheap to clone.
///
/// One thread accepts and dials, and reads what no idle worker of a scheduler does; producers write themselves. With a
/// folder, another reads partitions' files.
///
/// When the last handle is dropped, requested channels are sent to their ends as far as that takes no longer than a
/// second, the connections are closed, and the threads end: a worker keeps its exchange until its job is over. A
/// handler must not own the exchange.
#[derive(Clone)]
pub struct Exchange {
    pub(crate) service: Arc<Service>,
}

pub(crate) struct Service {
    pub(crate) shared: Arc<Shared>,
    links: Arc<Links>,
    local_addr: SocketAddr,
    threads: Vec<JoinHandle<()>>,
}

impl Drop for Service {
    fn drop(&mut self) {
        self.shared.command(Command::Stop);
        self.shared.files.iter().for_each(|(_, server)| server.stop());
        for thread in self.threads.drain(..).filter(|thread| thread.thread().id() != thread::current().id()) {
            // A panic of the thread has been printed; there is nobody to tell any more.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Exchange({} at {})", self.service.shared.identity.me, self.service.local_addr)
    }
}

impl Exchange {
    /// Binds and starts.
    ///
    /// Errors when the address can't be listened on, or the system refuses a thread.
    pub fn start(options: ExchangeOptions) -> Result<Exchange> {
        let listen = options.listen;
        let listener = TcpListener::bind(listen);
        let listener = listener.map_err(|error| Error::network(format!("cannot listen on {listen}: {error}")))?;
        Exchange::start_at(listener, options)
    }

    /// The same at a port that is held already; where `options` say that it listens doesn't count.
    pub fn start_at(listener: TcpListener, options: ExchangeOptions) -> Result<Exchange> {
        let failed = |error| Error::network(format!("cannot listen: {error}"));
        let (reactor, shared, links) = Reactor::new(listener, options).map_err(failed)?;
        let local_addr = reactor.local_addr().map_err(failed)?;
        let mut service = Service { shared: Arc::clone(&shared), links, local_addr, threads: Vec::new() };
        service.threads.push(spawn("exchange", move || reactor.run())?);
        if let Some((folder, server)) = shared.files.clone() {
            service.threads.push(spawn("partitions", move || server.run(&shared, &folder))?);
        }
        Ok(Exchange { service: Arc::new(service) })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.service.local_addr
    }

    /// Reads what has come, for workers of a scheduler that have nothing else to do.
    pub(crate) fn lookout(&self) -> Arc<dyn Lookout> {
        self.service.links.lookout()
    }

    /// The producer's end of a channel that some worker requests, before or after this call.
    pub(crate) fn sender(&self, channel: ChannelId) -> Result<Box<dyn ChannelSender>> {
        let sender = self.service.shared.sender(channel)?;
        Ok(Box::new(sender))
    }

    /// The producer's ends, one per consuming subtask, of a partition that is kept in the exchange's folder from when
    /// all of them have ended. At most `memory_bytes` of encoded records, and a frame, wait to be written.
    ///
    /// Errors when there is no folder, or no file can be made there.
    pub(crate) fn partition(
        &self,
        id: &StoredPartition,
        consumers: u32,
        memory_bytes: usize,
    ) -> Result<Vec<Box<dyn ChannelSender>>> {
        let shared = &self.service.shared;
        let (folder, _) = shared.files.as_ref().ok_or_else(|| id.error("can't be kept: its worker has no folder"))?;
        partition_senders(folder, id, consumers, memory_bytes, shared.send.compression, &shared.pool)
    }

    /// Requests a channel from its producer's worker and feeds `inbox`, whose consumer decodes as `like` does.
    pub(crate) fn request(&self, peer: Address, channel: ChannelId, inbox: Arc<Inbox>, like: Batch) -> Result<()> {
        self.service.shared.request(peer, channel, Origin::Producer, &inbox, &like)
    }

    /// Requests a channel of a finished partition from whoever serves its file, and feeds `inbox` with it. A partition
    /// in the folder of this exchange is read by the consumer, in its own turns.
    ///
    /// That the partition is missing or broken is an error of this call, or one that the consumer finds in the inbox.
    pub(crate) fn request_stored(
        &self,
        peer: Address,
        channel: ChannelId,
        inbox: Arc<Inbox>,
        like: Batch,
    ) -> Result<()> {
        let shared = &self.service.shared;
        match &shared.files {
            Some((folder, _)) if peer.0 == shared.identity.me => {
                inbox.add_file(FileInput::open(folder, channel, like)?);
                Ok(())
            }
            _ => shared.request(peer, channel, Origin::File, &inbox, &like),
        }
    }

    /// What it uses of its memory now.
    pub fn in_use(&self) -> NetworkUse {
        let shared = &self.service.shared;
        let (credit_bytes, channels_in) = shared.receive.in_use();
        NetworkUse {
            total_bytes: shared.memory_bytes as u64,
            credit_bytes,
            held_bytes: shared.send.held.load(Ordering::Relaxed) as u64,
            spare_bytes: shared.pool.spare_bytes() as u64,
            channels_in,
            channels_out: lock(&shared.outgoing).channels.len() as u64,
        }
    }

    /// Sends a small message to another worker, behind what was sent to it before.
    ///
    /// Errors when it is larger than 1 MiB, or for the worker itself; that the peer can't be reached is told to the
    /// handler of [`Exchange::on_peer_lost`].
    pub fn send_message(&self, peer: Address, message: &[u8]) -> Result<()> {
        if message.len() > MESSAGE_BYTES_MAX {
            let bytes = message.len();
            return Err(Error::internal(format!("a message of {bytes} bytes; at most {MESSAGE_BYTES_MAX}")));
        }
        while !self.service.shared.peer(peer)?.send(with_payload(Header::new(Kind::Message, 0, 0), message)) {}
        Ok(())
    }

    /// Calls `handler` with every message that comes, on the exchange's thread or that of an idle worker of a
    /// scheduler, in order for each peer; it mustn't block.
    pub fn on_message(&self, handler: MessageHandler) {
        *lock(&self.service.shared.on_message) = Some(handler);
    }

    /// Calls `handler` on the exchange's thread when a peer can't be reached, or its connection ended before it said so
    /// or before a channel's end: with the channels, of both directions, that had not come to their ends. They are gone
    /// then; what becomes of their tasks is for the job to decide.
    pub fn on_peer_lost(&self, handler: LostHandler) {
        *lock(&self.service.shared.on_lost) = Some(handler);
    }

    /// Drops the channels, of both directions, that `is_over` picks: of a cancelled or finished attempt. What still
    /// arrives for them is dropped, too.
    pub fn release(&self, is_over: impl Fn(&ChannelId) -> bool) {
        self.service.shared.release(&is_over);
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    thread::Builder::new().name(name.to_owned()).spawn(run).map_err(|error| Error::Resource {
        message: format!("the system refuses a thread of the network: {error}; raise its limit (`ulimit -u`)"),
    })
}

/// What the reactor is told.
pub(crate) enum Command {
    Dial(Arc<Peer>),
    Stop,
}

/// What the handles and the reactor share.
pub(crate) struct Shared {
    pub(crate) identity: Identity,
    pub(crate) pool: Arc<BufferPool>,
    pub(crate) peers: Mutex<HashMap<PeerId, Arc<Peer>>>,
    pub(crate) on_message: Mutex<Option<MessageHandler>>,
    pub(crate) on_lost: Mutex<Option<LostHandler>>,
    /// The folder of partitions, and the thread that serves them.
    pub(crate) files: Option<(Arc<Path>, Arc<PartitionServer>)>,
    send: Arc<SendShare>,
    receive: Arc<ReceiveBudget>,
    outgoing: Mutex<Outgoing>,
    commands: Mutex<Vec<Command>>,
    waker: mio::Waker,
    pub(crate) tls: Option<TlsConfigs>,
    memory_bytes: usize,
}

/// Channels that this worker produces, and requests for channels whose producer isn't there yet.
#[derive(Default)]
struct Outgoing {
    channels: HashMap<ChannelId, Arc<SendChannel>>,
    requests: HashMap<ChannelId, Request>,
}

struct Request {
    peer: Arc<Peer>,
    slot: u32,
    first_window: u64,
}

impl Shared {
    pub(crate) fn new(options: ExchangeOptions, waker: mio::Waker) -> Arc<Shared> {
        let ExchangeOptions { job, me, secret, memory_bytes, compression, folder, tls, .. } = options;
        let pool = Arc::new(BufferPool::new(memory_bytes / 4));
        let send =
            SendShare { pool: Arc::clone(&pool), compression, held: AtomicUsize::new(0), held_max: memory_bytes / 4 };
        Arc::new(Shared {
            identity: Identity { job, me, secret },
            pool,
            peers: Mutex::default(),
            on_message: Mutex::default(),
            on_lost: Mutex::default(),
            files: folder.map(|folder| (Arc::from(folder), Arc::default())),
            send: Arc::new(send),
            receive: ReceiveBudget::new(memory_bytes / 2),
            outgoing: Mutex::default(),
            commands: Mutex::default(),
            waker,
            tls,
            memory_bytes,
        })
    }

    fn command(&self, command: Command) {
        lock(&self.commands).push(command);
        self.wake_reactor();
    }

    pub(crate) fn wake_reactor(&self) {
        // Fails only when the reactor is gone.
        let _ = self.waker.wake();
    }

    pub(crate) fn commands(&self) -> Vec<Command> {
        std::mem::take(&mut *lock(&self.commands))
    }

    /// The peer, dialed if there is no connection yet.
    fn peer(&self, (id, addr): Address) -> Result<Arc<Peer>> {
        if id == self.identity.me {
            return Err(Error::internal("a worker's channel to itself goes through the network"));
        }
        let mut peers = lock(&self.peers);
        if let Some(peer) = peers.get(&id) {
            return Ok(Arc::clone(peer));
        }
        let peer = Peer::new(id, addr, &self.pool);
        peers.insert(id, Arc::clone(&peer));
        drop(peers);
        self.command(Command::Dial(Arc::clone(&peer)));
        Ok(peer)
    }

    fn sender(self: &Arc<Self>, id: ChannelId) -> Result<RemoteSender> {
        let channel = SendChannel::new(id, &self.send);
        let mut outgoing = lock(&self.outgoing);
        if outgoing.channels.contains_key(&id) {
            return Err(Error::internal(format!("channel {id} has two producers")));
        }
        match outgoing.requests.remove(&id) {
            None => drop(outgoing.channels.insert(id, Arc::clone(&channel))),
            Some(request) => {
                drop(outgoing);
                self.attach(&channel, &request);
            }
        }
        Ok(RemoteSender::new(channel, self))
    }

    /// On the reactor: a peer requests a channel.
    pub(crate) fn requested(&self, peer: &Arc<Peer>, slot: u32, id: ChannelId, window: u64) -> Result<(), Malformed> {
        let request = Request { peer: Arc::clone(peer), slot, first_window: window };
        let mut outgoing = lock(&self.outgoing);
        if let Some(channel) = outgoing.channels.remove(&id) {
            drop(outgoing);
            self.attach(&channel, &request);
            return Ok(());
        }
        if outgoing.requests.len() >= REQUESTS_WAITING_MAX {
            return Err(Malformed(format!("more than {REQUESTS_WAITING_MAX} channels are requested")));
        }
        match outgoing.requests.insert(id, request) {
            None => Ok(()),
            Some(_) => Err(Malformed(format!("channel {id} is requested twice"))),
        }
    }

    /// On the reactor: a peer requests a channel of a finished partition.
    pub(crate) fn requested_file(&self, peer: &Arc<Peer>, slot: u32, id: ChannelId, window: u64) {
        let Some((_, server)) = &self.files else {
            peer.send(refusal(slot, "is missing: the worker keeps no partitions"));
            return;
        };
        let channel = SendChannel::new(id, &self.send);
        self.attach(&channel, &Request { peer: Arc::clone(peer), slot, first_window: window });
        server.serve(channel, peer, slot);
    }

    fn attach(&self, channel: &Arc<SendChannel>, request: &Request) {
        lock(&request.peer.outputs).insert(request.slot, Arc::clone(channel));
        channel.attach(&request.peer, request.slot, request.first_window);
        if request.peer.is_closed() {
            // The connection has ended meanwhile, perhaps before the channel stood in its list.
            channel.lose();
        }
        self.tidy(channel);
    }

    /// On the reactor: the consumer of a channel has taken something.
    pub(crate) fn granted(&self, peer: &Peer, slot: u32, grant: Grant) -> Result<(), Malformed> {
        // A channel that has ended here may still be told.
        let Some(channel) = lock(&peer.outputs).get(&slot).cloned() else { return Ok(()) };
        channel.grant(grant)?;
        self.tidy(&channel);
        Ok(())
    }

    /// On the reactor: the consumer of a channel reads no further.
    pub(crate) fn abandoned(&self, peer: &Peer, slot: u32) {
        let channel = lock(&peer.outputs).get(&slot).cloned();
        if let Some(channel) = channel {
            channel.abandon();
            self.tidy(&channel);
        }
    }

    /// Forgets a channel that is over.
    pub(crate) fn tidy(&self, channel: &SendChannel) {
        if let Some((peer, slot)) = channel.over() {
            lock(&peer.outputs).remove(&slot);
        }
    }

    fn request(&self, at: Address, channel: ChannelId, origin: Origin, inbox: &Arc<Inbox>, like: &Batch) -> Result<()> {
        loop {
            let peer = self.peer(at)?;
            let (slot, window) = (peer.next_slot(), ReceiveWindow::open(&self.receive));
            let first = u64::from(window.first());
            let (inbox, like) = (Arc::clone(inbox), like.empty_like());
            let input = RemoteInput::new(channel, slot, &peer, inbox, like, window, &self.pool);
            lock(&peer.inputs).insert(slot, input);
            let header = Header { extra: u32::from(origin == Origin::File), ..Header::new(Kind::Request, slot, first) };
            let sent = peer.send(with_payload(header, &channel.encode()));
            // A connection that ended since is reported together with this channel, if it stood in its list by then.
            if sent || lock(&peer.inputs).remove(&slot).is_none() {
                return Ok(());
            }
        }
    }

    /// The connection to a peer is over: its channels are lost. Those that were still open.
    pub(crate) fn forget(&self, peer: &Arc<Peer>) -> Vec<ChannelId> {
        let mut peers = lock(&self.peers);
        if peers.get(&peer.id).is_some_and(|known| Arc::ptr_eq(known, peer)) {
            peers.remove(&peer.id);
        }
        drop(peers);
        peer.close();
        lock(&self.outgoing).requests.retain(|_, request| !Arc::ptr_eq(&request.peer, peer));
        let inputs = std::mem::take(&mut *lock(&peer.inputs));
        let outputs = std::mem::take(&mut *lock(&peer.outputs));
        outputs.values().for_each(|channel| channel.lose());
        inputs.values().map(|input| input.channel).chain(outputs.values().map(|channel| channel.id)).collect()
    }

    /// The exchange ends: no connection stays open because somebody still holds a channel.
    pub(crate) fn forget_all(&self) {
        let peers: Vec<Arc<Peer>> = lock(&self.peers).values().cloned().collect();
        for peer in peers {
            self.forget(&peer);
        }
    }

    fn release(&self, is_over: &dyn Fn(&ChannelId) -> bool) {
        let mut outgoing = lock(&self.outgoing);
        outgoing.channels.retain(|id, _| !is_over(id));
        outgoing.requests.retain(|id, _| !is_over(id));
        drop(outgoing);
        let peers: Vec<Arc<Peer>> = lock(&self.peers).values().cloned().collect();
        for peer in peers {
            let released: Vec<_> = lock(&peer.inputs).extract_if(|_, input| is_over(&input.channel)).collect();
            released.iter().for_each(|(_, input)| input.abandon());
            let released: Vec<_> = lock(&peer.outputs).extract_if(|_, channel| is_over(&channel.id)).collect();
            released.iter().for_each(|(_, channel)| channel.lose());
        }
    }
}
