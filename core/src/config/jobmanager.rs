//! Options of the JobManager.

use crate::config::option::options;
use crate::resource::ByteSize;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

options! {
    /// Host at which clients and TaskExecutors reach the JobManager.
    RPC_ADDRESS: String = "jobmanager.rpc.address", "localhost";

    /// Port at which clients and TaskExecutors reach the JobManager.
    RPC_PORT: u16 = "jobmanager.rpc.port", "6123";

    /// Address on which the JobManager listens for them; other than loopback it needs a cluster secret or mutual TLS.
    BIND_HOST: String = "jobmanager.bind-host", "localhost";

    /// Memory of the container of the JobManager on YARN.
    PROCESS_MEMORY: ByteSize = "jobmanager.memory.process.size", "256mb";

    /// Arguments for the ssh that `flinkrs cluster start --workers FILE` calls, separated by spaces.
    SSH_OPTS: Option<String> = "env.ssh.opts", "";

    /// How long a job waits for slots that are missing before it fails and says which.
    SLOT_REQUEST_TIMEOUT: Duration = "slot.request.timeout", "5 min";

    /// Whether subtasks are spread over all TaskExecutors, instead of filling one after the other.
    EVENLY_SPREAD_OUT_SLOTS: bool = "cluster.evenly-spread-out-slots", "false";

    /// How many finished jobs are remembered.
    JOBSTORE_MAX_CAPACITY: NonZeroU32 = "jobstore.max-capacity", "100";

    /// Folder from which a restarted JobManager has its jobs back; without one they are lost with it.
    HA_STORAGE_DIR: Option<PathBuf> = "high-availability.storageDir", "";

    /// Folder for executables that were uploaded; beside the jobs in `high-availability.storageDir`, or else in the
    /// first folder of `io.tmp.dirs`, unless it is set. A restarted JobManager needs the same.
    BLOB_STORAGE_DIRECTORY: Option<PathBuf> = "blob.storage.directory", "";
}
