//! CSV fields of the query results.

/// Appends a text field, quoted where CSV asks for it.
pub fn push_text(line: &mut Vec<u8>, field: &[u8]) {
    if !field.iter().any(|byte| matches!(byte, b',' | b'"' | b'\n' | b'\r')) {
        line.extend_from_slice(field);
        return;
    }
    line.push(b'"');
    for &byte in field {
        if byte == b'"' {
            line.push(b'"');
        }
        line.push(byte);
    }
    line.push(b'"');
}

/// A fixed-point amount in 1/10 000 with its four decimals.
pub fn money4(amount: i64) -> String {
    let sign = if amount < 0 { "-" } else { "" };
    let digits = amount.unsigned_abs();
    format!("{sign}{}.{:04}", digits / 10_000, digits % 10_000)
}

/// A `yyyymmdd` number as `yyyy-mm-dd`.
pub fn date(number: u32) -> String {
    format!("{:04}-{:02}-{:02}", number / 10_000, number / 100 % 100, number % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_only_where_needed() {
        let mut line = Vec::new();
        push_text(&mut line, b"plain text");
        line.push(b',');
        push_text(&mut line, b"a, \"b\"");
        assert_eq!(line, b"plain text,\"a, \"\"b\"\"\"");
    }

    #[test]
    fn prints_fixed_point_and_dates() {
        assert_eq!(money4(7_347_212_257), "734721.2257");
        assert_eq!(money4(-5), "-0.0005");
        assert_eq!(date(19950315), "1995-03-15");
    }
}
