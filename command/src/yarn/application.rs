//! `flinkrs run -t yarn-application`: a program whose `main` runs beside the ApplicationMaster.

use crate::run::{How, Program};
use crate::yarn::deploy::Deployment;
use crate::yarn::{Yarn, ended_error, has_ended};
use crate::{print, runtime};
use flinkrs_core::config::Configuration;
use flinkrs_core::error::{Error, Result};
use flinkrs_hadoop::proto::yarn::{
    ApplicationIdProto, ApplicationReportProto, FinalApplicationStatusProto, YarnApplicationStateProto,
};
use flinkrs_rpc::program::hash_of;
use flinkrs_yarn_am::places::Near;
use flinkrs_yarn_am::spec::{OwnProgram, Work};
use std::time::Duration;

/// How often YARN is asked how the application is.
const ASK: Duration = Duration::from_millis(100);

/// Submits a program, and waits for its end unless it is detached.
///
/// Errors when the program fails, or its application can't be started.
pub(crate) fn run(program: &Program, config: &Configuration, how: &How) -> Result<()> {
    let yarn = Yarn::new(config)?;
    let sha256 = hash_of(&program.path)?;
    let own = OwnProgram {
        artifact: sha256.clone(),
        arguments: program.arguments.clone(),
        parallelism: how.parallelism,
        blocking_exchanges: how.blocking_exchanges,
    };
    let programs = vec![(program.path.clone(), sha256)];
    let deployment = Deployment { config, name: program.name(), programs, near: Near::new() };
    runtime()?.block_on(async {
        let submitted = deployment.submit(&yarn, |_, _| Ok((Work::Program(own), Vec::new()))).await?;
        let id = submitted.id;
        eprintln!("{id} is submitted");
        let ended = match yarn.until_it_runs(submitted, config).await {
            Ok((_, report)) => {
                eprintln!("{id} runs; its page is {}", report.tracking_url());
                if how.detached {
                    print(&format!("The program has been submitted as {id}"));
                    return Ok(());
                }
                follow(&yarn, id).await
            }
            Err(Error::Cancelled) => return Err(Error::Cancelled),
            // A short program may have ended before it was seen to run.
            Err(error) => match yarn.report(id).await {
                Ok(report) if has_ended(&report) => outcome(id, &report),
                _ => Err(error),
            },
        };
        ended.and(yarn.clean_up(id, config).await)
    })
}

/// Waits until an application has ended; a signal ends it.
async fn follow(yarn: &Yarn, id: ApplicationIdProto) -> Result<()> {
    loop {
        let report = yarn.report(id).await?;
        if has_ended(&report) {
            return outcome(id, &report);
        }
        if flinkrs::received_signal().is_some() {
            yarn.end(id, "its client was told to end").await?;
            return Err(Error::Cancelled);
        }
        tokio::time::sleep(ASK).await;
    }
}

/// How an application has ended, as an error if it hasn't ended well.
fn outcome(id: ApplicationIdProto, report: &ApplicationReportProto) -> Result<()> {
    // Of one that has finished the ApplicationMaster has said itself how; of others YARN does.
    let has_said = report.yarn_application_state() == YarnApplicationStateProto::Finished;
    match report.final_application_status() {
        FinalApplicationStatusProto::AppSucceeded => Ok(()),
        FinalApplicationStatusProto::AppFailed if has_said && !report.diagnostics().is_empty() => {
            Err(Error::function(report.diagnostics().trim().to_owned()))
        }
        _ => Err(ended_error(id, report)),
    }
}
