//! A worker: a user's program in a process of its own, which runs the tasks of its jobs that it is told to.
//!
//! ```text
//!              JobManager
//!                ▲    │ executions, deployments, splits
//!  states, ends  │    ▼
//!  ┌──────────── link ──────────────┐
//!  │ program's main ─▶ execute(n) ─▶ │ ─▶ parts of the job ◀─ exchange ─▶ other workers
//!  └────────────────────────────────┘
//! ```
//!
//! The program's `main` runs as it does in the client, up to its `execute`: that serves the execution here, and returns
//! what the client's `execute` returns, so that `main` goes on to the next one.
//!
//! | module | what lives there |
//! |---|---|
//! | `link` | the connection to the JobManager |
//! | `execution` | one execution: its parts, its sinks, its end |
//! | `parts` | what of a deployment runs together |
//! | `master` | what tasks tell the JobMaster |

mod execution;
mod link;
mod master;
mod parts;

use crate::execution::Serving;
use crate::link::Link;
use flinkrs_core::error::{Error, Result};
use flinkrs_core::function::FunctionSource;
use flinkrs_protocol::{Failure, FailureKind, OperatorPrint, WorkerUse};
use flinkrs_rpc::message::{ExecutionResult, FromWorker, JobTasks, ToWorker, WorkerReport, WorkerSpec};
use flinkrs_rpc::tls::Tls;
use flinkrs_rpc::{body, metrics};
use flinkrs_runtime::{Compression, Exchange, ExchangeOptions, LoopMessages, PeerId};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

/// This process as a worker.
pub struct Worker {
    spec: WorkerSpec,
    link: Arc<Link>,
    commands: Receiver<ToWorker>,
    /// Commands that were read while a value was waited for.
    pending: RefCell<VecDeque<ToWorker>>,
    /// Values that the client has made for all processes of the program, as far as they have come.
    values: RefCell<Vec<Vec<u8>>>,
    exchange: Exchange,
    loops: Arc<LoopMessages>,
}

impl Worker {
    /// Reads the file that the TaskExecutor has written, removes it, and introduces this process to the JobManager.
    ///
    /// The process ends when the TaskExecutor or the JobManager does.
    pub fn start(spec: &Path) -> Result<Worker> {
        let bytes = fs::read(spec).map_err(|error| Error::io("read", spec, error))?;
        fs::remove_file(spec).map_err(|error| Error::io("remove", spec, error))?;
        let spec: WorkerSpec = body::decode(&bytes)?;
        link::end_with_parent()?;
        let listen = format!("{}:0", spec.bind_host);
        let listen: SocketAddr =
            listen.parse().map_err(|_| Error::usage(format!("'{}' is no IP address to listen on", spec.bind_host)))?;
        let tls = spec.tls.clone().map(Tls::read).transpose()?;
        let exchange = Exchange::start(ExchangeOptions {
            listen,
            job: 0,
            me: PeerId::of_worker(spec.program.application, spec.worker),
            secret: spec.data_secret.clone(),
            memory_bytes: spec.network_bytes as usize,
            compression: if spec.compress { Compression::Lz4 } else { Compression::None },
            folder: Some(spec.partitions.clone().into()),
            tls: tls.as_ref().map(|tls| (Arc::clone(&tls.client), Arc::clone(&tls.server))),
        })?;
        let data_address = format!("{}:{}", spec.host, exchange.local_addr().port());
        let register = FromWorker::Register {
            application: spec.program.application,
            worker: spec.worker,
            task_executor: spec.task_executor.clone(),
            data_address,
        };
        let loops = Arc::<LoopMessages>::default();
        // Who knows this worker may be faster: what it says of a loop waits until the loop's tasks are here.
        let early = Arc::clone(&loops);
        exchange.on_message(Arc::new(move |peer, message: Vec<u8>| {
            if let Err(error) = early.receive(&message) {
                eprintln!("error: a message of {peer}: {error}");
            }
        }));
        let (link, commands) = Link::connect(&spec, tls, register)?;
        let (pending, values) = (RefCell::default(), RefCell::default());
        Ok(Worker { spec, link, commands, pending, values, exchange, loops })
    }

    /// Value `number`, counted from 0, of those that the client has made for all processes of the program: waits until
    /// it is known. A program that asks for one that the client hasn't is another one, and ends here.
    pub fn once(&self, number: usize) -> Vec<u8> {
        loop {
            if let Some(value) = self.values.borrow().get(number) {
                return value.clone();
            }
            let of_pending = self.pending.borrow().iter().find_map(|command| match command {
                ToWorker::Execution(execution) => Some(execution.number),
                _ => None,
            });
            if let Some(execution) = of_pending {
                let known = self.values.borrow().len();
                self.unfit(&format!(
                    "a worker's program asks for value {} of `once` before execution {execution}, and the client's has \
                     asked for {known}; all processes have to ask for the same",
                    number + 1,
                ));
            }
            if let Some(command) = self.read(None) {
                self.pending.borrow_mut().push_back(command);
            }
        }
    }

