//! Numbers from the bytes of a field, without a detour over text.

/// Why a field is no number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotNumber {
    /// It has other characters.
    Malformed,
    /// The type is too small.
    OutOfRange,
}

#[inline(always)]
pub(crate) fn parse_u64(field: &[u8]) -> Result<u64, NotNumber> {
    digits(field.strip_prefix(b"+").unwrap_or(field))
}

#[inline(always)]
pub(crate) fn parse_i64(field: &[u8]) -> Result<i64, NotNumber> {
    match field.strip_prefix(b"-") {
        Some(rest) => 0i64.checked_sub_unsigned(digits(rest)?).ok_or(NotNumber::OutOfRange),
        None => i64::try_from(parse_u64(field)?).map_err(|_| NotNumber::OutOfRange),
    }
}

#[inline(always)]
pub(crate) fn parse_f64(field: &[u8]) -> Option<f64> {
    short_float(field).or_else(|| parse(field))
}

/// Whatever the standard library reads from text.
pub(crate) fn parse<T: std::str::FromStr>(field: &[u8]) -> Option<T> {
    std::str::from_utf8(field).ok()?.parse().ok()
}

/// The number that digits write, and nothing but digits.
#[inline(always)]
pub(crate) fn digits(field: &[u8]) -> Result<u64, NotNumber> {
    let value = match field.len() {
        1..=8 => short_digits(word_of(field)),
        9..=16 => field.split_last_chunk::<8>().and_then(|(head, tail)| {
            let head = short_digits(word_of(head))?;
            short_digits(u64::from_le_bytes(*tail)).map(|tail| head * 100_000_000 + tail)
        }),
        _ => return many_digits(field),
    };
    value.ok_or(NotNumber::Malformed)
}

const ZEROS: u64 = u64::from_le_bytes([b'0'; 8]);

/// One to eight bytes as a word, with as many `0` before them as are missing; without a loop, whose end would often
/// be mispredicted.
#[inline(always)]
fn word_of(field: &[u8]) -> u64 {
    let len = field.len();
    debug_assert!((1..=8).contains(&len), "a word has room for eight bytes");
    let word = match (field.first_chunk::<4>(), field.last_chunk::<4>()) {
        (Some(first), Some(last)) => {
            u64::from(u32::from_le_bytes(*first)) | u64::from(u32::from_le_bytes(*last)) << (8 * (len - 4))
        }
        _ => {
            let byte = |at: usize| u64::from(field[at]) << (8 * at);
            byte(0) | byte(len / 2) | byte(len - 1)
        }
    };
    let missing = 8 * (8 - len);
    word << missing | ZEROS & !(u64::MAX << missing)
}

/// The number that eight digits write, the first in the lowest byte; `None` if other bytes are among them.
#[inline(always)]
fn short_digits(word: u64) -> Option<u64> {
    const HIGH: u64 = u64::from_le_bytes([0xf0; 8]);
    const SIX: u64 = u64::from_le_bytes([6; 8]);
    if word & HIGH != ZEROS || word.wrapping_add(SIX) & HIGH != ZEROS {
        return None;
    }
    // Pairs of digits, then pairs of these, and once more.
    let ones = word & !HIGH;
    let pairs = (ones.wrapping_mul(10 << 8 | 1) >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs.wrapping_mul(100 << 16 | 1) >> 16) & 0x0000_ffff_0000_ffff;
    Some(fours.wrapping_mul(10_000 << 32 | 1) >> 32)
}

#[cold]
fn many_digits(field: &[u8]) -> Result<u64, NotNumber> {
    if field.is_empty() || !field.iter().all(u8::is_ascii_digit) {
        return Err(NotNumber::Malformed);
    }
    let mut value = 0u64;
    for byte in field {
        value = value
            .checked_mul(10)
            .and_then(|value| value.checked_add(u64::from(byte - b'0')))
            .ok_or(NotNumber::OutOfRange)?;
    }
    Ok(value)
}

/// A float of at most fifteen digits without exponent: both its digits and its power of ten are exact, so that one
/// division rounds correctly (Clinger).
#[inline(always)]
fn short_float(field: &[u8]) -> Option<f64> {
    const DIGITS_MAX: usize = 15;
    const POWERS: [f64; DIGITS_MAX + 1] =
        [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];
    let (negative, field) = match field {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, field),
    };
    if field.len() > DIGITS_MAX + 1 {
        return None;
    }
    let (mut mantissa, mut count, mut point) = (0u64, 0, None);
    for &byte in field {
        let digit = byte.wrapping_sub(b'0');
        if digit <= 9 {
            mantissa = mantissa * 10 + u64::from(digit);
            count += 1;
        } else if byte == b'.' && point.is_none() {
            point = Some(count);
        } else {
            return None;
        }
    }
    if count == 0 || count > DIGITS_MAX {
        return None;
    }
    let value = mantissa as f64 / POWERS[count - point.unwrap_or(count)];
    Some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn limits() {
        assert_eq!(parse_u64(b"18446744073709551615"), Ok(u64::MAX));
        assert_eq!(parse_u64(b"18446744073709551616"), Err(NotNumber::OutOfRange));
        assert_eq!(parse_u64(b"00000000000000000000007"), Ok(7));
        assert_eq!(parse_u64(b""), Err(NotNumber::Malformed));
        assert_eq!(parse_u64(b"-1"), Err(NotNumber::Malformed));
        assert_eq!(parse_i64(b"-9223372036854775808"), Ok(i64::MIN));
        assert_eq!(parse_i64(b"-9223372036854775809"), Err(NotNumber::OutOfRange));
        assert_eq!(parse_i64(b"9223372036854775808"), Err(NotNumber::OutOfRange));
        assert_eq!(parse_i64(b"--1"), Err(NotNumber::Malformed));
        assert_eq!(parse_i64(b"+5"), Ok(5));
        assert_eq!(parse_f64(b"."), None);
        assert_eq!(parse_f64(b"-0").map(f64::to_bits), Some((-0.0f64).to_bits()));
    }

    proptest! {
        #[test]
        fn floats_are_those_of_the_standard_library(text in "-?[0-9]{0,17}\\.?[0-9]{0,10}(e-?[0-9]{1,2})?") {
            let expected: Option<f64> = text.parse().ok();
            prop_assert_eq!(parse_f64(text.as_bytes()).map(f64::to_bits), expected.map(f64::to_bits));
        }

        #[test]
        fn bytes_next_to_digits_are_none(digits in "[0-9]{1,20}", at in 0usize..20, byte: u8) {
            let mut field = digits.into_bytes();
            let at = at % field.len();
            field[at] = byte;
            let expected = std::str::from_utf8(&field).ok().filter(|text| !text.starts_with('+'));
            prop_assert_eq!(super::digits(&field).ok(), expected.and_then(|text| text.parse::<u64>().ok()));
        }

        #[test]
        fn integers_are_those_of_the_standard_library(text in "[-+]?[0-9]{0,21}x?") {
            let expected = text.parse::<i64>().ok().filter(|_| !text.starts_with("+-"));
            prop_assert_eq!(parse_i64(text.as_bytes()).ok(), expected);
        }
    }
}
