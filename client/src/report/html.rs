//! What the parts of the page share: escaping, numbers for people, and the style sheet.

use std::time::Duration;

/// Colours follow the reader's choice of a light or dark page.
pub(super) const STYLE: &str = "
:root { color-scheme: light dark; --text: #1c2430; --page: #ffffff; --faint: #5d6b7c; --line: #c5cdd8;
  --box: #eef3fa; --bar: #4f83cc; }
@media (prefers-color-scheme: dark) {
  :root { --text: #e2e7ee; --page: #14181e; --faint: #97a3b3; --line: #47525f; --box: #212a36; --bar: #6b9ce0; }
}
body { font: 15px/1.45 system-ui, sans-serif; color: var(--text); background: var(--page);
  max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
h1, h2, h3 { line-height: 1.2; overflow-wrap: anywhere; }
h2 { margin-top: 2.2rem; } h3 { margin: 1.8rem 0 0.3rem; }
p { margin: 0.3rem 0; } .faint { color: var(--faint); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; margin: 0.6rem 0; }
th, td { text-align: left; padding: 0.15rem 1.2rem 0.15rem 0; border-bottom: 1px solid var(--line);
  overflow-wrap: anywhere; }
th { color: var(--faint); font-weight: 600; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
.bars { display: grid; grid-template-columns: max-content minmax(8rem, 1fr) max-content max-content;
  gap: 2px 0.8rem; align-items: center; max-width: 48rem; font-variant-numeric: tabular-nums; }
.bars i { display: block; height: 0.7rem; min-width: 1px; background: var(--bar); border-radius: 2px; }
pre { overflow-x: auto; padding: 0.8rem; background: var(--box); border-radius: 6px; }
svg text { font: 12px system-ui, sans-serif; fill: var(--text); }
svg .name { font-weight: 600; } svg .faint { fill: var(--faint); }
svg .ship { font-size: 10.5px; fill: var(--faint); stroke: var(--page); stroke-width: 4px; paint-order: stroke; }
svg rect { fill: var(--box); stroke: var(--line); }
svg path { fill: none; stroke: var(--faint); stroke-width: 1.4; }
svg .blocking { stroke-dasharray: 6 4; } svg .head { fill: var(--faint); stroke: none; }
";

/// Text as it stands between tags or in a quoted attribute.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // No other control character may stand in a page.
            '\n' | '\t' => escaped.push(character),
            other if other.is_control() => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    escaped
}

/// A whole number in groups of three digits.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A duration in seconds, to the millisecond.
pub(super) fn seconds(duration: Duration) -> String {
    format!("{:.3} s", duration.as_secs_f64())
}

/// A text of at most `columns` characters.
pub(super) fn cut(text: &str, columns: usize) -> String {
    if text.chars().count() <= columns {
        return text.to_owned();
    }
    text.chars().take(columns - 1).chain(['…']).collect()
}
