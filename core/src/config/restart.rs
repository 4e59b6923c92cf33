//! Options for how often, and how soon, a failed job goes on.

use crate::config::option::options;
use crate::config::value::{Factor, Fraction, choices};
use std::num::NonZeroU32;
use std::time::Duration;

choices! {
    /// When a job whose tasks have failed goes on.
    RestartStrategy {
        /// Never.
        None = "none",
        /// A number of times.
        FixedDelay = "fixed-delay",
        /// As long as failures are rare.
        FailureRate = "failure-rate",
        /// Always, after pauses that grow while it fails.
        ExponentialDelay = "exponential-delay",
    }
}

options! {
    /// When a job goes on whose tasks have failed; a program's own mistakes are final with all of them.
    STRATEGY: RestartStrategy = "restart-strategy.type", "fixed-delay";

    /// With `fixed-delay`, how often a job goes on.
    FIXED_ATTEMPTS: u32 = "restart-strategy.fixed-delay.attempts", "10";

    /// With `fixed-delay`, the pause before each time.
    FIXED_DELAY: Duration = "restart-strategy.fixed-delay.delay", "1 s";

    /// With `failure-rate`, how many failures within the interval are still no reason to give up.
    RATE_MAX_FAILURES: NonZeroU32 = "restart-strategy.failure-rate.max-failures-per-interval", "1";

    /// With `failure-rate`, the time within which failures are counted.
    RATE_INTERVAL: Duration = "restart-strategy.failure-rate.failure-rate-interval", "1 min";

    /// With `failure-rate`, the pause before each time.
    RATE_DELAY: Duration = "restart-strategy.failure-rate.delay", "1 s";

    /// With `exponential-delay`, the pause after the first failure.
    INITIAL_BACKOFF: Duration = "restart-strategy.exponential-delay.initial-backoff", "1 s";

    /// With `exponential-delay`, the longest pause.
    MAX_BACKOFF: Duration = "restart-strategy.exponential-delay.max-backoff", "1 min";

    /// With `exponential-delay`, what a pause is longer than the one before.
    BACKOFF_MULTIPLIER: Factor = "restart-strategy.exponential-delay.backoff-multiplier", "1.5";

    /// With `exponential-delay`, after how long without a failure pauses begin anew.
    RESET_BACKOFF_THRESHOLD: Duration = "restart-strategy.exponential-delay.reset-backoff-threshold", "1 h";

    /// With `exponential-delay`, the part of a pause by which chance makes it shorter or longer.
    JITTER_FACTOR: Fraction = "restart-strategy.exponential-delay.jitter-factor", "0.1";
}
