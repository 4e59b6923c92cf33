//! The TaskExecutor: its registration and its workers.
//!
//! What it has belongs to a session with one JobManager. When that is over it ends its workers, and only then
//! introduces itself anew, under another name. Finished partitions stay, if the JobManager is still the same.

mod message;
mod workers;

pub use message::{TaskExecutorCommand, TaskExecutorEvent, WorkerExit};

use crate::resource_manager::Registration;
use crate::time::Timestamp;
use flinkrs_protocol::{Failure, FailureKind, TaskExecutorId};
use std::time::Duration;
use workers::Workers;

/// How a TaskExecutor treats its JobManager.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskExecutorOptions {
    /// How often heartbeats are sent (`heartbeat.interval`).
    pub heartbeat_interval: Duration,
    /// After how long without one the JobManager counts as lost (`heartbeat.timeout`).
    pub heartbeat_timeout: Duration,
    /// How long before it tries again to connect.
    pub reconnect_delay: Duration,
    /// How long it may be without a JobManager before it ends (`taskmanager.registration.timeout`).
    pub registration_timeout: Duration,
}

impl Default for TaskExecutorOptions {
    /// As the ResourceManager's.
    fn default() -> TaskExecutorOptions {
        let reconnect_delay = Duration::from_millis(500);
        let (heartbeat_interval, heartbeat_timeout) = (Duration::from_secs(1), Duration::from_secs(4));
        let registration_timeout = Duration::from_secs(300);
        TaskExecutorOptions { heartbeat_interval, heartbeat_timeout, reconnect_delay, registration_timeout }
    }
}

/// The decisions of one TaskExecutor.
pub struct TaskExecutor {
    options: TaskExecutorOptions,
    /// As it registers; the name gets a number from the second time on.
    registration: Registration,
    registrations: u32,
    link: Link,
    /// Since when it has no JobManager; known from the first event on.
    alone_since: Option<Timestamp>,
    last_heard: Timestamp,
    next_heartbeat: Timestamp,
    stopping: bool,
    workers: Workers,
    wake_at: Option<Timestamp>,
    commands: Vec<TaskExecutorCommand>,
}

/// The connection to the JobManager.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    /// It connects then, if the last worker of before has ended.
    Down(Timestamp),
    Connecting,
    Registering,
    Registered,
}

impl TaskExecutor {
    /// A TaskExecutor that connects at the first [`TaskExecutorEvent::Tick`].
    pub fn new(registration: Registration, options: TaskExecutorOptions) -> TaskExecutor {
        TaskExecutor {
            options,
            registration,
            registrations: 0,
            link: Link::Down(Timestamp(0)),
            alone_since: None,
            last_heard: Timestamp(0),
            next_heartbeat: Timestamp(0),
            stopping: false,
            workers: Workers::default(),
            wake_at: None,
            commands: Vec::new(),
        }
    }

    /// The name under which it is, or was last, registered.
    pub fn id(&self) -> TaskExecutorId {
        let name = &self.registration.task_executor;
        match self.registrations {
            0 | 1 => name.clone(),
            number => format!("{name}.{number}").into(),
        }
    }

