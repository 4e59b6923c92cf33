//! Executables: stored once under the hash of their content, and handed out.

use crate::store::Store;
use flinkrs_rpc::proto::ArtifactChunk;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{Read, Write};
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tonic::{Status, Streaming};

/// Bytes of an executable at most.
const ARTIFACT_BYTES: u64 = 4 << 30;

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
    let failed = |error: std::io::Error| Status::aborted(format!("the executable can't be stored: {error}"));
    let Some(first) = chunks.next().await.transpose()? else {
        return Err(Status::invalid_argument("an upload without content"));
    };
    check_name(&first.sha256)?;
    let path = store.artifact(&first.sha256);
    if path.exists() {
        return Ok(());
    }
    let new =
        path.with_extension(format!("{:?}", std::time::Instant::now()).replace(|c: char| !c.is_alphanumeric(), ""));
    let stored = async {
        let mut file = File::create(&new).map_err(failed)?;
        let mut hash = Sha256::new();
        let (mut bytes, mut chunk) = (0, Some(first.clone()));
        while let Some(ArtifactChunk { content, .. }) = chunk {
            bytes += content.len() as u64;
            if bytes > ARTIFACT_BYTES {
                return Err(Status::invalid_argument(format!("an executable of more than {ARTIFACT_BYTES} bytes")));
            }
            hash.update(&content);
            file.write_all(&content).map_err(failed)?;
            chunk = chunks.next().await.transpose()?;
        }
        let found = hex(&hash.finalize());
        if found != first.sha256 {
            return Err(Status::invalid_argument(format!("the upload has the hash {found}, not {}", first.sha256)));
        }
        file.sync_all().map_err(failed)?;
        std::fs::rename(&new, &path).map_err(failed)
    };
    let stored = stored.await;
    if stored.is_err() {
        // What is left of it is found by nobody.
        let _ = std::fs::remove_file(&new);
    }
    stored
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

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
