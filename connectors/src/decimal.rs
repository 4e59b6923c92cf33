//! Fixed-point numbers for money: exact, eight bytes, and ordered like the amounts they are.

use crate::csv::{FIELD_NEWTYPE, digits};
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};
use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Neg, Sub, SubAssign};
use std::str::FromStr;

/// A number with exactly `SCALE` digits after the point, held as so many units: `Decimal::<2>(1234560)` is 12345.60.
///
/// Text with more digits after the point than `SCALE`, or too many before it, is an error, never rounded. Sums and
/// differences panic when they overflow, or say so with [`checked_add`](Decimal::checked_add) and its like. As text (in
/// CSV or JSON) a decimal is written with all its digits; within the engine it is its number of units.
///
/// ```
/// use flinkrs_connectors::Decimal;
/// let price: Decimal<2> = "12345.6".parse().unwrap();
/// let discount: Decimal<2> = "0.05".parse().unwrap();
/// let one = Decimal::<2>::from_int(1).unwrap();
/// let revenue: Decimal<4> = price.checked_mul(one - discount).unwrap();
/// assert_eq!(revenue.to_string(), "11728.3200");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Decimal<const SCALE: u32>(pub i64);

/// Text that is no decimal, or none of the wanted scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParseDecimalError {
    /// It isn't digits with at most one point among them.
    Malformed,
    /// It has more digits after the point than the scale.
    TooPrecise,
    /// It is too large.
    OutOfRange,
}

impl<const SCALE: u32> Decimal<SCALE> {
    /// How many units 1 has.
    pub const ONE: i64 = {
        assert!(SCALE <= 18, "a decimal has at most 18 digits after the point");
        10i64.pow(SCALE)
    };

    /// The smallest decimal.
    pub const MIN: Decimal<SCALE> = Decimal(i64::MIN);

    /// The largest decimal.
    pub const MAX: Decimal<SCALE> = Decimal(i64::MAX);

    /// A whole number, or `None` if it is too large.
    #[must_use]
    pub const fn from_int(number: i64) -> Option<Decimal<SCALE>> {
        match number.checked_mul(Decimal::<SCALE>::ONE) {
            Some(units) => Some(Decimal(units)),
            None => None,
        }
    }

    /// The sum, or `None` if it is too large.
    #[must_use]
    pub const fn checked_add(self, other: Decimal<SCALE>) -> Option<Decimal<SCALE>> {
        match self.0.checked_add(other.0) {
            Some(units) => Some(Decimal(units)),
            None => None,
        }
    }

    /// The difference, or `None` if it is too large.
    #[must_use]
    pub const fn checked_sub(self, other: Decimal<SCALE>) -> Option<Decimal<SCALE>> {
        match self.0.checked_sub(other.0) {
            Some(units) => Some(Decimal(units)),
            None => None,
        }
    }

    /// The exact product, which has as many digits after the point as both together; `None` if it is too large.
    ///
    /// `PRODUCT` other than `SCALE + OTHER` doesn't compile.
    #[must_use]
    pub const fn checked_mul<const OTHER: u32, const PRODUCT: u32>(
        self,
        other: Decimal<OTHER>,
    ) -> Option<Decimal<PRODUCT>> {
        const { assert!(PRODUCT == SCALE + OTHER, "a product has the digits of both factors") };
        match self.0.checked_mul(other.0) {
            Some(units) => Some(Decimal(units)),
            None => None,
        }
    }

    /// The product with a whole number, or `None` if it is too large.
    #[must_use]
    pub const fn checked_mul_int(self, factor: i64) -> Option<Decimal<SCALE>> {
        match self.0.checked_mul(factor) {
            Some(units) => Some(Decimal(units)),
            None => None,
        }
    }

    /// The nearest float, for results that needn't be exact.
    pub fn to_f64(self) -> f64 {
        self.0 as f64 / Decimal::<SCALE>::ONE as f64
    }

    /// The decimal that `text` writes.
    #[inline]
    pub fn parse(text: &[u8]) -> Result<Decimal<SCALE>, ParseDecimalError> {
        match Decimal::short(text) {
            Some(decimal) => Ok(decimal),
            None => Decimal::any(text),
        }
    }

    /// Digits with all decimals after a point, as most files have them: no digit can overflow, no sign is looked for.
    #[inline(always)]
    fn short(text: &[u8]) -> Option<Decimal<SCALE>> {
        let point = text.len().checked_sub(SCALE as usize + 1)?;
        if SCALE == 0 || text.len() > 18 || point == 0 || text[point] != b'.' {
            return None;
        }
        let (mut units, mut wrong) = (digits(&text[..point]).ok()?, false);
        for i in 1..=SCALE as usize {
            let digit = text[point + i].wrapping_sub(b'0');
            wrong |= digit > 9;
            units = units.wrapping_mul(10).wrapping_add(u64::from(digit));
        }
        (!wrong).then_some(Decimal(units as i64))
    }

