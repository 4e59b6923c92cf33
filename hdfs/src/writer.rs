//! Writes a file.

use crate::runtime::wait;
use bytes::Bytes;
use flinkrs_core::fs::OutputFile;
use hdfs_native::file::FileWriter;
use std::io::{self, Write};

/// A file that is written; complete once it is closed.
pub(crate) struct HdfsWriter {
    file: Option<FileWriter>,
}

impl HdfsWriter {
    pub(crate) fn new(file: FileWriter) -> HdfsWriter {
        HdfsWriter { file: Some(file) }
    }
}

impl Write for HdfsWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(mut file) = self.file.take() else { return Err(io::ErrorKind::BrokenPipe.into()) };
        let piece = Bytes::copy_from_slice(bytes);
        let (file, written) = wait(async move {
            let written = Box::pin(file.write_bytes(piece)).await;
            (file, written)
        })
        .map_err(io::Error::other)?;
        self.file = Some(file);
        written.map_err(io::Error::other)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl OutputFile for HdfsWriter {
    fn close(mut self: Box<Self>) -> io::Result<()> {
        let Some(mut file) = self.file.take() else { return Err(io::ErrorKind::BrokenPipe.into()) };
        wait(async move { Box::pin(file.close()).await }).map_err(io::Error::other)?.map_err(io::Error::other)
    }
}
