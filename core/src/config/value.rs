//! The types of options: how their values are written, and which there are.

use crate::resource::ByteSize;
use std::fmt;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

/// A type that an option's value can have.
pub trait ConfigValue: Sized {
    /// Which values there are, as in `it has to be …`.
    fn allowed() -> String;

    /// The value that a text stands for.
    fn parse(text: &str) -> Option<Self>;
}

/// A part of a whole: from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Fraction(pub f64);

/// What something is multiplied by to grow: 1 or more.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Factor(pub f64);

/// Units of time, in milliseconds.
const UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1000), ("min", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

impl ConfigValue for String {
    fn allowed() -> String {
        "text".to_owned()
    }

    fn parse(text: &str) -> Option<String> {
        (!text.is_empty()).then(|| text.to_owned())
    }
}

impl ConfigValue for bool {
    fn allowed() -> String {
        "true or false".to_owned()
    }

    fn parse(text: &str) -> Option<bool> {
        text.parse().ok()
    }
}

/// A port.
impl ConfigValue for u16 {
    fn allowed() -> String {
        "a port from 0 (any that is free) to 65535".to_owned()
    }

    fn parse(text: &str) -> Option<u16> {
        text.parse().ok()
    }
}

impl ConfigValue for u32 {
    fn allowed() -> String {
        format!("a whole number from 0 to {}", u32::MAX)
    }

    fn parse(text: &str) -> Option<u32> {
        text.parse().ok()
    }
}

impl ConfigValue for NonZeroU32 {
    fn allowed() -> String {
        format!("a whole number from 1 to {}", u32::MAX)
    }

    fn parse(text: &str) -> Option<NonZeroU32> {
        text.parse().ok()
    }
}

impl ConfigValue for Fraction {
    fn allowed() -> String {
        "a number from 0 to 1".to_owned()
    }

    fn parse(text: &str) -> Option<Fraction> {
        text.parse().ok().filter(|value| (0.0..=1.0).contains(value)).map(Fraction)
    }
}

impl ConfigValue for Factor {
    fn allowed() -> String {
        "a number from 1".to_owned()
    }

    fn parse(text: &str) -> Option<Factor> {
        text.parse().ok().filter(|value: &f64| value.is_finite() && *value >= 1.0).map(Factor)
    }
}

/// Ports, of which the first that is free is taken; written as `9250` or `9250-9260`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRange {
    /// The first of them.
    pub first: u16,
    /// The last of them, not smaller.
    pub last: u16,
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last { write!(f, "{}", self.first) } else { write!(f, "{}-{}", self.first, self.last) }
    }
}

impl ConfigValue for PortRange {
    fn allowed() -> String {
        "a port such as 9250, or a range of them such as 9250-9260".to_owned()
    }

    fn parse(text: &str) -> Option<PortRange> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let range = PortRange { first: first.trim().parse().ok()?, last: last.trim().parse().ok()? };
        (range.first <= range.last).then_some(range)
    }
}

impl ConfigValue for ByteSize {
    fn allowed() -> String {
        "a size such as 512mb or 4gb".to_owned()
    }

    fn parse(text: &str) -> Option<ByteSize> {
        text.parse().ok()
    }
}

/// A number without a unit counts milliseconds, as in Flink.
impl ConfigValue for Duration {
    fn allowed() -> String {
        "a duration such as 500 ms, 5 s or 2 min".to_owned()
    }

    fn parse(text: &str) -> Option<Duration> {
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let unit = if unit.is_empty() { "ms" } else { unit.trim_start() };
        let (_, milliseconds) = UNITS.iter().find(|(name, _)| *name == unit)?;
        number.parse::<u64>().ok()?.checked_mul(*milliseconds).map(Duration::from_millis)
    }
}

impl ConfigValue for PathBuf {
    fn allowed() -> String {
        "a path".to_owned()
    }

    fn parse(text: &str) -> Option<PathBuf> {
        (!text.is_empty()).then(|| PathBuf::from(text))
    }
}

impl ConfigValue for Vec<String> {
    fn allowed() -> String {
        "one or more words with commas between them".to_owned()
    }

    fn parse(text: &str) -> Option<Vec<String>> {
        let words: Vec<String> = text.split(',').map(|word| word.trim().to_owned()).collect();
        words.iter().all(|word| !word.is_empty()).then_some(words)
    }
}

impl ConfigValue for Vec<PathBuf> {
    fn allowed() -> String {
        "one or more paths with commas between them".to_owned()
    }

    fn parse(text: &str) -> Option<Vec<PathBuf>> {
        text.split(',').map(|path| PathBuf::parse(path.trim())).collect()
    }
}

/// An option that need not be set; an empty text unsets it.
impl<T: ConfigValue> ConfigValue for Option<T> {
    fn allowed() -> String {
        T::allowed()
    }

    fn parse(text: &str) -> Option<Option<T>> {
        if text.is_empty() { Some(None) } else { T::parse(text).map(Some) }
    }
}

/// An option with a few values that have names.
macro_rules! choices {
    ($(#[doc = $doc:literal])+ $name:ident { $($(#[doc = $of:literal])+ $variant:ident = $text:literal,)+ }) => {
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[doc = $of])+ $variant,)+
        }

        impl $crate::config::ConfigValue for $name {
            fn allowed() -> String {
                format!("one of {}", [$($text),+].join(", "))
            }

            fn parse(text: &str) -> Option<$name> {
                match text {
                    $($text => Some($name::$variant),)+
                    _ => None,
                }
            }
        }
    };
}

pub(super) use choices;
