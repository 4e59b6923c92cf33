//! Jobs on clusters of real processes: right results, lost processes, wrong programs and wrong options.
//!
//! `FLINKRS_KILLS=50 cargo test --test cluster kills` kills processes at random moments in 50 rounds; `ratio` measures what
//! kills cost.

mod faults;
mod harness;
mod kills;
mod observe;
mod ratio;
mod results;
mod ssh;
