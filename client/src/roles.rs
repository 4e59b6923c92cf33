//! What this executable is right now: a program that runs its plan, shows it, submits it to a cluster, or runs a part
//! of a plan that another process has submitted.
//!
//! The role comes in environment variables that the tools set; a program's own code never mentions them.

use crate::cluster::{Submitter, prints};
use crate::local::LocalExecutor;
use crate::note;
use flinkrs_api::{Executor, JobExecutionResult};
use flinkrs_core::error::{Error, Result};
use flinkrs_core::function::FunctionSource;
use flinkrs_core::resource::ByteSize;
use flinkrs_plan::Plan;
use flinkrs_rpc::roles::{self, PLAN_EXECUTION, PLAN_FORMAT, PLAN_SHOWN, ROLE, SubmitSpec};
use flinkrs_worker::Worker;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

/// The role of this process.
enum Role {
    Embedded,
    Plan { format: PlanFormat, execution: u32 },
    Submit(Submitter),
    Worker(std::sync::Mutex<Worker>),
}

/// How a plan is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PlanFormat {
    Text,
    Json,
    Dot,
    Alternatives,
}

/// The role, found out when a program first asks; a process has one.
static OF_PROCESS: OnceLock<Role> = OnceLock::new();

/// Values that this process has asked for once, of all of its environments.
static ONCE: AtomicU32 = AtomicU32::new(0);

/// Executions of this process so far, of all of its environments.
static EXECUTIONS: AtomicU32 = AtomicU32::new(0);

/// Executes plans as the role says.
pub(crate) struct RoleExecutor {
    local: LocalExecutor,
    role: &'static Role,
    /// Executions of this environment so far: a program that goes on from snapshots finds those of each by this number.
    executions: AtomicU32,
}

/// The executor for this process's role.
pub(crate) fn executor(local: LocalExecutor) -> Result<RoleExecutor> {
    Ok(RoleExecutor { local, role: role()?, executions: AtomicU32::new(0) })
}

/// The parallelism of operators that set none, where the role knows better than this machine's cores.
pub(crate) fn parallelism() -> Result<Option<u32>> {
    match role()? {
        Role::Submit(submitter) => Ok(Some(submitter.parallelism())),
        Role::Embedded | Role::Plan { .. } | Role::Worker(_) => Ok(None),
    }
}

/// How much memory the records of one `collect` may take, where the role has been told; the same in all processes of a
/// program.
pub(crate) fn collect_limit() -> Result<Option<ByteSize>> {
    let told = || std::env::var(roles::COLLECT_LIMIT).unwrap_or_default();
    let text = match role()? {
        role @ (Role::Submit(_) | Role::Worker(_)) => role.once(&mut || Ok(told().into_bytes()))?,
        Role::Embedded | Role::Plan { .. } => told().into_bytes(),
    };
    let text = String::from_utf8_lossy(&text);
    if text.is_empty() { Ok(None) } else { text.parse().map(Some) }
}

impl Role {
    /// A value that is made in the program's own process, or was made there.
    fn once(&self, make: &mut dyn FnMut() -> Result<Vec<u8>>) -> Result<Vec<u8>> {
        let number = ONCE.fetch_add(1, Ordering::AcqRel);
        match self {
            Role::Embedded | Role::Plan { .. } => make(),
            Role::Submit(submitter) => {
                let value = make()?;
                submitter.keep(value.clone())?;
                Ok(value)
            }
            Role::Worker(worker) => {
                Ok(worker.lock().unwrap_or_else(std::sync::PoisonError::into_inner).once(number as usize))
            }
        }
    }
}

/// For the end of a program, which may have failed.
///
/// Errors in role plan, since showing the plan would have ended the process. Doesn't return in role worker, which the
/// TaskExecutor ends.
pub(crate) fn at_end(result: Result<()>) -> Result<()> {
    match OF_PROCESS.get() {
        None | Some(Role::Embedded) => result,
        Some(Role::Plan { execution, .. }) => result.and_then(|()| {
            Err(Error::usage(format!(
                "the program ended before its execution {execution}, so there is no plan to show (option --execution)"
            )))
        }),
        Some(Role::Submit(submitter)) => {
            submitter.close();
            result
        }
        Some(Role::Worker(worker)) => {
            let worker = worker.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            worker.program_ended(result.as_ref().err())
        }
    }
}

