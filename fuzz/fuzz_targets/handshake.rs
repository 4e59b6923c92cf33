//! What the other side of a handshake says.
#![no_main]

use flinkrs_runtime::decoders;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| decoders::handshake(bytes));
