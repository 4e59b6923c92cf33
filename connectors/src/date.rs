//! Calendar dates in four bytes: days since 1970-01-01.

use crate::csv::FIELD_NEWTYPE;
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// A date of the Gregorian calendar, as days since 1970-01-01; dates order as their days do.
///
/// As text (in CSV or JSON) it is `YYYY-MM-DD`, of the years 0 to 9999; within the engine it is its number of days.
///
/// ```
/// use flinkrs_connectors::Date;
/// let date: Date = "1995-01-31".parse().unwrap();
/// assert_eq!(date.add_months(1).to_string(), "1995-02-28");
/// assert_eq!(date.add_days(1), Date::from_ymd(1995, 2, 1).unwrap());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(pub i32);

/// Text that is no date of the form `YYYY-MM-DD`, or of a day that its month doesn't have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseDateError;

/// Days of 400 years, after which the calendar repeats itself.
const ERA_DAYS: i64 = 146_097;

/// Days from 0000-03-01, where years begin in the arithmetic below, to 1970-01-01.
const EPOCH_DAYS: i64 = 719_468;

impl Date {
    /// The date, or `None` if the month doesn't exist or doesn't have the day.
    #[must_use]
    pub const fn from_ymd(year: i32, month: u32, day: u32) -> Option<Date> {
        if month < 1 || month > 12 || day < 1 || day > days_of_month(year, month) {
            return None;
        }
        let days = days_since_epoch(year as i64, month as i64, day as i64);
        if days < i32::MIN as i64 || days > i32::MAX as i64 { None } else { Some(Date(days as i32)) }
    }

    /// Year, month (1 to 12) and day (1 to 31).
    pub const fn ymd(self) -> (i32, u32, u32) {
        let days = self.0 as i64 + EPOCH_DAYS;
        let day_of_era = days.rem_euclid(ERA_DAYS);
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        let year = days.div_euclid(ERA_DAYS) * 400 + year_of_era + if month <= 2 { 1 } else { 0 };
        (year as i32, month as u32, day as u32)
    }

    /// The year.
    pub const fn year(self) -> i32 {
        self.ymd().0
    }

    /// The month, from 1 to 12.
    pub const fn month(self) -> u32 {
        self.ymd().1
    }

    /// The day of the month, from 1 to 31.
    pub const fn day(self) -> u32 {
        self.ymd().2
    }

    /// The date so many days later, or earlier if negative; stays within what `Date` can hold.
    #[must_use]
    pub const fn add_days(self, days: i32) -> Date {
        Date(self.0.saturating_add(days))
    }

    /// The same day so many months later, or the last day of that month if it has fewer; earlier if negative.
    #[must_use]
    pub const fn add_months(self, months: i32) -> Date {
        let (year, month, day) = self.ymd();
        let total = year as i64 * 12 + month as i64 - 1 + months as i64;
        let (year, month) = (total.div_euclid(12), total.rem_euclid(12) as u32 + 1);
        let last = days_of_month(year as i32, month);
        let days = days_since_epoch(year, month as i64, if day < last { day } else { last } as i64);
        if days < i32::MIN as i64 {
            Date(i32::MIN)
        } else if days > i32::MAX as i64 {
            Date(i32::MAX)
        } else {
            Date(days as i32)
        }
    }

    /// The date that `text` writes as `YYYY-MM-DD`.
    #[inline]
    pub fn parse(text: &[u8]) -> Result<Date, ParseDateError> {
        let &[a, b, c, d, b'-', e, f, b'-', g, h] = text else { return Err(ParseDateError) };
        let digits = [a, b, c, d, e, f, g, h].map(|byte| u32::from(byte.wrapping_sub(b'0')));
        if digits.iter().any(|&digit| digit > 9) {
            return Err(ParseDateError);
        }
        let [a, b, c, d, e, f, g, h] = digits;
        let (year, month, day) = (a * 1000 + b * 100 + c * 10 + d, e * 10 + f, g * 10 + h);
        if day > 28 || year == 0 {
            return Date::from_ymd(year as i32, month, day).ok_or(ParseDateError);
        }
        // Every month has the day, and four digits need no eras.
        let before = DAYS_BEFORE_MONTH.get(month as usize).filter(|_| month > 0 && day > 0).ok_or(ParseDateError)?;
        let years = if month <= 2 { year - 1 } else { year };
        let leap_days = years / 4 - years / 100 + years / 400;
        Ok(Date((year * 365 + leap_days + before + day) as i32 - DAYS_BEFORE_1970))
    }
}

/// Days of a year without a leap day before each month, counted from 1.
const DAYS_BEFORE_MONTH: [u32; 13] = [0, 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];

