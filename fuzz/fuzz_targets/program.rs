//! An executable that somebody uploads.
#![no_main]

use flinkrs_rpc::program::Program;
use std::io::Cursor;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| drop(Program::decode(Cursor::new(bytes), "it")));
