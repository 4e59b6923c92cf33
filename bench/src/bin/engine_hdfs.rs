//! Writes or reads files on HDFS, one a thread, a MiB at a time: what `bench/hdfs/HdfsIo.java` does with Hadoop's client.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, ValueEnum};
use flinkrs::{Error, Result};
use flinkrs_bench::hdfs::{MIB, noise};
use flinkrs_core::fs::FileSystem;
use flinkrs_hadoop::conf::Configuration;
use flinkrs_hdfs::HdfsFileSystem;

/// Writes or reads files, as HADOOP_CONF_DIR says.
#[derive(Parser)]
#[command(name = "engine_hdfs")]
struct Args {
    /// What to do
    operation: Operation,

    /// The folder of the files, which are called file-0, file-1, …
    folder: PathBuf,

    /// MiB of each file
    mib: u64,

    /// Files, and threads
    streams: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Operation {
    /// Write the files
    Write,
    /// Read them, and check the number in front of each MiB
    Read,
    /// Read them, and check every byte
    Check,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(seconds) => {
            println!("seconds={seconds}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("engine_hdfs: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<f64> {
    let conf = Configuration::discover(std::env::vars())?;
    let files = HdfsFileSystem::new(&conf, "")?;
    let start = Instant::now();
    std::thread::scope(|scope| {
        let one = |i: u32| {
            let (files, path) = (&files, args.folder.join(format!("file-{i}")));
            scope.spawn(move || match args.operation {
                Operation::Write => write(files, &path, args.mib),
                operation => read(files, &path, args.mib, operation == Operation::Check),
            })
        };
        let threads: Vec<_> = (0..args.streams).map(one).collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().map_err(|_| Error::function("a thread has panicked"))?)
    })?;
    Ok(start.elapsed().as_secs_f64())
}

fn write(files: &HdfsFileSystem, path: &Path, mib: u64) -> Result<()> {
    let failed = |error| Error::io("write", path, error);
    let mut bytes = noise();
    let mut file = files.create(path)?;
    for i in 0..mib {
        bytes[..8].copy_from_slice(&i.to_le_bytes());
        file.write_all(&bytes).map_err(failed)?;
    }
    file.close().map_err(failed)
}

fn read(files: &HdfsFileSystem, path: &Path, mib: u64, all: bool) -> Result<()> {
    let failed = |error| Error::io("read", path, error);
    let (mut bytes, mut expected) = (vec![0; MIB], noise());
    let mut file = files.open(path, 0)?;
    for i in 0..mib {
        file.read_exact(&mut bytes).map_err(failed)?;
        expected[..8].copy_from_slice(&i.to_le_bytes());
        if bytes[..8] != expected[..8] || (all && bytes != expected) {
            return Err(Error::data(format!("{}: MiB {i} isn't what was written", path.display())));
        }
    }
    match file.read(&mut bytes).map_err(failed)? {
        0 => Ok(()),
        _ => Err(Error::data(format!("{} is longer than {mib} MiB", path.display()))),
    }
}