/// What `year * 365 + leap days + days before the month + day` is for the day before the epoch's first.
const DAYS_BEFORE_1970: i32 = 1970 * 365 + 477 + 1;

/// Counts years from March, so that the leap day is a year's last (Hinnant, "chrono-compatible low-level date
/// algorithms").
const fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let (year, month_from_march) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    year.div_euclid(400) * ERA_DAYS + day_of_era - EPOCH_DAYS
}

const fn days_of_month(year: i32, month: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

impl FromStr for Date {
    type Err = ParseDateError;

    fn from_str(text: &str) -> Result<Date, ParseDateError> {
        Date::parse(text.as_bytes())
    }
}

impl fmt::Display for ParseDateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a date (YYYY-MM-DD)")
    }
}

impl std::error::Error for ParseDateError {}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.ymd();
        if !(0..=9999).contains(&year) {
            return f.pad(&format!("{year}-{month:02}-{day:02}"));
        }
        let digit = |number: u32| b'0' + (number % 10) as u8;
        let y = year.unsigned_abs();
        let text = [
            digit(y / 1000),
            digit(y / 100),
            digit(y / 10),
            digit(y),
            b'-',
            digit(month / 10),
            digit(month),
            b'-',
            digit(day / 10),
            digit(day),
        ];
        f.pad(std::str::from_utf8(&text).expect("digits and hyphens are ASCII"))
    }
}

impl Serialize for Date {
    #[inline]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(self) } else { serializer.serialize_i32(self.0) }
    }
}

impl<'de> Deserialize<'de> for Date {
    #[inline]
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Date, D::Error> {
        struct TextVisitor;

        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Date;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a date (YYYY-MM-DD)")
            }
            #[inline]
            fn visit_bytes<E: de::Error>(self, text: &[u8]) -> Result<Date, E> {
                Date::parse(text).map_err(|_| E::invalid_value(de::Unexpected::Bytes(text), &self))
            }
            #[inline]
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Date, E> {
                self.visit_bytes(text.as_bytes())
            }
            fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Date, D::Error> {
                deserializer.deserialize_str(self)
            }
        }
        if deserializer.is_human_readable() {
            deserializer.deserialize_newtype_struct(FIELD_NEWTYPE, TextVisitor)
        } else {
            i32::deserialize(deserializer).map(Date)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flinkrs_core::types::codec;
    use proptest::prelude::*;

    fn date(text: &str) -> Date {
        text.parse().expect("the test writes dates")
    }

    #[test]
    fn known_days() {
        assert_eq!(date("1970-01-01"), Date(0));
        assert_eq!(date("1969-12-31"), Date(-1));
        assert_eq!(date("2000-02-29"), Date(11_016));
        assert_eq!(date("1992-01-01"), Date(8_035));
        assert_eq!(Date(i32::MAX).ymd().0, 5_881_580);
        assert_eq!(Date(-800_000).to_string(), "-221-09-04");
    }

    #[test]
    fn refuses_what_no_calendar_has() {
        for text in ["1999-02-29", "1900-02-29", "1999-13-01", "1999-00-10", "1999-04-31", "99-01-01", "1999/01/01", ""]
        {
            assert_eq!(text.parse::<Date>(), Err(ParseDateError), "{text}");
        }
    }

    #[test]
    fn months_end_where_they_end() {
        assert_eq!(date("1996-01-31").add_months(1), date("1996-02-29"));
        assert_eq!(date("1996-02-29").add_months(-12), date("1995-02-28"));
        assert_eq!(date("1995-11-15").add_months(3), date("1996-02-15"));
        assert_eq!(Date(i32::MAX).add_months(i32::MAX), Date(i32::MAX));
        assert_eq!(Date(i32::MIN).add_months(i32::MIN), Date(i32::MIN));
        assert_eq!((date("1995-03-17").year(), date("1995-03-17").month(), date("1995-03-17").day()), (1995, 3, 17));
    }

    proptest! {
        #[test]
        fn days_and_calendar_agree(days in any::<i32>()) {
            let (year, month, day) = Date(days).ymd();
            prop_assert_eq!(Date::from_ymd(year, month, day), Some(Date(days)));
            prop_assert!(days == i32::MAX || Date(days).add_days(1).ymd() > (year, month, day));
        }

        #[test]
        fn comes_back_from_text_and_from_bytes(days in -719_528i32..2_932_896) {
            prop_assert_eq!(date(&Date(days).to_string()), Date(days));
            let mut bytes = Vec::new();
            codec::encode(&[Date(days)], &mut bytes).expect("encodes");
            prop_assert_eq!(codec::decode::<Date>(&bytes).expect("decodes"), vec![Date(days)]);
        }
    }
}
