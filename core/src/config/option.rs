//! How an option is declared.

use crate::config::value::ConfigValue;
use std::marker::PhantomData;

/// An option whose values are of type `T`.
#[derive(Debug)]
pub struct ConfigOption<T> {
    pub(super) key: &'static str,
    pub(super) default: &'static str,
    pub(super) doc: &'static str,
    pub(super) value: PhantomData<fn() -> T>,
}

/// What is known of an option without the type of its values.
pub trait Declaration: Sync {
    /// Its name in files and on the command line.
    fn key(&self) -> &'static str;
    /// The text of its default value; empty when it has none.
    fn default(&self) -> &'static str;
    /// What it means.
    fn doc(&self) -> &'static str;
    /// Which values it can have, as an error says it.
    fn allowed(&self) -> String;
    /// Whether a text is such a value.
    fn accepts(&self, text: &str) -> bool;
}

impl<T: ConfigValue> Declaration for ConfigOption<T> {
    fn key(&self) -> &'static str {
        self.key
    }

    fn default(&self) -> &'static str {
        self.default
    }

    fn doc(&self) -> &'static str {
        self.doc.trim_start()
    }

    fn allowed(&self) -> String {
        T::allowed()
    }

    fn accepts(&self, text: &str) -> bool {
        T::parse(text).is_some()
    }
}

/// Declares the options of a component: documentation, name, type, key, and the text of the default.
macro_rules! options {
    ($($(#[doc = $doc:literal])+ $name:ident: $type:ty = $key:literal, $default:literal;)+) => {
        $(
            $(#[doc = $doc])+
            pub static $name: $crate::config::ConfigOption<$type> = $crate::config::ConfigOption {
                key: $key,
                default: $default,
                doc: concat!($($doc),+),
                value: std::marker::PhantomData,
            };
        )+

        pub(super) static ALL: &[&dyn $crate::config::Declaration] = &[$(&$name),+];
    };
}

pub(super) use options;
