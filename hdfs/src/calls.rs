//! Calls to the NameNode, each within a time, and again when it was away.

use crate::failure::{Failure, Meaning};
use hdfs_native::HdfsError;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// How long a NameNode that has never answered is waited for: its address may be wrong.
const FIRST_ANSWER_MAX: Duration = Duration::from_secs(20);

/// How long one that has answered before is waited for: long enough to be started again, or to be failed over.
const ANSWER_MAX: Duration = Duration::from_secs(120);

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(500);

/// What is known of the NameNode.
#[derive(Clone, Debug, Default)]
pub(crate) struct Calls {
    has_answered: Arc<AtomicBool>,
}

impl Calls {
    /// Makes a call that may be made several times: what it does a second time changes nothing.
    pub(crate) async fn repeat<T, F>(&self, call: impl Fn() -> F) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, HdfsError>>,
    {
        let known = self.has_answered.load(Ordering::Relaxed);
        let max = if known { ANSWER_MAX } else { FIRST_ANSWER_MAX };
        let started = Instant::now();
        loop {
            let left = max.saturating_sub(started.elapsed());
            let Ok(result) = timeout(left, call()).await else { return Err(Failure::Late(max)) };
            let failure = match result {
                Ok(value) => {
                    self.has_answered.store(true, Ordering::Relaxed);
                    return Ok(value);
                }
                Err(error) => Failure::Hdfs(error),
            };
            match failure.meaning() {
                // One that was just started is in safe mode until DataNodes have reported; others stay there.
                Meaning::SafeMode if known && started.elapsed() < FIRST_ANSWER_MAX => {}
                Meaning::Away if started.elapsed() + PAUSE < max => {}
                Meaning::Away => return Err(Failure::Late(max)),
                _ => {
                    self.has_answered.store(true, Ordering::Relaxed);
                    return Err(failure);
                }
            }
            sleep(PAUSE).await;
        }
    }
}
