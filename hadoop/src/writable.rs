//! The integers and strings of Hadoop's own serialization, as token files use them.

/// Appends a `VLong`: one byte for -112..=127, else a byte that says sign and length, and the digits, highest first.
pub(super) fn put_vlong(out: &mut Vec<u8>, value: i64) {
    if (-112..=127).contains(&value) {
        out.push(value as u8);
        return;
    }
    let digits = if value < 0 { !value } else { value } as u64;
    let bytes = (64 - digits.leading_zeros()).div_ceil(8).max(1) as usize;
    let marker = if value < 0 { -120 } else { -112 } - bytes as i8;
    out.push(marker as u8);
    out.extend_from_slice(&digits.to_be_bytes()[8 - bytes..]);
}

/// Takes a `VLong` off the front; `None` when the input ends too early.
pub(super) fn take_vlong(input: &mut &[u8]) -> Option<i64> {
    let marker = *input.split_off_first()? as i8;
    if marker >= -112 {
        return Some(i64::from(marker));
    }
    let (negative, bytes) = if marker < -120 { (true, -120 - marker) } else { (false, -112 - marker) };
    let digits = input.split_off(..bytes as usize)?.iter().fold(0u64, |value, byte| value << 8 | u64::from(*byte));
    Some(if negative { !(digits as i64) } else { digits as i64 })
}

/// Appends bytes behind their length.
pub(super) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_vlong(out, bytes.len() as i64);
    out.extend_from_slice(bytes);
}

/// Takes bytes behind their length off the front; `None` when there are fewer.
pub(super) fn take_bytes<'a>(input: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(take_vlong(input)?).ok()?;
    input.split_off(..length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn integers_look_as_hadoop_writes_them() {
        // From the comments and the code of org.apache.hadoop.io.WritableUtils.
        let cases: [(i64, &[u8]); 8] = [
            (0, &[0]),
            (127, &[127]),
            (-112, &[0x90]),
            (128, &[0x8f, 0x80]),
            (-113, &[0x87, 0x70]),
            (255, &[0x8f, 0xff]),
            (256, &[0x8e, 1, 0]),
            (i64::MIN, &[0x80, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
        ];
        for (value, bytes) in cases {
            let mut out = Vec::new();
            put_vlong(&mut out, value);
            assert_eq!(out, bytes, "{value}");
        }
    }

    proptest! {
        #[test]
        fn integers_come_back(value: i64, shift in 0u32..64) {
            let value = value >> shift;
            let mut out = Vec::new();
            put_vlong(&mut out, value);
            let mut input = &out[..];
            prop_assert_eq!(take_vlong(&mut input), Some(value));
            prop_assert!(input.is_empty());
            prop_assert_eq!(take_vlong(&mut &out[..out.len() - 1]), None);
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes: Vec<u8>) {
            let mut input = &bytes[..];
            while take_bytes(&mut input).is_some() && !input.is_empty() {}
        }
    }
}
