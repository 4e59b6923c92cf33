//! A queue of batches whose record type is not known: what a blocking exchange keeps until its reader comes.

use crate::file::{BlockReader, SpillFile};
use crate::space::SpillSpace;
use flinkrs_core::batch::{BATCH_BYTES, BATCH_RECORDS};
use flinkrs_core::{Batch, Result};
use std::collections::VecDeque;

/// Batches in order: in memory up to a limit in bytes, then on disk.
///
/// Write with [`push`](BatchSpillBuffer::push), then [`seal`](BatchSpillBuffer::seal), then take out with
/// [`pop`](BatchSpillBuffer::pop). Small batches are joined, large ones stay as they came.
#[derive(Debug)]
pub struct BatchSpillBuffer {
    space: SpillSpace,
    memory_limit: usize,
    memory: VecDeque<(Batch, usize)>,
    memory_used: usize,
    disk: Option<Disk>,
    records: u64,
    /// Batches in memory that [`next_kept`](BatchSpillBuffer::next_kept) has shown since it began.
    shown: usize,
}

#[derive(Debug)]
struct Disk {
    file: SpillFile,
    like: Batch,
    reader: Option<BlockReader>,
}

/// Bytes read at a time.
const READ_BYTES: usize = 256 << 10;

impl BatchSpillBuffer {
    /// An empty queue that keeps at most `memory_limit` bytes of records in memory.
    pub fn new(space: &SpillSpace, memory_limit: usize) -> BatchSpillBuffer {
        BatchSpillBuffer {
            space: space.clone(),
            memory_limit,
            memory: VecDeque::new(),
            memory_used: 0,
            disk: None,
            records: 0,
            shown: 0,
        }
    }

    /// Appends a batch.
    pub fn push(&mut self, batch: Batch) -> Result<()> {
        if batch.is_empty() {
            return Ok(());
        }
        self.records += batch.len() as u64;
        if self.disk.is_none() {
            let bytes = batch.bytes();
            if self.memory_used + bytes <= self.memory_limit {
                self.keep(batch, bytes);
                return Ok(());
            }
            let (file, like) = (SpillFile::create(&self.space)?, batch.empty_like());
            self.disk = Some(Disk { file, like, reader: None });
        }
        let disk = self.disk.as_mut().expect("it was made above");
        debug_assert!(disk.reader.is_none(), "nothing is added to a sealed queue");
        disk.file.append_with(|out| batch.encode(out)).map(drop)
    }

    fn keep(&mut self, mut batch: Batch, bytes: usize) {
        self.memory_used += bytes;
        match self.memory.back_mut() {
            Some((last, used)) if last.len() + batch.len() <= BATCH_RECORDS && *used + bytes <= BATCH_BYTES => {
                last.append(&mut batch);
                *used += bytes;
            }
            _ => self.memory.push_back((batch, bytes)),
        }
    }

    /// Ends the writing; reading begins.
    pub fn seal(&mut self) -> Result<()> {
        if let Some(disk) = &mut self.disk {
            disk.file.flush()?;
            disk.file.release_buffer();
            disk.reader = Some(disk.file.reader(0..disk.file.end(), READ_BYTES));
        }
        Ok(())
    }

    /// Takes the next batch out, or `None` at the end.
    pub fn pop(&mut self) -> Result<Option<Batch>> {
        let batch = match self.memory.pop_front() {
            Some((batch, bytes)) => {
                self.memory_used -= bytes;
                Some(batch)
            }
            None => self.pop_from_disk()?,
        };
        self.records -= batch.as_ref().map_or(0, |batch| batch.len() as u64);
        Ok(batch)
    }

    /// A copy of the next batch, which stays, or `None` at the end, after which it begins again; not to be mixed with
    /// [`pop`](BatchSpillBuffer::pop).
    pub fn next_kept(&mut self) -> Result<Option<Batch>> {
        if let Some((batch, _)) = self.memory.get(self.shown) {
            self.shown += 1;
            return Ok(Some(batch.clone()));
        }
        if let Some(disk) = &mut self.disk {
            let reader = disk.reader.as_mut().expect("a queue is sealed before it is read");
            if let Some(block) = reader.next_block()? {
                return disk.like.decode_like(block).map(Some);
            }
            disk.reader = Some(disk.file.reader(0..disk.file.end(), READ_BYTES));
        }
        self.shown = 0;
        Ok(None)
    }