/// Finds out the role before the program's own code runs.
pub(crate) fn role_is_known() -> Result<()> {
    role().map(|_| ())
}

fn role() -> Result<&'static Role> {
    if let Some(role) = OF_PROCESS.get() {
        return Ok(role);
    }
    crate::files::register();
    if let Ok(scheme) = std::env::var(roles::DEFAULT_SCHEME) {
        flinkrs_core::fs::set_default_scheme(&scheme)?;
    }
    let found = find()?;
    Ok(OF_PROCESS.get_or_init(|| found))
}

fn find() -> Result<Role> {
    note::keep();
    let Ok(role) = std::env::var(ROLE) else { return Ok(Role::Embedded) };
    match role.as_str() {
        roles::PLAN => {
            let format = match std::env::var(PLAN_FORMAT).as_deref() {
                Ok("json") => PlanFormat::Json,
                Ok("dot") => PlanFormat::Dot,
                Ok("alternatives") => PlanFormat::Alternatives,
                _ => PlanFormat::Text,
            };
            let execution = std::env::var(PLAN_EXECUTION).ok().and_then(|text| text.parse().ok()).unwrap_or(1);
            Ok(Role::Plan { format, execution })
        }
        roles::SUBMIT => {
            let spec = variable(roles::SUBMIT_SPEC)?;
            let spec: SubmitSpec = serde_json::from_str(&spec)
                .map_err(|error| Error::usage(format!("{} can't be read: {error}", roles::SUBMIT_SPEC)))?;
            Submitter::connect(spec).map(Role::Submit)
        }
        roles::WORKER => {
            let worker = Worker::start(Path::new(&variable(roles::WORKER_SPEC)?))?;
            Ok(Role::Worker(std::sync::Mutex::new(worker)))
        }
        other => Err(Error::usage(format!(
            "{ROLE} is '{other}'; it may be unset, '{}', '{}' or '{}'",
            roles::PLAN,
            roles::SUBMIT,
            roles::WORKER
        ))),
    }
}

fn variable(name: &str) -> Result<String> {
    std::env::var(name).map_err(|_| Error::usage(format!("{name} isn't set, and {ROLE} is")))
}

impl Executor for RoleExecutor {
    fn enumerates(&self) -> bool {
        !matches!(self.role, Role::Worker(_))
    }

    fn once(&self, make: &mut dyn FnMut() -> Result<Vec<u8>>) -> Result<Vec<u8>> {
        self.role.once(make)
    }

    fn execute(&self, plan: Plan, program: Arc<dyn FunctionSource>) -> Result<JobExecutionResult> {
        let number = EXECUTIONS.fetch_add(1, Ordering::AcqRel) + 1;
        let of_environment = self.executions.fetch_add(1, Ordering::AcqRel) + 1;
        match self.role {
            Role::Plan { format, execution } if *execution == number => self.show(&plan, *format),
            Role::Plan { .. } | Role::Embedded => self.local.run(&plan, &*program, of_environment),
            Role::Submit(submitter) => submitter.run(&self.local, &plan, &*program, number),
            Role::Worker(worker) => {
                let worker = worker.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                let result = worker.execute(number, &prints(&plan), &program)?;
                Ok(crate::cluster::result_of(plan.name.clone(), result))
            }
        }
    }
}

impl RoleExecutor {
    /// Prints the plan and ends the process: the program's `main` goes no further.
    fn show(&self, plan: &Plan, format: PlanFormat) -> Result<JobExecutionResult> {
        let optimized = self.local.optimize(plan)?;
        let text = match format {
            PlanFormat::Text => optimized.explain(),
            PlanFormat::Json => format!("{:#}\n", optimized.explain_json()),
            PlanFormat::Dot => optimized.explain_dot(),
            PlanFormat::Alternatives => optimized.explain_alternatives(),
        };
        let mut out = std::io::stdout().lock();
        let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        written.map_err(|error| Error::io("write to", "standard output", error))?;
        std::process::exit(PLAN_SHOWN);
    }
}
