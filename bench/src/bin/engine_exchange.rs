//! Two processes that exchange records over loopback: bytes per second, with every record checked, and the round trip
//! of a single record.
//!
//! It starts itself again as the other process.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use clap::Parser;
// Its allocator is every program's.
use flinkrs as _;
use flinkrs_core::Batch;
use flinkrs_rpc::tls::{Tls, TlsFiles};
use flinkrs_runtime::{ChannelId, ChannelReader, ChannelWriter, Compression, Exchange, ExchangeOptions, PeerId};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;

/// Records and round trips between two processes.
#[derive(Parser)]
struct Options {
    /// Records of 64 bytes that each channel carries
    #[arg(long, default_value_t = 30_000_000)]
    records: u64,

    /// Channels at once
    #[arg(long, default_value_t = 1)]
    channels: u32,

    /// Round trips of one record
    #[arg(long, default_value_t = 20_000)]
    trips: u64,

    /// With LZ4
    #[arg(long)]
    compress: bool,

    /// Encrypted, between certificates that are made for it
    #[arg(long)]
    tls: bool,

    /// The folder with the certificates: this is the second
    #[arg(long, hide = true)]
    certificates: Option<PathBuf>,

    /// Where the first process listens: this is the second
    #[arg(long, hide = true)]
    parent: Option<SocketAddr>,
}

/// 64 bytes.
type Record = [u64; 8];

const BATCH: u64 = 1024;

fn record(number: u64) -> Record {
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    [number, mixed, !number, mixed ^ 1, number ^ mixed, mixed ^ 2, mixed ^ 3, mixed ^ 4]
}

fn channel(edge: u32, producer: u32) -> ChannelId {
    ChannelId { job: 1, execution: 0, edge, producer, attempt: 0, consumer: 0 }
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("engine_exchange: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), String> {
    let made = if options.tls && options.parent.is_none() { Some(certificates()?) } else { None };
    let certificates = made.as_ref().map(|folder| folder.path().to_owned()).or(options.certificates.clone());
    let tls = certificates.as_deref().map(files).map(Tls::read).transpose().map_err(|error| error.to_string())?;
    let exchange = Exchange::start(ExchangeOptions {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        job: 1,
        me: PeerId(if options.parent.is_some() { 2 } else { 1 }),
        secret: b"bench".to_vec(),
        memory_bytes: 64 << 20,
        compression: if options.compress { Compression::Lz4 } else { Compression::None },
        folder: None,
        tls: tls.map(|tls| (tls.client, tls.server)),
    })
    .map_err(|error| error.to_string())?;
    match options.parent {
        Some(parent) => produce(&exchange, (PeerId(1), parent), options).map_err(|error| error.to_string()),
        None => {
            let (child, addr) = start_other(&exchange, certificates.as_deref())?;
            measure(&exchange, (PeerId(2), addr), options).map_err(|error| error.to_string())?;
            wait(child)
        }
    }
}

/// Certificates of an authority and of both processes, in a folder.
fn certificates() -> Result<TempDir, String> {
    let make = || {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new(Vec::new())?.signed_by(&key, &authority)?;
        Ok::<_, rcgen::Error>((authority.pem(), certificate.pem() + &key.serialize_pem()))
    };
    let (truststore, keystore) = make().map_err(|error| error.to_string())?;
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let files = files(folder.path());
    let owner = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    let written = fs::write(&files.truststore, truststore)
        .and_then(|()| fs::write(&files.keystore, keystore))
        .and_then(|()| fs::set_permissions(&files.keystore, owner));
    written.map(|()| folder).map_err(|error| error.to_string())
}

fn files(folder: &Path) -> TlsFiles {
    TlsFiles { keystore: folder.join("keystore.pem"), truststore: folder.join("truststore.pem") }
}

fn start_other(exchange: &Exchange, certificates: Option<&Path>) -> Result<(Child, SocketAddr), String> {
    let program = env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new(program);
    command.args(env::args().skip(1)).args(["--parent", &exchange.local_addr().to_string()]);
    if let Some(folder) = certificates {
        command.arg("--certificates").arg(folder);
    }
    let mut child = command.stdout(Stdio::piped()).spawn().map_err(|error| error.to_string())?;
    let output = child.stdout.take().ok_or("no output")?;
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line).map_err(|error| error.to_string())?;
    let addr = line.trim().parse().map_err(|_| format!("the other process says `{line}`"))?;
    Ok((child, addr))
}

