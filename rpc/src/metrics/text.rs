//! The text format of Prometheus, with the names and labels of Flink's reporter.

use crate::metrics::Measure;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Samples by metric: the format wants those of one metric together.
#[derive(Default)]
pub struct Families(BTreeMap<String, String>);

impl Families {
    /// The type of the content that [`text`](Families::text) is.
    pub const CONTENT: &'static str = "text/plain; version=0.0.4; charset=utf-8";

    /// Adds measures of a scope, such as `flink_taskmanager`, with labels.
    pub fn add(&mut self, scope: &str, labels: &[(&str, &str)], measures: &[Measure]) {
        let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
        let labels = labels.join(",");
        for (name, value) in measures {
            let name = format!("{scope}_{}", name.replace('.', "_"));
            let samples = self.0.entry(name.clone()).or_default();
            // Writing to a string can't fail.
            let _ = writeln!(samples, "{name}{{{labels}}} {value}");
        }
    }

    /// All samples.
    pub fn text(&self) -> String {
        self.0.iter().map(|(name, samples)| format!("# TYPE {name} gauge\n{samples}")).collect()
    }
}

/// The value of a label, as it stands between quotes.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_of_a_metric_stand_together_and_labels_are_escaped() {
        let measures = |of: &[(&'static str, u64)]| of.iter().map(|(n, v)| ((*n).into(), *v)).collect::<Vec<Measure>>();
        let mut families = Families::default();
        families.add("flink_a", &[("name", "say \"hi\"\nC:\\")], &measures(&[("y.z", 1), ("x", 2)]));
        families.add("flink_a", &[("name", "b")], &measures(&[("y.z", 3)]));
        let expected = "# TYPE flink_a_x gauge\nflink_a_x{name=\"say \\\"hi\\\"\\nC:\\\\\"} 2\n\
                        # TYPE flink_a_y_z gauge\nflink_a_y_z{name=\"say \\\"hi\\\"\\nC:\\\\\"} 1\n\
                        flink_a_y_z{name=\"b\"} 3\n";
        assert_eq!(families.text(), expected);
    }
}
