//! Options of TaskExecutors.

use crate::config::option::options;
use crate::config::value::Fraction;
use crate::resource::ByteSize;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

options! {
    /// Address on which a TaskExecutor and its workers listen; other than loopback it needs a cluster secret or mutual
    /// TLS.
    BIND_HOST: String = "taskmanager.bind-host", "localhost";

    /// Host at which other machines reach the TaskExecutor; found out from its connection to the JobManager unless it
    /// is set.
    HOST: Option<String> = "taskmanager.host", "";

    /// Port at which other TaskExecutors fetch records.
    DATA_PORT: u16 = "taskmanager.data.port", "0";

    /// How many subtasks of a vertex a TaskExecutor runs at once; the number of its cores unless it is set.
    SLOTS: Option<NonZeroU32> = "taskmanager.numberOfTaskSlots", "";

    /// Memory of a TaskExecutor and its workers together; half of the machine's unless it is set.
    PROCESS_MEMORY: Option<ByteSize> = "taskmanager.memory.process.size", "";

    /// The part of it for sorters, hash tables and blocking results, which each slot has its share of.
    MANAGED_FRACTION: Fraction = "taskmanager.memory.managed.fraction", "0.6";

    /// The part of it for records on their way between processes.
    NETWORK_MEMORY_FRACTION: Fraction = "taskmanager.memory.network.fraction", "0.1";

    /// The least memory for records on their way.
    NETWORK_MEMORY_MIN: ByteSize = "taskmanager.memory.network.min", "16mb";

    /// The most memory for records on their way.
    NETWORK_MEMORY_MAX: ByteSize = "taskmanager.memory.network.max", "1gb";

    /// How long a TaskExecutor may be without a JobManager before it ends.
    REGISTRATION_TIMEOUT: Duration = "taskmanager.registration.timeout", "5 min";

    /// Folders for spilled records, blocking results and executables; the system's unless it is set.
    TMP_DIRS: Option<Vec<PathBuf>> = "io.tmp.dirs", "";
}
