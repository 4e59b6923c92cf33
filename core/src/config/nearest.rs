//! The option that was meant by a key that is none.

/// The key that takes the fewest changes of one character, the first of several.
pub(super) fn nearest<'a>(key: &str, keys: impl Iterator<Item = &'a str>) -> &'a str {
    let key: Vec<char> = key.chars().take(MOST_CHARS).collect();
    keys.min_by_key(|other| distance(&key, other)).unwrap_or_default()
}

/// More of a key is not looked at: no option has as many.
const MOST_CHARS: usize = 128;

/// How many characters have to be put in, taken out or replaced to make one of the other (Levenshtein).
fn distance(a: &[char], b: &str) -> usize {
    let mut row: Vec<usize> = (0..=a.len()).collect();
    for (i, b) in b.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, a) in a.iter().enumerate() {
            let replaced = diagonal + usize::from(*a != b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[a.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (a, b, expected) in
            [("", "", 0), ("", "abc", 3), ("abc", "", 3), ("kitten", "sitting", 3), ("flaw", "lawn", 2), ("ä", "a", 1)]
        {
            assert_eq!(distance(&a.chars().collect::<Vec<_>>(), b), expected, "{a} {b}");
        }
        assert_eq!(nearest("rest.prot", ["rest.address", "rest.port", "rest.part"].into_iter()), "rest.port");
    }
}
