//! Jobs on clusters of real processes: right results, lost processes, wrong programs and wrong options.
//!
//! `FLINKRS_KILLS=50 cargo test --test cluster kills` kills processes at random moments in 50 rounds; `ratio` measures
//! what kills cost.

mod faults;
mod harness;
mod kills;
mod limits;
mod observe;
mod programs;
mod ratio;
mod raw;
mod results;
mod ssh;
mod tls;
mod versions;