    fn any(text: &[u8]) -> Result<Decimal<SCALE>, ParseDecimalError> {
        let (negative, digits) = match text {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            _ => (false, text),
        };
        let (mut units, mut any, mut fraction) = (0u64, false, None);
        for &byte in digits {
            let digit = byte.wrapping_sub(b'0');
            if digit <= 9 {
                units = units
                    .checked_mul(10)
                    .and_then(|units| units.checked_add(u64::from(digit)))
                    .ok_or(ParseDecimalError::OutOfRange)?;
                fraction = fraction.map(|count| count + 1);
                any = true;
            } else if byte == b'.' && fraction.is_none() {
                fraction = Some(0u32);
            } else {
                return Err(ParseDecimalError::Malformed);
            }
        }
        if !any {
            return Err(ParseDecimalError::Malformed);
        }
        let missing = SCALE.checked_sub(fraction.unwrap_or(0)).ok_or(ParseDecimalError::TooPrecise)?;
        let units = units.checked_mul(10u64.pow(missing)).ok_or(ParseDecimalError::OutOfRange)?;
        let signed = if negative { 0i64.checked_sub_unsigned(units) } else { i64::try_from(units).ok() };
        signed.map(Decimal).ok_or(ParseDecimalError::OutOfRange)
    }
}

impl<const SCALE: u32> FromStr for Decimal<SCALE> {
    type Err = ParseDecimalError;

    fn from_str(text: &str) -> Result<Decimal<SCALE>, ParseDecimalError> {
        Decimal::parse(text.as_bytes())
    }
}

impl fmt::Display for ParseDecimalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ParseDecimalError::Malformed => "not a decimal number",
            ParseDecimalError::TooPrecise => "a decimal number with too many digits after the point",
            ParseDecimalError::OutOfRange => "a decimal number that is too large",
        })
    }
}

impl std::error::Error for ParseDecimalError {}

impl<const SCALE: u32> fmt::Display for Decimal<SCALE> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut buffer = [0; TEXT_BYTES];
        let text = self.write(&mut buffer);
        f.pad_integral(self.0 >= 0, "", text.strip_prefix('-').unwrap_or(text))
    }
}

/// A sign, a point, and at most 19 digits or `SCALE` and one.
const TEXT_BYTES: usize = 24;

impl<const SCALE: u32> Decimal<SCALE> {
    /// Writes the text from the back of `buffer`.
    #[inline]
    fn write(self, buffer: &mut [u8; TEXT_BYTES]) -> &str {
        let mut rest = self.0.unsigned_abs();
        let mut start = TEXT_BYTES;
        let mut digits = 0;
        while digits <= SCALE || rest > 0 {
            if digits == SCALE && SCALE > 0 {
                start -= 1;
                buffer[start] = b'.';
            }
            start -= 1;
            buffer[start] = b'0' + (rest % 10) as u8;
            rest /= 10;
            digits += 1;
        }
        if self.0 < 0 {
            start -= 1;
            buffer[start] = b'-';
        }
        std::str::from_utf8(&buffer[start..]).expect("digits, a point and a sign are ASCII")
    }
}

impl<const SCALE: u32> Add for Decimal<SCALE> {
    type Output = Decimal<SCALE>;

    #[inline]
    fn add(self, other: Decimal<SCALE>) -> Decimal<SCALE> {
        self.checked_add(other).expect("a sum of decimals fits 64 bits")
    }
}

impl<const SCALE: u32> Sub for Decimal<SCALE> {
    type Output = Decimal<SCALE>;

    #[inline]
    fn sub(self, other: Decimal<SCALE>) -> Decimal<SCALE> {
        self.checked_sub(other).expect("a difference of decimals fits 64 bits")
    }
}

impl<const SCALE: u32> Neg for Decimal<SCALE> {
    type Output = Decimal<SCALE>;

    #[inline]
    fn neg(self) -> Decimal<SCALE> {
        Decimal(0) - self
    }
}

impl<const SCALE: u32> AddAssign for Decimal<SCALE> {
    #[inline]
    fn add_assign(&mut self, other: Decimal<SCALE>) {
        *self = *self + other;
    }
}

impl<const SCALE: u32> SubAssign for Decimal<SCALE> {
    #[inline]
    fn sub_assign(&mut self, other: Decimal<SCALE>) {
        *self = *self - other;
    }
}

