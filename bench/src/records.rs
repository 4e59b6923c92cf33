//! The sort input: records of 100 bytes with a random key of 10 bytes in front and the record's number behind it.

use std::io::{Result, Write};

use crate::rng::{SEED, SplitMix64};

/// Bytes in a record.
pub const RECORD: usize = 100;
/// Bytes in a record's key, at its beginning.
pub const KEY: usize = 10;

/// Writes `count` records; returns their number.
///
/// Behind the key: two marks, the number in 32 hexadecimal digits, four marks, 48 bytes of filler, four marks.
pub fn write(out: &mut impl Write, count: usize) -> Result<usize> {
    let mut random = SplitMix64::new(SEED);
    let mut record = [0u8; RECORD];
    record[10..12].copy_from_slice(&[0x00, 0x11]);
    record[44..48].copy_from_slice(&[0x88, 0x99, 0xAA, 0xBB]);
    record[96..100].copy_from_slice(&[0xCC, 0xDD, 0xEE, 0xFF]);
    for number in 0..count {
        record[..8].copy_from_slice(&random.next_u64().to_be_bytes());
        let more = random.next_u64().to_be_bytes();
        record[8..10].copy_from_slice(&more[..2]);
        write!(&mut record[12..44], "{number:032X}")?;
        for (filler, byte) in record[48..96].chunks_exact_mut(8).zip(&more[2..]) {
            filler.fill(b'A' + byte % 26);
        }
        out.write_all(&record)?;
    }
    Ok(count)
}
