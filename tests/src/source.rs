//! Reads Rust just far enough for the rules: what is code, what is a comment or a literal, where functions end.

/// A Rust file and its code with comments, strings and characters blanked out, byte for byte.
pub struct Source {
    /// The file as it is.
    pub text: String,
    /// The same without what isn't code; line breaks stay.
    pub code: String,
}

/// A function with a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// The line of its `fn`, counted from 1.
    pub line: usize,
    /// Lines from `fn` to the closing brace.
    pub lines: usize,
}

impl Source {
    /// Reads a file's text.
    pub fn new(text: String) -> Source {
        let mut code = text.clone().into_bytes();
        let bytes = text.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            let end = literal_end(bytes, at);
            for byte in code[at..end].iter_mut().filter(|byte| **byte != b'\n') {
                *byte = b' ';
            }
            at = end.max(at + 1);
        }
        let code = String::from_utf8(code).expect("whole literals and comments were blanked");
        Source { text, code }
    }

    /// The line of a byte, counted from 1.
    pub fn line_of(&self, at: usize) -> usize {
        1 + self.code.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count()
    }

    /// Where `word` stands in the code as a word of its own.
    pub fn words<'a>(&'a self, word: &'a str) -> impl Iterator<Item = usize> + 'a {
        let bytes = self.code.as_bytes();
        let part_of_word = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
        let alone = move |at: &usize| {
            let before = at.checked_sub(1).and_then(|before| bytes.get(before));
            !part_of_word(before) && !part_of_word(bytes.get(at + word.len()))
        };
        self.code.match_indices(word).map(|(at, _)| at).filter(alone)
    }

    /// The functions that have a body, nested ones too.
    pub fn functions(&self) -> Vec<Function> {
        self.words("fn").filter_map(|at| self.function(at)).collect()
    }

    fn function(&self, at: usize) -> Option<Function> {
        let rest = self.code[at + 2..].trim_start();
        let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        if name.is_empty() {
            return None;
        }
        let end = block_end(&self.code, at)?;
        let line = self.line_of(at);
        Some(Function { name, line, lines: self.line_of(end) - line + 1 })
    }

    /// The parts of the code, in bytes, that are compiled for tests only: items after `#[cfg(test)]`.
    pub fn test_parts(&self) -> Vec<std::ops::Range<usize>> {
        let starts = self.code.match_indices("#[cfg(test)]").map(|(at, _)| at);
        starts.filter_map(|at| Some(at..block_end(&self.code, at + "#[cfg(test)]".len())?)).collect()
    }

    /// The modules in files of their own that are compiled for tests only.
    pub fn test_modules(&self) -> Vec<String> {
        let modules = self.code.split("#[cfg(test)]").skip(1).filter_map(|rest| {
            let rest = rest.trim_start();
            let rest = rest.strip_prefix("pub(crate)").unwrap_or(rest).trim_start();
            let (name, after) = rest.strip_prefix("mod ")?.split_at_checked(rest[4..].find([';', '{'])?)?;
            after.starts_with(';').then(|| name.trim().to_owned())
        });
        modules.collect()
    }
}

/// The last byte of the block that follows, or `None` when a `;` ends the item first.
fn block_end(code: &str, from: usize) -> Option<usize> {
    let (mut depth, mut nested) = (0usize, 0usize);
    for (i, byte) in code.as_bytes()[from..].iter().enumerate() {
        match byte {
            b'(' | b'[' => nested += 1,
            b')' | b']' => nested = nested.saturating_sub(1),
            b';' if depth == 0 && nested == 0 => return None,
            b'{' => depth += 1,
            b'}' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(from + i);
                }
            }
            _ => {}
        }
    }
    None
}

/// Where the comment or literal that begins at `at` ends; `at` when none begins there.
fn literal_end(bytes: &[u8], at: usize) -> usize {
    let rest = &bytes[at..];
    let in_word = at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_');
    match rest {
        [b'/', b'/', ..] => at + rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len()),
        [b'/', b'*', ..] => at + block_comment(rest),
        [b'"', ..] => at + string(rest),
        [b'\'', ..] => at + character(rest),
        [b'r', b'"' | b'#', ..] if !in_word => at + raw_string(rest, 1),
        [b'b', b'r', b'"' | b'#', ..] if !in_word => at + raw_string(rest, 2),
        _ => at,
    }
}

fn block_comment(rest: &[u8]) -> usize {
    let (mut depth, mut at) = (0usize, 0);
    while at < rest.len() {
        match &rest[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

fn string(rest: &[u8]) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// A character; a lifetime or label is no literal.
fn character(rest: &[u8]) -> usize {
    if rest.get(1) == Some(&b'\\') {
        let end = rest.iter().skip(3).position(|byte| *byte == b'\'');
        return end.map_or(rest.len(), |end| end + 4);
    }
    let len = rest.iter().skip(2).take(4).position(|byte| *byte == b'\'');
    let one_character = |len: &usize| std::str::from_utf8(&rest[1..len + 2]).is_ok_and(|c| c.chars().count() == 1);
    len.filter(one_character).map_or(0, |len| len + 3)
}

fn raw_string(rest: &[u8], prefix: usize) -> usize {
    let hashes = rest[prefix..].iter().take_while(|byte| **byte == b'#').count();
    if rest.get(prefix + hashes) != Some(&b'"') {
        return 0;
    }
    let close: Vec<u8> = std::iter::once(b'"').chain(std::iter::repeat_n(b'#', hashes)).collect();
    let body = prefix + hashes + 1;
    let end = rest[body..].windows(close.len()).position(|window| window == close);
    end.map_or(rest.len(), |end| body + end + close.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_comments_and_literals() {
        let text = "let a = \"fn x() {\"; // unsafe\nlet b = r#\"\"todo!\"\"#; /* a /* b */ */ let c: &'a u8 = '\\'';";
        let source = Source::new(text.to_owned());
        assert_eq!(source.code.len(), text.len());
        for word in ["fn", "unsafe", "todo", "b */"] {
            assert_eq!(source.code.find(word), None, "{word} in {}", source.code);
        }
        assert!(source.code.contains("let c: &'a u8 ="));
        assert!(Source::new("match x { '{' => 1, '→' => 2 }".to_owned()).code.matches('{').count() == 1);
    }

    #[test]
    fn finds_functions_and_their_length() {
        let text = "trait T { fn none(&self); }\nfn one(a: [u8; 4]) -> u8\n{\n    let f: fn(u8) = g;\n}\n";
        let functions = Source::new(text.to_owned()).functions();
        assert_eq!(functions, [Function { name: "one".to_owned(), line: 2, lines: 4 }]);
    }

    #[test]
    fn finds_what_is_for_tests() {
        let source = Source::new("#[cfg(test)]\nmod testing;\nfn a() {}\n#[cfg(test)]\nmod tests { x }\n".to_owned());
        assert_eq!(source.test_modules(), ["testing"]);
        let parts = source.test_parts();
        assert_eq!(parts.len(), 1);
        assert!(source.code[parts[0].clone()].contains("mod tests"));
    }
}