impl<const SCALE: u32> Sum for Decimal<SCALE> {
    fn sum<I: Iterator<Item = Decimal<SCALE>>>(decimals: I) -> Decimal<SCALE> {
        decimals.fold(Decimal(0), Add::add)
    }
}

impl<const SCALE: u32> Serialize for Decimal<SCALE> {
    #[inline]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(self.write(&mut [0; TEXT_BYTES]))
        } else {
            serializer.serialize_i64(self.0)
        }
    }
}

impl<'de, const SCALE: u32> Deserialize<'de> for Decimal<SCALE> {
    #[inline]
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Decimal<SCALE>, D::Error> {
        struct TextVisitor<const SCALE: u32>;

        impl<'de, const SCALE: u32> Visitor<'de> for TextVisitor<SCALE> {
            type Value = Decimal<SCALE>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match SCALE {
                    0 => f.write_str("a whole number (64 bits)"),
                    1 => f.write_str("a decimal number with at most 1 digit after the point (64 bits)"),
                    _ => write!(f, "a decimal number with at most {SCALE} digits after the point (64 bits)"),
                }
            }
            #[inline]
            fn visit_bytes<E: de::Error>(self, text: &[u8]) -> Result<Decimal<SCALE>, E> {
                Decimal::parse(text).map_err(|_| E::invalid_value(de::Unexpected::Bytes(text), &self))
            }
            #[inline]
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Decimal<SCALE>, E> {
                self.visit_bytes(text.as_bytes())
            }
            fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Decimal<SCALE>, D::Error> {
                deserializer.deserialize_str(self)
            }
        }
        if deserializer.is_human_readable() {
            deserializer.deserialize_newtype_struct(FIELD_NEWTYPE, TextVisitor)
        } else {
            i64::deserialize(deserializer).map(Decimal)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flinkrs_core::types::codec;
    use proptest::prelude::*;

    #[test]
    fn reads_exactly_or_not_at_all() {
        let read = |text: &str| text.parse::<Decimal<2>>().map(|decimal| decimal.0);
        assert_eq!(read("12345.6"), Ok(1_234_560));
        assert_eq!(read("-0.05"), Ok(-5));
        assert_eq!(read(".5"), Ok(50));
        assert_eq!(read("+7."), Ok(700));
        assert_eq!(read("92233720368547758.07"), Ok(i64::MAX));
        assert_eq!(read("-92233720368547758.08"), Ok(i64::MIN));
        assert_eq!(read("92233720368547758.08"), Err(ParseDecimalError::OutOfRange));
        assert_eq!(read("99999999999999999999999"), Err(ParseDecimalError::OutOfRange));
        assert_eq!(read("1.234"), Err(ParseDecimalError::TooPrecise));
        for text in ["", ".", "-", "1.2.3", "1e5", " 1", "1,5"] {
            assert_eq!(read(text), Err(ParseDecimalError::Malformed), "{text}");
        }
    }

    #[test]
    fn displays_all_digits_and_honours_the_width() {
        assert_eq!(Decimal::<2>(-5).to_string(), "-0.05");
        assert_eq!(Decimal::<4>(i64::MIN).to_string(), "-922337203685477.5808");
        assert_eq!(Decimal::<0>(17).to_string(), "17");
        assert_eq!(Decimal::<18>(1).to_string(), "0.000000000000000001");
        assert_eq!(format!("{:>8}|{:08}", Decimal::<2>(-125), Decimal::<2>(-125)), "   -1.25|-0001.25");
    }

    #[test]
    fn arithmetic_says_when_it_overflows() {
        let max = Decimal::<2>::MAX;
        assert_eq!(max.checked_add(Decimal(1)), None);
        assert_eq!(Decimal::<2>::MIN.checked_sub(Decimal(1)), None);
        assert_eq!(max.checked_mul::<2, 4>(Decimal(2)), None);
        assert_eq!(Decimal::<2>(150).checked_mul::<1, 3>(Decimal(-15)), Some(Decimal(-2250)));
        assert_eq!([Decimal::<2>(1), Decimal(2)].into_iter().sum::<Decimal<2>>(), Decimal(3));
        assert_eq!(Decimal::<2>(7).checked_mul_int(3), Some(Decimal(21)));
        assert_eq!(Decimal::<2>(-125).to_f64(), -1.25);
    }

    proptest! {
        #[test]
        fn comes_back_from_text_and_from_bytes(units in any::<i64>()) {
            let decimal = Decimal::<3>(units);
            prop_assert_eq!(decimal.to_string().parse(), Ok(decimal));
            let mut bytes = Vec::new();
            codec::encode(&[decimal], &mut bytes).expect("encodes");
            prop_assert_eq!(codec::decode::<Decimal<3>>(&bytes).expect("decodes"), vec![decimal]);
        }
    }
}
