//! Numbers as people read them.

use crate::cost::Cost;
use crate::options::OptimizerOptions;

/// A number with two decimals and a suffix for thousands, as Flink's plans have it: `1.50 K`.
pub(crate) fn number(value: f64) -> String {
    let mut value = value;
    let mut suffix = "";
    for next in ["K", "M", "G", "T", "P"] {
        // What would be rounded up to 1000.00 takes the next suffix.
        if value < 999.995 {
            break;
        }
        value /= 1000.0;
        suffix = next;
    }
    if suffix.is_empty() { format!("{value:.2}") } else { format!("{value:.2} {suffix}") }
}

/// A number of bytes.
pub(crate) fn bytes(value: f64) -> String {
    let number = number(value);
    if number.contains(' ') { format!("{number}B") } else { format!("{number} B") }
}

/// A cost: its total and then its parts.
pub(crate) fn cost(cost: &Cost, options: &OptimizerOptions) -> String {
    format!(
        "{} (network {}, disk {}, cpu {})",
        number(cost.total(options)),
        bytes(cost.network),
        bytes(cost.disk),
        number(cost.cpu)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_a_suffix_for_thousands() {
        assert_eq!(number(0.0), "0.00");
        assert_eq!(number(999.0), "999.00");
        assert_eq!(number(1500.0), "1.50 K");
        assert_eq!(number(999_999.0), "1.00 M");
        assert_eq!(bytes(12.0), "12.00 B");
        assert_eq!(bytes(2.5e9), "2.50 GB");
        assert_eq!(number(3e20), "300000.00 P");
    }
}
