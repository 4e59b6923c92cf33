//! The content of the files in the benchmark of HDFS.

/// Bytes that are written and read at once.
pub const MIB: usize = 1 << 20;

/// A MiB of noise; the first eight bytes of each in a file are its number instead.
pub fn noise() -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(MIB);
    while bytes.len() < MIB {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        bytes.extend_from_slice(&(state ^ (state >> 29)).to_le_bytes());
    }
    bytes
}
