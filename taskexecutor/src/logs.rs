//! What workers wrote to standard output and error: kept by application, sent to who asks.

use flinkrs_protocol::ApplicationId;
use flinkrs_rpc::body;
use flinkrs_rpc::message::FromTaskExecutor;
use flinkrs_rpc::proto::GatewayMessage;
use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use tokio::sync::mpsc;

/// Of a longer file its end is sent.
const MOST_BYTES: u64 = 4 << 20;

/// Bytes of a piece.
const PIECE_BYTES: usize = 256 << 10;

/// Sends the logs of an application's workers, and at last an empty piece.
pub(crate) fn send(folder: &Path, application: ApplicationId, request: u64, to: Option<mpsc::Sender<GatewayMessage>>) {
    let Some(to) = to else { return };
    let folder = folder.join("logs").join(application.to_string());
    let send = move || {
        let piece = |name: String, content: Vec<u8>| {
            let Ok(encoded) = body::encode(&FromTaskExecutor::Log { request, name, content }) else { return };
            // The connection has gone, and with it who has asked.
            let _ = to.blocking_send(GatewayMessage { encoded });
        };
        let mut files: Vec<_> =
            fs::read_dir(&folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        files.sort();
        for path in files {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let Ok(mut file) = fs::File::open(&path) else { continue };
            let size = file.metadata().map(|metadata| metadata.len()).unwrap_or_default();
            let _ = file.seek(SeekFrom::Start(size.saturating_sub(MOST_BYTES)));
            let mut content = vec![0; PIECE_BYTES];
            while let Ok(read @ 1..) = file.read(&mut content) {
                piece(name.clone(), content[..read].to_vec());
            }
        }
        piece(String::new(), Vec::new());
    };
    tokio::task::spawn_blocking(send);
}
