//! Whether a job goes on after a failure, and how long it waits first.

use crate::options::RestartStrategy;
use crate::time::Timestamp;
use std::collections::VecDeque;
use std::time::Duration;

/// A restart strategy and what has happened so far.
#[derive(Clone, Debug)]
pub(crate) struct RestartPolicy {
    strategy: RestartStrategy,
    /// Failures since the last reset.
    failures: u32,
    /// `failure-rate`: when the last failures were.
    recent: VecDeque<Timestamp>,
    /// `exponential-delay`: the next delay, and when the last restart was due.
    next_delay: Duration,
    last_restart: Option<Timestamp>,
}

impl RestartPolicy {
    /// Nothing has failed yet.
    pub(crate) fn new(strategy: RestartStrategy) -> RestartPolicy {
        let next_delay = match &strategy {
            RestartStrategy::ExponentialDelay { initial, .. } => *initial,
            _ => Duration::ZERO,
        };
        RestartPolicy { strategy, failures: 0, recent: VecDeque::new(), next_delay, last_restart: None }
    }

    /// Notes a failure: after which delay the job restarts, or `None` if it has to fail. `random` is any number from 0
    /// to 1, for the jitter.
    pub(crate) fn failed(&mut self, now: Timestamp, random: f64) -> Option<Duration> {
        match self.strategy.clone() {
            RestartStrategy::None => None,
            RestartStrategy::FixedDelay { attempts, delay } => {
                self.failures = self.failures.saturating_add(1);
                (self.failures <= attempts).then_some(delay)
            }
            RestartStrategy::FailureRate { max_failures, interval, delay } => {
                while self.recent.front().is_some_and(|first| now - *first >= interval) {
                    self.recent.pop_front();
                }
                self.recent.push_back(now);
                (self.recent.len() <= max_failures as usize).then_some(delay)
            }
            RestartStrategy::ExponentialDelay { initial, max, multiplier, reset_threshold, jitter, attempts } => {
                if self.last_restart.is_some_and(|last| now - last >= reset_threshold) {
                    (self.failures, self.next_delay) = (0, initial);
                }
                self.failures = self.failures.saturating_add(1);
                if attempts.is_some_and(|attempts| self.failures > attempts) {
                    return None;
                }
                let delay = self.next_delay.min(max);
                self.next_delay = max.min(delay.mul_f64(multiplier.max(1.0)));
                let jittered = delay.mul_f64(1.0 + jitter.clamp(0.0, 1.0) * (2.0 * random.clamp(0.0, 1.0) - 1.0));
                self.last_restart = Some(now + jittered);
                Some(jittered)
            }
        }
    }

    /// Why the job isn't restarted any more, to go before the failure.
    pub(crate) fn exhausted(&self) -> String {
        match &self.strategy {
            RestartStrategy::None => "not restarted: restart-strategy.type is none".to_owned(),
            RestartStrategy::FixedDelay { attempts, .. } => {
                format!("not restarted again: restart-strategy.fixed-delay.attempts is {attempts}")
            }
            RestartStrategy::FailureRate { max_failures, interval, .. } => format!(
                "not restarted again: more than restart-strategy.failure-rate.max-failures-per-interval \
                 ({max_failures}) failures in {} s",
                interval.as_secs_f64()
            ),
            RestartStrategy::ExponentialDelay { attempts, .. } => format!(
                "not restarted again: restart-strategy.exponential-delay.attempts-before-reset-backoff is {}",
                attempts.unwrap_or(u32::MAX)
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(seconds: u64) -> Timestamp {
        Timestamp(seconds * 1000)
    }

    #[test]
    fn none_never_restarts() {
        assert_eq!(RestartPolicy::new(RestartStrategy::None).failed(at(0), 0.5), None);
    }

    #[test]
    fn fixed_delay_counts() {
        let mut policy = RestartPolicy::new(RestartStrategy::FixedDelay { attempts: 2, delay: SECOND });
        let delays = [0, 100, 200].map(|seconds| policy.failed(at(seconds), 0.5));
        assert_eq!(delays, [Some(SECOND), Some(SECOND), None]);
        assert!(policy.exhausted().contains("attempts is 2"));
    }

    #[test]
    fn failure_rate_forgets() {
        let strategy = RestartStrategy::FailureRate { max_failures: 2, interval: 10 * SECOND, delay: SECOND };
        let mut policy = RestartPolicy::new(strategy);
        let restarts = [0, 9, 12, 20, 21].map(|seconds| policy.failed(at(seconds), 0.5).is_some());
        assert_eq!(restarts, [true, true, true, true, false]);
    }

    #[test]
    fn exponential_delay_grows_and_resets() {
        let mut policy = RestartPolicy::new(RestartStrategy::ExponentialDelay {
            initial: SECOND,
            max: 5 * SECOND,
            multiplier: 2.0,
            reset_threshold: 60 * SECOND,
            jitter: 0.5,
            attempts: Some(5),
        });
        let delays = [0, 10, 20, 30].map(|seconds| policy.failed(at(seconds), 0.5).unwrap().as_secs());
        assert_eq!(delays, [1, 2, 4, 5]);
        assert_eq!(policy.failed(at(40), 1.0), Some(Duration::from_millis(7500)));
        assert_eq!(policy.failed(at(50), 0.5), None, "the sixth is one too many");
        assert_eq!(policy.failed(at(200), 0.0), Some(Duration::from_millis(500)), "a long peace resets it");
    }
}
