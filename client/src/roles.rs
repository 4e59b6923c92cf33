//! What this executable is right now: a program that runs its plan, or one that only shows it.
//!
//! The role comes in environment variables that the tools set; a program's own code never mentions them.

use crate::local::LocalExecutor;
use flinkrs_api::{Executor, JobExecutionResult};
use flinkrs_core::error::{Error, Result};
use flinkrs_core::function::FunctionSource;
use flinkrs_plan::Plan;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Tells a program its role: unset for embedded, or `plan`.
pub(crate) const ROLE: &str = "FLINKRS_ROLE";

/// In role plan: `text`, `json`, `dot` or `alternatives`.
pub(crate) const PLAN_FORMAT: &str = "FLINKRS_PLAN_FORMAT";

/// In role plan: which execution's plan is shown, counted from 1.
pub(crate) const PLAN_EXECUTION: &str = "FLINKRS_PLAN_EXECUTION";

/// The exit code of a program that has shown its plan, as no program ends that doesn't know its role.
pub(crate) const PLAN_SHOWN: i32 = 93;

/// The role of this process.
enum Role {
    Embedded,
    Plan { format: PlanFormat, execution: u32 },
}

/// How a plan is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PlanFormat {
    Text,
    Json,
    Dot,
    Alternatives,
}

/// Executes plans as the role says.
pub(crate) struct RoleExecutor {
    local: LocalExecutor,
    role: Role,
    executions: AtomicU32,
}

/// The executor for this process's role.
pub(crate) fn executor(local: LocalExecutor) -> Result<RoleExecutor> {
    Ok(RoleExecutor { local, role: role()?, executions: AtomicU32::new(0) })
}

/// For the end of a program that has succeeded: an error in role plan, since showing the plan would have ended the
/// process.
pub(crate) fn at_end() -> Result<()> {
    match role()? {
        Role::Embedded => Ok(()),
        Role::Plan { execution, .. } => Err(Error::usage(format!(
            "the program ended before its execution {execution}, so there is no plan to show (option --execution)"
        ))),
    }
}

fn role() -> Result<Role> {
    let Ok(role) = std::env::var(ROLE) else { return Ok(Role::Embedded) };
    if role != "plan" {
        return Err(Error::usage(format!("{ROLE} is '{role}'; it may be unset or 'plan'")));
    }
    let format = match std::env::var(PLAN_FORMAT).as_deref() {
        Ok("json") => PlanFormat::Json,
        Ok("dot") => PlanFormat::Dot,
        Ok("alternatives") => PlanFormat::Alternatives,
        _ => PlanFormat::Text,
    };
    let execution = std::env::var(PLAN_EXECUTION).ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    Ok(Role::Plan { format, execution })
}

impl Executor for RoleExecutor {
    fn execute(&self, plan: Plan, program: Arc<dyn FunctionSource>) -> Result<JobExecutionResult> {
        let number = self.executions.fetch_add(1, Ordering::AcqRel) + 1;
        match self.role {
            Role::Plan { format, execution } if execution == number => self.show(&plan, format),
            Role::Plan { .. } | Role::Embedded => self.local.run(&plan, &*program, number),
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
