//! The file of a finished partition.
#![no_main]

use flinkrs_runtime::decoders;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| decoders::partition_file(bytes));
