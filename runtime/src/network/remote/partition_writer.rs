//! Writes a result that outlives its producer: all consumers' channels of one producing subtask into one file.

use crate::network::remote::codec::Encoder;
use crate::network::remote::frame::{HEADER_BYTES, Header};
use crate::network::remote::partition_file::{Extent, HEAD_BYTES, encode_head, encode_tail};
use crate::network::remote::{BufferPool, Compression, StoredPartition, UNFINISHED};
use crate::network::{ChannelSender, Sent};
use crate::task::lock;
use flinkrs_core::element::Element;
use flinkrs_core::{Batch, Error, Result};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// A frame in a file is at most so large, unless one record is: a consumer with a small window has to take it whole.
const FRAME_BYTES: usize = 64 << 10;

/// Gathered for one consumer before it is written, memory permitting.
const EXTENT_BYTES_MAX: usize = 256 << 10;

/// The file while it is written. Dropped before its end, it is removed.
struct PartitionWriter {
    file: File,
    path: PathBuf,
    finished: PathBuf,
    memory_bytes: usize,
    written: u64,
    /// By consumer.
    open: Vec<Vec<u8>>,
    open_bytes: usize,
    extents: Vec<Vec<Extent>>,
    /// Channels whose end hasn't come.
    open_channels: usize,
}

/// The senders of a producing subtask, one per consuming subtask, which share a file in `folder`.
///
/// At most `memory_bytes` of encoded records wait to be written, beside one frame. The file has its name once all
/// channels have ended.
pub(crate) fn partition_senders(
    folder: &Path,
    id: &StoredPartition,
    consumers: u32,
    memory_bytes: usize,
    compression: Compression,
    pool: &Arc<BufferPool>,
) -> Result<Vec<Box<dyn ChannelSender>>> {
    let writer = Arc::new(Mutex::new(PartitionWriter::create(folder, id, consumers, memory_bytes)?));
    let sender = |consumer| {
        let encoder = Encoder::new(compression, pool);
        Box::new(PartitionSender { writer: Arc::clone(&writer), consumer, encoder }) as Box<dyn ChannelSender>
    };
    Ok((0..consumers as usize).map(sender).collect())
}

impl PartitionWriter {
    fn create(folder: &Path, id: &StoredPartition, consumers: u32, memory_bytes: usize) -> Result<PartitionWriter> {
        let finished = folder.join(id.file_name());
        let path = finished.with_extension(UNFINISHED);
        fs::create_dir_all(folder).map_err(|error| Error::io("make the folder", folder, error))?;
        let file = File::create(&path).map_err(|error| Error::io("create", &path, error))?;
        let count = consumers as usize;
        let mut writer = PartitionWriter {
            file,
            path,
            finished,
            memory_bytes,
            written: 0,
            open: vec![Vec::new(); count],
            open_bytes: 0,
            extents: vec![Vec::new(); count],
            open_channels: count,
        };
        writer.write(&encode_head(id, consumers))?;
        debug_assert_eq!(writer.written, HEAD_BYTES as u64);
        Ok(writer)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(|error| Error::io("write", &self.path, error))?;
        self.written += bytes.len() as u64;
        Ok(())
    }

    fn push(&mut self, consumer: usize, frame: &[u8]) -> Result<()> {
        self.open[consumer].extend_from_slice(frame);
        self.open_bytes += frame.len();
        if self.open[consumer].len() >= EXTENT_BYTES_MAX {
            self.write_extent(consumer)?;
        }
        while self.open_bytes > self.memory_bytes {
            let largest = (0..self.open.len()).max_by_key(|consumer| self.open[*consumer].len());
            self.write_extent(largest.unwrap_or(consumer))?;
        }
        Ok(())
    }

    fn write_extent(&mut self, consumer: usize) -> Result<()> {
        let bytes = std::mem::take(&mut self.open[consumer]);
        self.open_bytes -= bytes.len();
        // At most one frame more than an extent's size, and a frame is less than 4 GB.
        let extent = Extent { offset: self.written, bytes: u32::try_from(bytes.len()).unwrap_or(u32::MAX) };
        self.write(&bytes)?;
        match self.extents[consumer].last_mut() {
            Some(last)
                if last.offset + u64::from(last.bytes) == extent.offset
                    && last.bytes.checked_add(extent.bytes).is_some() =>
            {
                last.bytes += extent.bytes;
            }
            _ => self.extents[consumer].push(extent),
        }
        Ok(())
    }

    fn end_channel(&mut self) -> Result<()> {
        self.open_channels -= 1;
        if self.open_channels > 0 {
            return Ok(());
        }
        for consumer in 0..self.open.len() {
            if !self.open[consumer].is_empty() {
                self.write_extent(consumer)?;
            }
        }
        let tail = encode_tail(self.written, &self.extents);
        self.write(&tail)?;
        fs::rename(&self.path, &self.finished).map_err(|error| Error::io("rename", &self.path, error))?;
        self.path = PathBuf::new();
        Ok(())
    }
}

impl Drop for PartitionWriter {
    fn drop(&mut self) {
        if !self.path.as_os_str().is_empty() {
            // The job has failed, or ends with an error: that one counts.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// One consumer's channel into the file. A file always has room: the task that writes waits for the disk.
struct PartitionSender {
    writer: Arc<Mutex<PartitionWriter>>,
    consumer: usize,
    encoder: Encoder,
}

impl PartitionSender {
    fn push(&mut self, mut batch: Batch) -> Result<Option<Batch>> {
        let PartitionSender { writer, consumer, encoder } = self;
        while !batch.is_empty() {
            let Some((header, mut frame)) = encoder.encode_some(&mut batch, FRAME_BYTES)? else { continue };
            frame[..HEADER_BYTES].copy_from_slice(&Header::encode(&header));
            lock(writer).push(*consumer, &frame)?;
            encoder.recycle(frame);
        }
        Ok(Some(batch))
    }
}

impl ChannelSender for PartitionSender {
    fn try_send(&mut self, element: Element) -> Result<Sent> {
        match element {
            Element::Batch(batch) => self.push(batch).map(Sent::Taken),
            Element::End => lock(&self.writer).end_channel().map(|()| Sent::Taken(None)),
            other => Err(Error::internal(format!("{other:?} is to be written to a partition's file"))),
        }
    }
}
