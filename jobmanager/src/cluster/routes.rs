//! Where messages, and the commands of the deciders, go.

use crate::cluster::{Cluster, Message, Step, Timer, log};
use crate::driver::DriverCommand;
use flinkrs_control::dispatcher::{DispatcherCommand, DispatcherEvent};
use flinkrs_control::jobmaster::{JobCommand, JobEvent};
use flinkrs_control::resource_manager::{ResourceCommand, ResourceEvent};
use flinkrs_core::error::Error;
use flinkrs_protocol::{ApplicationId, Failure};
use flinkrs_rpc::message::{SinkStep, ToTaskExecutor, ToWorker};

impl Cluster {
    /// Takes a message.
    pub(super) fn take(&mut self, message: Message) {
        match message {
            Message::Open { program, executable, attached, reply } => {
                let _ = reply.send(self.open(program, &executable, attached));
            }
            Message::Attached(application) => self.dispatch(DispatcherEvent::ClientHeartbeat { application }),
            Message::ClientLost(application) => {
                self.dispatch(DispatcherEvent::ClientLost { application });
                self.client_done(application);
            }
            Message::Close { application, reply } => {
                self.dispatch(DispatcherEvent::ClientDone { application });
                self.client_done(application);
                let _ = reply.send(Ok(()));
            }
            Message::Submit { application, job, execution, submission, reply } => {
                self.submit(application, job, execution, *submission, reply);
            }
            Message::Watch { job, to, reply } => {
                let _ = reply.send(self.watch(job, to));
            }
            Message::Cancel { job, reply } => {
                let known = self.dispatcher.job(job).is_some();
                self.dispatch(DispatcherEvent::Cancel { job });
                let _ = reply.send(if known { Ok(()) } else { Err(Error::usage(format!("there is no job {job}"))) });
            }
            Message::Logs { job, to, reply } => {
                let _ = reply.send(self.read_logs(job, to));
            }
            Message::LogOf { task_executor, name, to, reply } => {
                let _ = reply.send(self.read_log_of(task_executor, name, to));
            }
            Message::LogsOf { task_executor, reply } => self.list_logs_of(task_executor, reply),
            Message::Look(look) => look(self),
            Message::TaskExecutorConnected { registration, out } => self.task_executor_connected(registration, out),
            Message::FromTaskExecutor { task_executor, message } => self.task_executor_says(task_executor, message),
            Message::TaskExecutorGone { task_executor } => self.task_executor_gone(task_executor),
            Message::WorkerConnected { registration, out } => self.worker_connected(registration, out),
            Message::FromWorker { application, worker, message } => self.worker_says(application, worker, message),
            Message::WorkerGone { application, worker } => {
                self.worker_gone(application, worker, "its connection has ended")
            }
            Message::NoMoreSlots(reason) => {
                let all: Vec<ApplicationId> = self.applications.keys().copied().collect();
                for application in all {
                    self.job(application, JobEvent::NoMoreSlots { message: reason.clone() });
                }
            }
            Message::ShutDown(reply) => self.ending = Some(reply),
        }
    }

    pub(super) fn dispatch(&mut self, event: DispatcherEvent) {
        self.steps.push_back(Step::Dispatcher(event));
    }

    pub(super) fn resource(&mut self, event: ResourceEvent) {
        self.steps.push_back(Step::Resources(event));
    }

    pub(super) fn job(&mut self, application: ApplicationId, event: JobEvent) {
        self.steps.push_back(Step::Job(application, event));
    }

    /// Carries out what the Dispatcher says.
    pub(super) fn dispatcher_says(&mut self, command: DispatcherCommand) {
        match command {
            DispatcherCommand::StartApplication { application } => self.start_master(application),
            DispatcherCommand::StartJob { application, submission } => {
                self.job(application, JobEvent::Submit(submission));
            }
            DispatcherCommand::Accepted { job, .. } => self.answer(job, Ok(())),
            DispatcherCommand::Refused { job, message, .. } => self.answer(job, Err(Error::usage(message))),
            DispatcherCommand::StoreJob { application, submission, .. } => self.store_job(application, submission.job),
            DispatcherCommand::StoreResult { application, outcome, .. } => self.store_outcome(application, &outcome),
            DispatcherCommand::RemoveResult { job } => {
                self.jobs.remove(&job);
                self.store.remove_outcome(job).unwrap_or_else(|error| log(&error.to_string()));
            }
            DispatcherCommand::CancelJob { application, job } => self.job(application, JobEvent::Cancel { job }),
            DispatcherCommand::CloseApplication { application } => self.job(application, JobEvent::Close),
            DispatcherCommand::WakeAt(at) => drop(self.timers.insert(Timer::Dispatcher, at)),
        }
    }

