//! Files of blocks, each written as `[length u32][bytes]`.

use crate::snapshot::{LoopStore, StateFile, advised};
use crc32fast::Hasher;
use flinkrs_core::error::{Error, Result};
use flinkrs_core::fs::OutputFile;
use flinkrs_core::state::{StateReader, StateWriter};
use std::io::{BufReader, BufWriter, Read, Write};
use std::sync::Arc;
use std::vec;

/// Bytes gathered before a write, and read at a time.
const BUFFER_BYTES: usize = 256 << 10;

/// Length prefix of a block.
const HEADER_BYTES: usize = 4;

/// Writes one file.
pub(crate) struct StateFileWriter<'a> {
    store: &'a LoopStore,
    file: BufWriter<Box<dyn OutputFile>>,
    hash: Hasher,
    state: StateFile,
}

impl<'a> StateFileWriter<'a> {
    pub(crate) fn new(store: &'a LoopStore, name: String, file: Box<dyn OutputFile>) -> StateFileWriter<'a> {
        let state = StateFile { name, bytes: 0, crc32: 0 };
        StateFileWriter { store, file: BufWriter::with_capacity(BUFFER_BYTES, file), hash: Hasher::new(), state }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.hash.update(bytes);
        self.state.bytes += bytes.len() as u64;
        self.file.write_all(bytes).map_err(|error| self.error(error))
    }

    fn error(&self, error: std::io::Error) -> Error {
        advised(Error::io("write", self.store.path(&self.state.name), error))
    }

    /// Hands all to the system; the file isn't safe from a crash of the machine yet.
    pub(crate) fn finish(self) -> Result<StateFile> {
        let StateFileWriter { store, file, hash, state } = self;
        let closed = file.into_inner().map_err(|error| error.into_error()).and_then(|file| file.close());
        closed.map_err(|error| advised(Error::io("write", store.path(&state.name), error)))?;
        Ok(StateFile { crc32: hash.finalize(), ..state })
    }
}

impl StateWriter for StateFileWriter<'_> {
    fn block(&mut self, bytes: &[u8]) -> Result<()> {
        let len = u32::try_from(bytes.len()).map_err(|_| Error::Resource {
            message: format!("a block of {} bytes is too large for a snapshot; a record has at most 4 GB", bytes.len()),
        })?;
        self.write(&len.to_le_bytes())?;
        self.write(bytes)
    }
}

/// Reads the blocks of files that have been checked, one file after the other.
pub(crate) struct StateFiles {
    store: Arc<LoopStore>,
    files: vec::IntoIter<StateFile>,
    current: Option<(StateFile, BufReader<Box<dyn Read + Send>>)>,
    /// Bytes of the current file that haven't been read.
    rest: u64,
    block: Vec<u8>,
}

impl StateFiles {
    pub(crate) fn new(store: &Arc<LoopStore>, files: Vec<StateFile>) -> StateFiles {
        let files = files.into_iter();
        StateFiles { store: Arc::clone(store), files, current: None, rest: 0, block: Vec::new() }
    }

    /// Reads so many bytes of the current file into the block.
    fn read(&mut self, bytes: usize) -> Result<()> {
        let Some((state, file)) = &mut self.current else { return Ok(()) };
        if bytes as u64 > self.rest {
            return Err(self.store.broken(&state.name, "ends in the middle of a block"));
        }
        self.rest -= bytes as u64;
        self.block.resize(bytes, 0);
        let path = self.store.path(&state.name);
        file.read_exact(&mut self.block).map_err(|error| advised(Error::io("read", path, error)))
    }
}

impl StateReader for StateFiles {
    fn next_block(&mut self) -> Result<Option<&[u8]>> {
        while self.rest == 0 {
            let Some(next) = self.files.next() else { return Ok(None) };
            self.rest = next.bytes;
            let file = self.store.open(&next.name)?;
            self.current = Some((next, BufReader::with_capacity(BUFFER_BYTES, file)));
        }
        self.read(HEADER_BYTES)?;
        let header: [u8; HEADER_BYTES] = self.block[..].try_into().expect("so many bytes were read");
        self.read(u32::from_le_bytes(header) as usize)?;
        Ok(Some(&self.block))
    }
}

/// What a file's content is found to be: its length and its checksum.
pub(crate) fn measure(mut file: Box<dyn Read + Send>) -> std::io::Result<(u64, u32)> {
    let (mut buffer, mut hash, mut bytes) = (vec![0; BUFFER_BYTES], Hasher::new(), 0);
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok((bytes, hash.finalize())),
            Ok(count) => {
                hash.update(&buffer[..count]);
                bytes += count as u64;
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
