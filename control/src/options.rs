//! What can be set, with its defaults: how often a job is restarted, and how long who waits for what.

use flinkrs_core::config::{Configuration, execution, jobmanager, restart};
use std::time::Duration;

/// How a JobMaster treats its job.
#[derive(Clone, Debug, PartialEq)]
pub struct JobOptions {
    /// What happens after a failure.
    pub restart: RestartStrategy,
    /// How long a region waits for slots before the job fails (`slot.request.timeout`).
    pub slot_request_timeout: Duration,
    /// How long slots are kept by a job that runs nothing because it waits for more (`slot.idle.timeout`).
    pub slot_idle_timeout: Duration,
    /// How long finished partitions of a lost TaskExecutor may take to come back with its successor before they are
    /// made again (`execution.batch.job-recovery.previous-worker.recovery.timeout`).
    pub partition_return_timeout: Duration,
    /// How long a worker may take to start (`worker.start-timeout`).
    pub worker_start_timeout: Duration,
    /// How long a task may take to stop before its worker is ended (`task.cancellation.timeout`).
    pub cancellation_timeout: Duration,
    /// How long a failed or cancelled job waits for a worker that removes what its sinks wrote (`sink.abort-timeout`).
    pub abort_timeout: Duration,
    /// How many failures are kept (`web.exception-history-size`).
    pub exception_history_size: usize,
    /// How many earlier attempts of a subtask are kept (`jobmanager.execution.attempts-history-size`).
    pub attempts_history_size: usize,
}

impl Default for JobOptions {
    fn default() -> JobOptions {
        JobOptions {
            restart: RestartStrategy::default(),
            slot_request_timeout: Duration::from_secs(300),
            slot_idle_timeout: Duration::from_secs(50),
            partition_return_timeout: Duration::from_secs(5),
            worker_start_timeout: Duration::from_secs(60),
            cancellation_timeout: Duration::from_secs(30),
            abort_timeout: Duration::from_secs(30),
            exception_history_size: 16,
            attempts_history_size: 16,
        }
    }
}

impl JobOptions {
    /// Those that are set.
    pub fn of(config: &Configuration) -> JobOptions {
        JobOptions {
            restart: RestartStrategy::of(config),
            slot_request_timeout: config.get(&jobmanager::SLOT_REQUEST_TIMEOUT),
            partition_return_timeout: config.get(&execution::PREVIOUS_WORKER_RECOVERY_TIMEOUT),
            ..JobOptions::default()
        }
    }
}

/// What happens after a failure (`restart-strategy.type`).
#[derive(Clone, Debug, PartialEq)]
pub enum RestartStrategy {
    /// `none`: the job fails.
    None,
    /// `fixed-delay`: so many restarts, each after a delay.
    FixedDelay {
        /// Restarts before the job fails.
        attempts: u32,
        /// How long before each.
        delay: Duration,
    },
    /// `failure-rate`: restarts as long as failures aren't too frequent.
    FailureRate {
        /// Failures in an interval; with one more the job fails.
        max_failures: u32,
        /// The interval.
        interval: Duration,
        /// How long before each restart.
        delay: Duration,
    },
    /// `exponential-delay`: restarts after longer and longer delays.
    ExponentialDelay {
        /// The first delay.
        initial: Duration,
        /// The longest delay.
        max: Duration,
        /// By how much a delay is longer than the one before; at least 1.
        multiplier: f64,
        /// After so long without a failure the delay is the first again.
        reset_threshold: Duration,
        /// By which part of itself a delay is made longer or shorter at random, from 0 to 1.
        jitter: f64,
        /// Restarts since the last reset before the job fails; `None` is no limit.
        attempts: Option<u32>,
    },
}

impl RestartStrategy {
    /// The one that is set.
    pub fn of(config: &Configuration) -> RestartStrategy {
        match config.get(&restart::STRATEGY) {
            restart::RestartStrategy::None => RestartStrategy::None,
            restart::RestartStrategy::FixedDelay => RestartStrategy::FixedDelay {
                attempts: config.get(&restart::FIXED_ATTEMPTS),
                delay: config.get(&restart::FIXED_DELAY),
            },
            restart::RestartStrategy::FailureRate => RestartStrategy::FailureRate {
                max_failures: config.get(&restart::RATE_MAX_FAILURES).get(),
                interval: config.get(&restart::RATE_INTERVAL),
                delay: config.get(&restart::RATE_DELAY),
            },
            restart::RestartStrategy::ExponentialDelay => RestartStrategy::ExponentialDelay {
                initial: config.get(&restart::INITIAL_BACKOFF),
                max: config.get(&restart::MAX_BACKOFF),
                multiplier: config.get(&restart::BACKOFF_MULTIPLIER).0,
                reset_threshold: config.get(&restart::RESET_BACKOFF_THRESHOLD),
                jitter: config.get(&restart::JITTER_FACTOR).0,
                attempts: None,
            },
        }
    }
}

impl Default for RestartStrategy {
    /// Ten restarts, a second after each failure: a batch job that goes on failing should say so soon, and one that
    /// loses a machine should not.
    fn default() -> RestartStrategy {
        RestartStrategy::FixedDelay { attempts: 10, delay: Duration::from_secs(1) }
    }
}

/// How the ResourceManager treats TaskExecutors and applications.
#[derive(Clone, Debug, PartialEq)]
pub struct ResourceOptions {
    /// How often heartbeats are sent (`heartbeat.interval`).
    pub heartbeat_interval: Duration,
    /// After how long without one the other side counts as lost (`heartbeat.timeout`).
    pub heartbeat_timeout: Duration,
    /// Whether an application gets its slots from as many TaskExecutors as possible
    /// (`cluster.evenly-spread-out-slots`), or from as few.
    pub spread: bool,
    /// TaskExecutors that can be started on demand, or `None` where others start them.
    pub elastic: Option<Elastic>,
}

/// TaskExecutors that are started when slots are missing and released when idle.
#[derive(Clone, Debug, PartialEq)]
pub struct Elastic {
    /// Slots of each (`taskmanager.numberOfTaskSlots`).
    pub slots_each: u32,
    /// Managed memory of each slot, in bytes, for plans that are made before there are any.
    pub slot_bytes: u64,
    /// How many there may be at a time (`slotmanager.number-of-slots.max`, in TaskExecutors).
    pub max: u32,
    /// How long an idle one is kept (`resourcemanager.taskmanager-timeout`).
    pub idle_timeout: Duration,
}

impl Default for ResourceOptions {
    /// A lost process is noticed in less than 5 s.
    fn default() -> ResourceOptions {
        ResourceOptions {
            heartbeat_interval: Duration::from_secs(1),
            heartbeat_timeout: Duration::from_secs(4),
            spread: true,
            elastic: None,
        }
    }
}

/// How the Dispatcher treats jobs and clients.
#[derive(Clone, Debug, PartialEq)]
pub struct DispatcherOptions {
    /// How many finished jobs are kept (`jobstore.max-capacity`).
    pub finished_jobs: usize,
    /// After how long without a sign of life a client counts as lost (`client.heartbeat.timeout`).
    pub client_timeout: Duration,
}

impl Default for DispatcherOptions {
    fn default() -> DispatcherOptions {
        DispatcherOptions { finished_jobs: 100, client_timeout: Duration::from_secs(30) }
    }
}
