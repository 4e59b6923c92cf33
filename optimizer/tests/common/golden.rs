//! Golden texts in `tests/golden`; `FLINKRS_BLESS=1` rewrites them.

use std::path::Path;

pub fn check(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("FLINKRS_BLESS").is_some() {
        std::fs::write(&path, text).expect("the golden file can be written");
        return;
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        golden == text,
        "{name} has changed; if that is right, run with FLINKRS_BLESS=1\n--- golden\n{golden}\n--- now\n{text}"
    );
}
