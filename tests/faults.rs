//! Programs that go wrong: each as a process of its own, with its message, its exit code and what it leaves behind.

mod faults_input;
mod faults_panics;
#[allow(dead_code, reason = "other tests use more of it")]
mod faults_process;
mod faults_program;
mod faults_signals;
mod faults_snapshots;