    /// Carries out what the ResourceManager says.
    pub(super) fn resources_say(&mut self, command: ResourceCommand) {
        match command {
            ResourceCommand::Registered { task_executor } => {
                log(&format!("TaskExecutor {task_executor} is registered"));
                let data_secret = self.data_secret.bytes().to_vec();
                self.tell_task_executor(&task_executor, &ToTaskExecutor::Registered { data_secret });
            }
            ResourceCommand::Refused { task_executor, message } => {
                self.tell_task_executor(&task_executor, &ToTaskExecutor::Refused(message));
                self.forget_task_executor(&task_executor);
            }
            ResourceCommand::Disconnect { task_executor } => self.forget_task_executor(&task_executor),
            ResourceCommand::Grant { application, slots } => self.job(application, JobEvent::SlotsGranted { slots }),
            ResourceCommand::Missing { application, task_executors, slots, free_slots } => {
                self.job(application, JobEvent::SlotsMissing { task_executors, slots, free_slots });
            }
            ResourceCommand::TaskExecutorLost { task_executor, reason } => {
                log(&format!("TaskExecutor {task_executor} is lost: {reason}"));
                self.forget_task_executor(&task_executor);
                self.drive(DriverCommand::Lost(task_executor.clone()));
                let all: Vec<ApplicationId> = self.applications.keys().copied().collect();
                for application in all {
                    let (task_executor, reason) = (task_executor.clone(), reason.clone());
                    self.job(application, JobEvent::TaskExecutorLost { task_executor, reason });
                }
            }
            ResourceCommand::WantTaskExecutors { total } => self.drive(DriverCommand::Want(total)),
            ResourceCommand::ReleaseTaskExecutor { task_executor } => {
                self.tell_task_executor(&task_executor, &ToTaskExecutor::ShutDown);
                self.drive(DriverCommand::Release(task_executor));
            }
            ResourceCommand::WakeAt(at) => drop(self.timers.insert(Timer::Resources, at)),
        }
    }

    /// Tells whoever starts TaskExecutors; in a standalone cluster nobody does.
    fn drive(&self, command: DriverCommand) {
        if let Some(driver) = &self.options.driver {
            // A driver that has ended takes the JobManager with it.
            let _ = driver.send(command);
        }
    }

    /// Carries out what the JobMaster of an application says.
    pub(super) fn job_says(&mut self, application: ApplicationId, command: JobCommand) {
        match command {
            JobCommand::RequestSlots { total } => self.resource(ResourceEvent::SlotsWanted { application, total }),
            JobCommand::ReleaseSlots { slots } => self.resource(ResourceEvent::SlotsReleased { application, slots }),
            JobCommand::StartWorker { task_executor, worker, slots } => {
                self.start_worker(application, &task_executor, worker, slots);
            }
            JobCommand::StopWorker { task_executor, worker } => {
                self.tell_task_executor(&task_executor, &ToTaskExecutor::StopWorker { application, worker });
            }
            JobCommand::Deploy { worker, deployment } => {
                let job = deployment.job;
                self.tell_of_job(application, worker, job, &ToWorker::Deploy(Box::new(deployment)));
            }
            JobCommand::CancelTasks { worker, job, executions } => {
                self.tell_of_job(application, worker, job, &ToWorker::Cancel { job, executions });
            }
            JobCommand::AssignSplit { worker, job, execution, split } => {
                let split = split.map(|(_, split)| split);
                self.tell_of_job(application, worker, job, &ToWorker::Split { job, execution, split });
            }
            JobCommand::ReleasePartitions { task_executor, job, partitions } => {
                self.tell_task_executor(&task_executor, &ToTaskExecutor::ReleasePartitions { job, partitions });
            }
            JobCommand::BeginSinks { worker, job } => self.sinks(application, worker, job, SinkStep::Begin),
            JobCommand::CommitSinks { worker, job } => self.sinks(application, worker, job, SinkStep::Commit),
            JobCommand::AbortSinks { worker, job } => self.sinks(application, worker, job, SinkStep::Abort),
            JobCommand::DisconnectWorker { worker } => drop(self.forget_worker(application, worker)),
            JobCommand::RecordCommit { job, accumulators } => {
                let result = self.store.put_commit(job, &accumulators).map_err(|error| Failure::from(&error));
                self.job(application, JobEvent::CommitRecorded { job, result });
            }
            JobCommand::WakeAt(at) => drop(self.timers.insert(Timer::Job(application), at)),
            JobCommand::StateChanged { job, state } => {
                log(&format!("job {job} is {state}"));
                self.dispatch(DispatcherEvent::JobChanged { job, state });
            }
            JobCommand::Ended(outcome) => self.job_ended(application, outcome),
            JobCommand::Closed => {
                self.dispatch(DispatcherEvent::ApplicationClosed { application });
                self.resource(ResourceEvent::ApplicationClosed { application });
                self.close(application);
            }
        }
    }
}