    /// Shows all that waits to be taken out, encoded, block by block; not to be mixed with
    /// [`next_kept`](BatchSpillBuffer::next_kept).
    pub fn encoded(&mut self, mut show: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let mut block = Vec::new();
        for (batch, _) in &self.memory {
            block.clear();
            batch.encode(&mut block)?;
            show(&block)?;
        }
        if let Some(disk) = &mut self.disk {
            let mut reader = disk.file.reader(0..disk.file.end(), READ_BYTES);
            while let Some(block) = reader.next_block()? {
                show(block)?;
            }
        }
        Ok(())
    }

    fn pop_from_disk(&mut self) -> Result<Option<Batch>> {
        let Some(disk) = &mut self.disk else { return Ok(None) };
        let reader = disk.reader.as_mut().expect("a queue is sealed before it is read");
        match reader.next_block()? {
            Some(block) => disk.like.decode_like(block).map(Some),
            None => {
                self.disk = None;
                Ok(None)
            }
        }
    }

    /// Records that wait to be taken out.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Bytes of memory that the records take; at most the limit.
    pub fn memory_bytes(&self) -> usize {
        self.memory_used
    }

    /// Bytes on disk.
    pub fn spilled_bytes(&self) -> u64 {
        self.disk.as_ref().map_or(0, |disk| disk.file.end())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pass(limit: usize, batch_records: usize) -> (Vec<String>, u64, usize) {
        let space = SpillSpace::new(&std::env::temp_dir());
        let mut queue = BatchSpillBuffer::new(&space, limit);
        let records: Vec<String> = (0..10_000).map(|i| format!("record {i}")).collect();
        for chunk in records.chunks(batch_records) {
            queue.push(Batch::new(chunk.to_vec())).expect("there is space");
        }
        queue.seal().expect("there is space");
        assert!(queue.memory_bytes() <= limit);
        let mut out = Vec::new();
        let mut count = 0;
        while let Some(mut batch) = queue.pop().expect("the queue is readable") {
            out.append(batch.records::<String>());
            count += 1;
        }
        assert!(out == records);
        assert_eq!(queue.records(), 0);
        (out, space.spilled_bytes(), count)
    }

    #[test]
    fn keeps_the_order_across_memory_and_disk() {
        assert_eq!(pass(usize::MAX, 1000).1, 0);
        assert!(pass(100_000, 1000).1 > 0);
        assert!(pass(0, 1000).1 > 0);
    }

    #[test]
    fn what_is_kept_is_shown_again() {
        for limit in [usize::MAX, 10_000, 0] {
            let mut queue = BatchSpillBuffer::new(&SpillSpace::new(&std::env::temp_dir()), limit);
            for chunk in (0..10_000u64).collect::<Vec<_>>().chunks(1000) {
                queue.push(Batch::new(chunk.to_vec())).expect("there is space");
            }
            queue.seal().expect("there is space");
            for _ in 0..3 {
                let mut sum = 0;
                while let Some(mut batch) = queue.next_kept().expect("the queue is readable") {
                    sum += batch.records::<u64>().drain(..).sum::<u64>();
                }
                assert_eq!(sum, 49_995_000);
            }
        }
    }

    #[test]
    fn what_is_shown_encoded_decodes_and_stays() {
        for limit in [usize::MAX, 10_000, 0] {
            let mut queue = BatchSpillBuffer::new(&SpillSpace::new(&std::env::temp_dir()), limit);
            for chunk in (0..10_000u64).collect::<Vec<_>>().chunks(1000) {
                queue.push(Batch::new(chunk.to_vec())).expect("there is space");
            }
            queue.seal().expect("there is space");
            let mut shown: Vec<u64> = Vec::new();
            let like = Batch::new(Vec::<u64>::new());
            let decode = |block: &[u8]| {
                shown.append(like.decode_like(block)?.records());
                Ok(())
            };
            queue.encoded(decode).expect("the queue is readable");
            assert!(shown.into_iter().eq(0..10_000u64));
            assert_eq!(queue.pop().expect("the queue is readable").map(|batch| batch.len()), Some(1000));
        }
    }

    #[test]
    fn joins_small_batches() {
        assert!(pass(usize::MAX, 3).2 < 20);
    }

    #[test]
    fn is_empty_when_nothing_was_pushed() {
        let mut queue = BatchSpillBuffer::new(&SpillSpace::new(&std::env::temp_dir()), 10);
        queue.push(Batch::new(Vec::<u32>::new())).expect("nothing is written");
        queue.seal().expect("nothing is written");
        assert!(queue.pop().expect("nothing is read").is_none());
    }
}