fn wait(mut child: Child) -> Result<(), String> {
    let status = child.wait().map_err(|error| error.to_string())?;
    if status.success() { Ok(()) } else { Err(format!("the other process failed: {status}")) }
}

type Peer = (PeerId, SocketAddr);

/// The second process: echoes, then produces.
fn produce(exchange: &Exchange, parent: Peer, options: &Options) -> flinkrs_core::Result<()> {
    println!("{}", exchange.local_addr());
    let like = Batch::new(Vec::<u64>::new());
    let mut pings = exchange.reader(&[(parent, channel(0, 0))], &like)?;
    let mut pongs = exchange.writer(channel(1, 0))?;
    while let Some(ping) = pings.next_batch()? {
        pongs.send(ping)?;
    }
    pongs.end()?;
    let writers: Vec<ChannelWriter> =
        (0..options.channels).map(|i| exchange.writer(channel(2, i))).collect::<Result<_, _>>()?;
    thread::scope(|scope| {
        let threads: Vec<_> = writers.into_iter().map(|writer| scope.spawn(|| fill(writer, options.records))).collect();
        threads.into_iter().try_for_each(|thread| thread.join().unwrap_or(Ok(())))
    })
}

fn fill(mut writer: ChannelWriter, records: u64) -> flinkrs_core::Result<()> {
    let mut batch = Batch::new(Vec::<Record>::with_capacity(BATCH as usize));
    let mut number = 0;
    while number < records {
        let until = (number + BATCH).min(records);
        batch.records::<Record>().extend((number..until).map(record));
        batch = writer.send(batch)?;
        number = until;
    }
    writer.end()
}

/// The first process: pings, then consumes.
fn measure(exchange: &Exchange, peer: Peer, options: &Options) -> flinkrs_core::Result<()> {
    let (median, high) = round_trips(exchange, peer, options.trips)?;
    println!("TRIP_US={median:.1} TRIP_P99_US={high:.1}");
    let begin = Instant::now();
    let (to, from) = mpsc::channel();
    thread::scope(|scope| {
        for i in 0..options.channels {
            let to = to.clone();
            scope.spawn(move || {
                let like = Batch::new(Vec::<Record>::new());
                let checked = exchange.reader(&[(peer, channel(2, i))], &like).and_then(check);
                // The receiver is there until all have sent.
                let _ = to.send(checked);
            });
        }
    });
    drop(to);
    let checked = from.iter().sum::<flinkrs_core::Result<u64>>()?;
    let seconds = begin.elapsed().as_secs_f64();
    if checked != options.records * u64::from(options.channels) {
        return Err(flinkrs_core::Error::data(format!("{checked} records came")));
    }
    let bytes = checked as f64 * size_of::<Record>() as f64;
    println!("RECORDS={checked} SECONDS={seconds:.3} GB_PER_S={:.3}", bytes / seconds / 1e9);
    Ok(())
}

fn check(mut reader: ChannelReader) -> flinkrs_core::Result<u64> {
    let mut number = 0;
    while let Some(mut batch) = reader.next_batch()? {
        for found in batch.records::<Record>() {
            let differs = found.iter().zip(record(number)).fold(0, |differs, (found, sent)| differs | (found ^ sent));
            if differs != 0 {
                return Err(flinkrs_core::Error::data(format!("record {number} is {found:?}")));
            }
            number += 1;
        }
    }
    Ok(number)
}

/// The median and the 99th of 100 round trips, in microseconds.
fn round_trips(exchange: &Exchange, peer: Peer, trips: u64) -> flinkrs_core::Result<(f64, f64)> {
    let mut pings = exchange.writer(channel(0, 0))?;
    let mut pongs = exchange.reader(&[(peer, channel(1, 0))], &Batch::new(Vec::<u64>::new()))?;
    let mut times = Vec::new();
    for number in 0..trips {
        let begin = Instant::now();
        pings.send(Batch::new(vec![number]))?;
        let pong = pongs.next_batch()?;
        times.push(begin.elapsed().as_secs_f64() * 1e6);
        let pong = pong.and_then(|mut batch| batch.records::<u64>().pop());
        if pong != Some(number) {
            return Err(flinkrs_core::Error::data(format!("the echo of {number} is {pong:?}")));
        }
    }
    pings.end()?;
    while pongs.next_batch()?.is_some() {}
    times.sort_by(f64::total_cmp);
    let at = |part: f64| times.get((times.len() as f64 * part) as usize).copied().unwrap_or(f64::NAN);
    Ok((at(0.5), at(0.99)))
}
