//! Executables: stored once under the hash of their content, and handed out.

use crate::service::status_of;
use crate::store::{Store, Upload};
use flinkrs_rpc::proto::ArtifactChunk;
use std::fs::File;
use std::io::Read;
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tonic::{Status, Streaming};

/// Bytes of a chunk.
const CHUNK_BYTES: usize = 1 << 20;

/// Chunks that are read ahead.
const CHUNKS: usize = 4;

/// The name of an artifact is 64 hexadecimal digits, and so never a path to somewhere else.
pub(super) fn check_name(sha256: &str) -> Result<(), Status> {
    if sha256.len() == 64 && sha256.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return Ok(());
    }
    Err(Status::invalid_argument(format!("'{sha256}' is no SHA-256: that is 64 hexadecimal digits")))
}

/// Stores an artifact, whose content has to have the hash that its first chunk names.
pub(super) async fn put(store: &Store, mut chunks: Streaming<ArtifactChunk>) -> Result<(), Status> {
    let Some(first) = chunks.next().await.transpose()? else {
        return Err(Status::invalid_argument("an upload without content"));
    };
    check_name(&first.sha256)?;
    if store.artifact(&first.sha256).exists() {
        return Ok(());
    }
    let stored = |error| status_of(&error);
    let mut upload = Upload::begin(store).map_err(stored)?;
    let sha256 = first.sha256.clone();
    let mut chunk = Some(first);
    while let Some(ArtifactChunk { content, .. }) = chunk {
        upload.write(&content).map_err(stored)?;
        chunk = chunks.next().await.transpose()?;
    }
    upload.check(&format!("the executable {sha256}")).map_err(stored)?;
    upload.finish(Some(&sha256)).map(drop).map_err(stored)
}

/// Reads an artifact.
pub(super) fn get(store: &Store, sha256: &str) -> Result<mpsc::Receiver<Result<ArtifactChunk, Status>>, Status> {
    check_name(sha256)?;
    let path = store.artifact(sha256);
    let mut file =
        File::open(&path).map_err(|error| Status::not_found(format!("there is no executable {sha256}: {error}")))?;
    let size = file.metadata().map(|metadata| metadata.len()).unwrap_or_default();
    let (to, chunks) = mpsc::channel(CHUNKS);
    let sha256 = sha256.to_owned();
    tokio::task::spawn_blocking(move || {
        loop {
            let mut content = vec![0; CHUNK_BYTES];
            let chunk = match file.read(&mut content) {
                Ok(0) => return,
                Ok(read) => {
                    content.truncate(read);
                    Ok(ArtifactChunk { sha256: sha256.clone(), size, content })
                }
                Err(error) => Err(Status::aborted(format!("the executable {sha256} can't be read: {error}"))),
            };
            let is_last = chunk.is_err();
            if to.blocking_send(chunk).is_err() || is_last {
                return;
            }
        }
    });
    Ok(chunks)
}
