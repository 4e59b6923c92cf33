//! The frames of a connection between workers, records included.
#![no_main]

use flinkrs_runtime::decoders;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| decoders::frames(bytes));