    /// The next command, or `None` when there is none within `timeout`.
    fn next(&self, timeout: Option<Duration>) -> Option<ToWorker> {
        let pending = self.pending.borrow_mut().pop_front();
        pending.or_else(|| self.read(timeout))
    }

    /// The same without those that were read before.
    fn read(&self, timeout: Option<Duration>) -> Option<ToWorker> {
        let command = self.link.next(&self.commands, timeout);
        if let Some(ToWorker::Execution(execution)) = &command {
            self.values.replace(execution.once.clone());
        }
        command
    }

    /// Serves execution `number` of the program, whose plan has these operators, until it is over; returns what came of
    /// it.
    ///
    /// Errors when the execution has failed, as the client's does.
    pub fn execute(
        &self,
        number: u32,
        operators: &[OperatorPrint],
        functions: &Arc<dyn FunctionSource>,
    ) -> Result<ExecutionResult> {
        let mut serving: Option<Serving<'_>> = None;
        loop {
            let command = match &mut serving {
                None => self.next(None),
                Some(serving) => self.next(Some(serving.tick())),
            };
            match (command, &mut serving) {
                (None, Some(serving)) => serving.look(),
                (None | Some(ToWorker::Registered | ToWorker::Heartbeat), _) => {}
                (Some(ToWorker::Execution(execution)), _) => {
                    self.check(number, operators, &execution.operators, execution.number);
                    serving = Some(Serving::new(self, *execution, functions)?);
                }
                (Some(ToWorker::Ended { execution, result }), _) if execution == number => {
                    drop(serving);
                    return match result {
                        Ok(result) => self.fetch(result, &**functions),
                        Err(failure) => Err(link::error_of(&failure)),
                    };
                }
                (Some(command), Some(serving)) => serving.handle(command),
                (Some(_), None) => {}
            }
        }
    }

    /// Keeps what this process uses and runs where its TaskExecutor finds it.
    fn tell_task_executor(&self, managed_bytes: Vec<u64>, job: Option<JobTasks>) {
        let used = WorkerUse { process: metrics::of_this_process(), managed_bytes, network: self.exchange.in_use() };
        let path = Path::new(&self.spec.report);
        let new = path.with_extension("new");
        let written = body::encode(&WorkerReport { used, job }).map(|bytes| fs::write(&new, bytes));
        // Without it the next one tells more.
        if matches!(written, Ok(Ok(()))) {
            let _ = fs::rename(&new, path);
        }
    }

    /// The program has ended, although an execution of it may be wanted: says so, and waits for the end of the process.
    pub fn program_ended(&self, error: Option<&Error>) -> ! {
        let message = match error {
            None => "the program has ended in a worker, where it runs as it does in the client".to_owned(),
            Some(error) => format!("the program has failed in a worker: {error}"),
        };
        self.unfit(&message)
    }

    fn unfit(&self, message: &str) -> ! {
        self.link.send(FromWorker::Unfit(Failure::new(FailureKind::Usage, message)));
        loop {
            // What is still said goes to nobody; the JobManager has the process ended.
            let _ = self.link.next(&self.commands, None);
        }
    }

    /// The plan that this process has built has to be the one that the job was made of.
    fn check(&self, number: u32, mine: &[OperatorPrint], theirs: &[OperatorPrint], theirs_number: u32) {
        if number != theirs_number {
            self.unfit(&format!(
                "a worker's program is at its execution {number} and the client's at {theirs_number}; what a program \
                 executes may depend on results, and on nothing else that differs between processes"
            ));
        }
        let differs = mine.iter().zip(theirs).position(|(mine, theirs)| mine != theirs);
        let differs = differs.or_else(|| (mine.len() != theirs.len()).then_some(mine.len().min(theirs.len())));
        if let Some(at) = differs {
            let name = |prints: &[OperatorPrint]| {
                prints.get(at).map_or_else(|| "nothing".to_owned(), |print| format!("'{}'", print.name))
            };
            let (mine, theirs) = (name(mine), name(theirs));
            self.unfit(&format!(
                "the plan of execution {number} differs between the client and a worker, first at operator {at}: \
                 {theirs} there, {mine} here; what a program describes may depend on its arguments and on results, but \
                 not on its process, the time, or files"
            ));
        }
    }

    /// Puts the records of result sinks into the program, as they are in the client's.
    fn fetch(&self, result: ExecutionResult, functions: &dyn FunctionSource) -> Result<ExecutionResult> {
        let Some(job) = result.job else { return Ok(result) };
        for sink in &result.results {
            let Some(into) = functions.result(*sink) else { continue };
            into.reset();
            self.link.fetch(job, *sink, |block| into.put(block.subtask, block.attempt, &block.block))?;
        }
        Ok(result)
    }
}