    /// Takes in what has happened, and says what is to be done.
    pub fn handle(&mut self, event: TaskExecutorEvent, now: Timestamp) -> Vec<TaskExecutorCommand> {
        let registered = self.link == Link::Registered;
        if !registered {
            self.alone_since.get_or_insert(now);
        }
        match event {
            TaskExecutorEvent::Connected if self.link == Link::Connecting => self.register(now),
            TaskExecutorEvent::Registered if self.link == Link::Registering => {
                self.link = Link::Registered;
                self.alone_since = None;
                (self.last_heard, self.next_heartbeat) = (now, now + self.options.heartbeat_interval);
            }
            TaskExecutorEvent::Refused { message } if self.link == Link::Registering => {
                let message = format!("the JobManager refuses TaskExecutor {}: {message}", self.id());
                self.commands
                    .push(TaskExecutorCommand::Exit { error: Some(Failure::new(FailureKind::Usage, message)) });
            }
            TaskExecutorEvent::Heartbeat => self.last_heard = now,
            TaskExecutorEvent::Disconnected { reason } => {
                self.disconnected(now);
                self.give_up_if_alone(&reason, now);
            }
            TaskExecutorEvent::StartWorker { application, worker } if registered && !self.stopping => {
                self.workers.start(application, worker, &mut self.commands);
            }
            TaskExecutorEvent::StopWorker { application, worker } if registered => {
                self.workers.stop(application, worker, &mut self.commands);
            }
            TaskExecutorEvent::WorkerExited { application, worker, exit } => {
                let on = self.id();
                self.workers.exited(application, worker, &exit, registered.then_some(&on), &mut self.commands);
            }
            TaskExecutorEvent::Stop => self.stop(now),
            TaskExecutorEvent::Tick => self.wake_at = None,
            _ => {}
        }
        self.go_on(now);
        self.wake();
        std::mem::take(&mut self.commands)
    }

    fn register(&mut self, now: Timestamp) {
        self.registrations += 1;
        self.link = Link::Registering;
        self.last_heard = now;
        let registration = Registration { task_executor: self.id(), ..self.registration.clone() };
        self.commands.push(TaskExecutorCommand::Register(registration));
    }

    /// The session is over, and its workers are ended.
    fn disconnected(&mut self, now: Timestamp) {
        if matches!(self.link, Link::Down(_)) {
            return;
        }
        if self.link == Link::Registered {
            self.alone_since = Some(now);
        }
        self.link = Link::Down(now + self.options.reconnect_delay);
        self.workers.kill_all(&mut self.commands);
    }

    /// Ends the process when there has been no JobManager for too long.
    fn give_up_if_alone(&mut self, reason: &str, now: Timestamp) {
        let timeout = self.options.registration_timeout;
        if self.stopping || self.alone_since.is_none_or(|since| now - since < timeout) {
            return;
        }
        let seconds = timeout.as_secs_f64();
        let message =
            format!("there has been no JobManager for {seconds} s (taskmanager.registration.timeout): {reason}");
        self.commands.push(TaskExecutorCommand::Exit { error: Some(Failure::new(FailureKind::Lost, message)) });
    }

    fn stop(&mut self, now: Timestamp) {
        if !self.stopping {
            self.stopping = true;
            self.commands.push(TaskExecutorCommand::Disconnect);
            self.disconnected(now);
        }
    }

    /// What is due, by time or because nothing stands against it any more.
    fn go_on(&mut self, now: Timestamp) {
        match self.link {
            Link::Down(_) if self.stopping && self.workers.is_empty() => {
                self.commands.push(TaskExecutorCommand::Exit { error: None });
            }
            Link::Down(at) if at <= now && !self.stopping && self.workers.is_empty() => {
                self.link = Link::Connecting;
                self.commands.push(TaskExecutorCommand::Connect);
            }
            Link::Registering | Link::Registered if self.last_heard + self.options.heartbeat_timeout <= now => {
                self.commands.push(TaskExecutorCommand::Disconnect);
                self.disconnected(now);
            }
            Link::Registered if self.next_heartbeat <= now => {
                self.next_heartbeat = now + self.options.heartbeat_interval;
                self.commands.push(TaskExecutorCommand::Heartbeat);
            }
            _ => {}
        }
    }

    fn wake(&mut self) {
        let silence = self.last_heard + self.options.heartbeat_timeout;
        let next = match self.link {
            Link::Down(at) if self.workers.is_empty() && !self.stopping => Some(at),
            Link::Down(_) | Link::Connecting => None,
            Link::Registering => Some(silence),
            Link::Registered => Some(silence.min(self.next_heartbeat)),
        };
        if next.is_some() && next != self.wake_at {
            self.wake_at = next;
            self.commands.extend(next.map(TaskExecutorCommand::WakeAt));
        }
    }
}

#[cfg(test)]
mod tests;
