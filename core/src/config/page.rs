//! The reference page of all options, in Markdown.

use crate::config::{Declaration, FILE_NAME, components};
use std::fmt::Write;

const INTRODUCTION: &str = "\
# Options of a cluster

They are set in `FILE_NAME`, which is looked for at `--config FILE`, in the folder `FLINKRS_CONF_DIR`, and in the
working directory; `-D KEY=VALUE` on the command line counts more. Keys may be written in sections or dotted:

```toml
rest.port = 8082

[taskmanager]
numberOfTaskSlots = 4
memory.process.size = \"8gb\"
```

A key that is no option is an error, and so is a value that an option can't have. The keys are Flink's where Flink has
the option, but not all defaults are. A duration without a unit counts milliseconds, a size without one bytes.

A job may have a restart strategy and timeouts of its own, which count more than the cluster's: `flinkrs run` sends
what it finds set of `restart-strategy.*`, `slot.request.timeout` and `execution.batch.job-recovery.*`. What only
processes of a cluster read has no effect there, and a warning says so.
";

const HEAD: &str = "| option | value | default | meaning |\n|---|---|---|---|\n";

/// Writes `docs/configuration.md` from the declarations; a test compares the two.
pub fn reference_page() -> String {
    let mut page = INTRODUCTION.replace("FILE_NAME", FILE_NAME);
    for component in components() {
        let _ = write!(page, "\n## {}\n\n{HEAD}", component.title);
        for option in component.options {
            page.push_str(&row(*option));
        }
    }
    page
}

fn row(option: &dyn Declaration) -> String {
    let default = if option.default().is_empty() { "–".to_owned() } else { format!("`{}`", option.default()) };
    format!("| `{}` | {} | {default} | {} |\n", option.key(), option.allowed(), option.doc())
}
