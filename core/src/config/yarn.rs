//! Options of clusters on YARN.

use crate::config::option::options;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

options! {
    /// Id of the application to which jobs are submitted; that of the last session that was started unless it is set.
    APPLICATION_ID: Option<String> = "yarn.application.id", "";

    /// Name of the application; that of the program, or what it is for, unless it is set.
    APPLICATION_NAME: Option<String> = "yarn.application.name", "";

    /// Queue to which the application goes.
    APPLICATION_QUEUE: String = "yarn.application.queue", "default";

    /// Priority of the application among those of its queue; the queue's default unless it is set.
    APPLICATION_PRIORITY: Option<NonZeroU32> = "yarn.application.priority", "";

    /// Label of the nodes on which the application may run.
    APPLICATION_NODE_LABEL: Option<String> = "yarn.application.node-label", "";

    /// Label of the nodes on which TaskExecutors may run; that of the application unless it is set.
    TASKMANAGER_NODE_LABEL: Option<String> = "yarn.taskmanager.node-label", "";

    /// What kind of application lists of YARN say that it is.
    APPLICATION_TYPE: String = "yarn.application.type", "flinkrs";

    /// Words by which the application can be found in lists of YARN, with commas.
    TAGS: Option<Vec<String>> = "yarn.tags", "";

    /// How often YARN may start the ApplicationMaster; with more than once it keeps its jobs on HDFS.
    APPLICATION_ATTEMPTS: NonZeroU32 = "yarn.application-attempts", "1";

    /// For how long the failure of an ApplicationMaster counts.
    ATTEMPT_FAILURES_VALIDITY_INTERVAL: Duration = "yarn.application-attempt-failures-validity-interval", "10 s";

    /// How long a client waits for the start of its application before it is given up.
    START_TIMEOUT: Duration = "yarn.application.start-timeout", "10 min";

    /// Whether the ApplicationMaster gets the keys in `security.kerberos.login.keytab`, so that it gets new tokens for
    /// HDFS before the old ones can't be renewed any more.
    SHIP_LOCAL_KEYTAB: bool = "yarn.security.kerberos.ship-local-keytab", "true";

    /// Port of the JobManager in its container; any free one unless it is set.
    APPLICATION_MASTER_PORT: u16 = "yarn.application-master.port", "0";

    /// Cores of the ApplicationMaster's container.
    APPMASTER_VCORES: NonZeroU32 = "yarn.appmaster.vcores", "1";

    /// Cores of a TaskExecutor's container; as many as it has slots unless it is set.
    CONTAINERS_VCORES: Option<NonZeroU32> = "yarn.containers.vcores", "";

    /// Files that are put into the folder of every container, with commas.
    SHIP_FILES: Option<Vec<PathBuf>> = "yarn.ship-files", "";

    /// Folder for what containers are started from; `.flinkrs` in the user's folder on the default file system unless
    /// it is set.
    STAGING_DIRECTORY: Option<String> = "yarn.staging-directory", "";

    /// How many replicas the files there have; the file system's default unless it is set.
    FILE_REPLICATION: Option<NonZeroU32> = "yarn.file-replication", "";

    /// Folder for the file that says which session was started last; the system's for temporary files unless it is set.
    PROPERTIES_FILE_LOCATION: Option<PathBuf> = "yarn.properties-file.location", "";

    /// How often the ApplicationMaster tells the ResourceManager that it is alive.
    HEARTBEAT_INTERVAL: Duration = "yarn.heartbeat.interval", "1 s";

    /// How often it does while it waits for containers.
    CONTAINER_REQUEST_INTERVAL: Duration = "yarn.heartbeat.container-request-interval", "50 ms";

    /// How long a TaskExecutor that nobody uses is kept.
    TASKMANAGER_TIMEOUT: Duration = "resourcemanager.taskmanager-timeout", "30 s";

    /// How many slots the TaskExecutors may have together.
    SLOTS_MAX: Option<NonZeroU32> = "slotmanager.number-of-slots.max", "";

    /// How many containers may fail in a minute; with one more the application fails.
    START_MAX_FAILURES: NonZeroU32 = "resourcemanager.start-worker.max-failure-rate", "10";
}
