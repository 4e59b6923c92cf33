//! The manifest of a snapshot: a line with format and checksum, and JSON.

use flinkrs_core::function::{AccumulatorValue, Aggregates};
use serde::{Deserialize, Serialize};

/// How the first line begins; the version of the format and a checksum of what follows the line come after it.
const MAGIC: &str = "flinkrs loop snapshot, format ";

/// The version of the format.
const FORMAT: u32 = 1;

/// A complete snapshot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) origin: Origin,
    /// The superstep that has ended.
    pub(crate) superstep: u32,
    aggregates: Vec<(String, Stored)>,
    /// By subtask of the tail.
    pub(crate) subtasks: Vec<SubtaskState>,
}

/// What wrote a snapshot; what reads it has to be the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Origin {
    /// The format of the records.
    pub(crate) codec: String,
    /// The name of the job.
    pub(crate) job: String,
    /// The name of the loop.
    pub(crate) name: String,
    /// The number of its subtasks.
    pub(crate) parallelism: u32,
    /// The type of the records that are fed back.
    pub(crate) feedback: String,
    /// The type of those of the solution set.
    pub(crate) solution: Option<String>,
    /// The plan, in short.
    pub(crate) plan: String,
}

/// The state of one subtask.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SubtaskState {
    /// What it fed back.
    pub(crate) feedback: StateFile,
    /// Its part of the solution set: all of it, and then changes.
    pub(crate) solution: Vec<StateFile>,
}

/// A file of the snapshot's folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StateFile {
    pub(crate) name: String,
    pub(crate) bytes: u64,
    pub(crate) crc32: u32,
}

/// An aggregate; floats as their bits, which JSON has no other exact form for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Stored {
    Long(i64),
    Double(u64),
    Minimum(u64),
    Maximum(u64),
    Histogram(Vec<(i64, u64)>),
}

impl From<&AccumulatorValue> for Stored {
    fn from(value: &AccumulatorValue) -> Stored {
        match value {
            AccumulatorValue::Long(sum) => Stored::Long(*sum),
            AccumulatorValue::Double(sum) => Stored::Double(sum.to_bits()),
            AccumulatorValue::Minimum(least) => Stored::Minimum(least.to_bits()),
            AccumulatorValue::Maximum(most) => Stored::Maximum(most.to_bits()),
            AccumulatorValue::Histogram(counts) => Stored::Histogram(counts.iter().map(|(n, c)| (*n, *c)).collect()),
        }
    }
}

impl From<&Stored> for AccumulatorValue {
    fn from(stored: &Stored) -> AccumulatorValue {
        match stored {
            Stored::Long(sum) => AccumulatorValue::Long(*sum),
            Stored::Double(bits) => AccumulatorValue::Double(f64::from_bits(*bits)),
            Stored::Minimum(bits) => AccumulatorValue::Minimum(f64::from_bits(*bits)),
            Stored::Maximum(bits) => AccumulatorValue::Maximum(f64::from_bits(*bits)),
            Stored::Histogram(counts) => AccumulatorValue::Histogram(counts.iter().copied().collect()),
        }
    }
}

impl Manifest {
    pub(crate) fn new(
        origin: &Origin,
        superstep: u32,
        aggregates: &Aggregates,
        subtasks: Vec<SubtaskState>,
    ) -> Manifest {
        let aggregates = aggregates.iter().map(|(name, value)| (name.clone(), value.into())).collect();
        Manifest { origin: origin.clone(), superstep, aggregates, subtasks }
    }

    /// The aggregates of the superstep.
    pub(crate) fn aggregates(&self) -> Aggregates {
        self.aggregates.iter().map(|(name, stored)| (name.clone(), stored.into())).collect()
    }

    /// All files that belong to it.
    pub(crate) fn files(&self) -> impl Iterator<Item = &StateFile> {
        self.subtasks.iter().flat_map(|subtask| std::iter::once(&subtask.feedback).chain(&subtask.solution))
    }

    /// The text of the file.
    pub(crate) fn text(&self) -> serde_json::Result<String> {
        let body = serde_json::to_string_pretty(self)?;
        Ok(format!("{MAGIC}{FORMAT}, crc32 {:08x}\n{body}", crc32fast::hash(body.as_bytes())))
    }

    /// Reads the text of a file, or says what is wrong with it.
    pub(crate) fn parse(text: &[u8]) -> Result<Manifest, String> {
        let strange = || "is not the manifest of a loop snapshot".to_owned();
        let line = text.iter().position(|byte| *byte == b'\n').unwrap_or(text.len());
        let (head, body) = (&text[..line], text.get(line + 1..).unwrap_or_default());
        let head = std::str::from_utf8(head).ok().and_then(|head| head.strip_prefix(MAGIC)).ok_or_else(strange)?;
        let (format, checksum) = head.split_once(", crc32 ").ok_or_else(strange)?;
        if format != FORMAT.to_string() {
            return Err(format!("is of format {format}, and this program reads format {FORMAT}"));
        }
        if format!("{:08x}", crc32fast::hash(body)) != checksum {
            return Err("is damaged: its checksum doesn't fit its content".to_owned());
        }
        serde_json::from_slice(body).map_err(|error| format!("can't be understood: {error}"))
    }
}

impl Origin {
    /// Whether this has been written by what `reader` is; if not, the difference.
    pub(crate) fn check(&self, reader: &Origin) -> Result<(), String> {
        let differ = |what: &str, written: &str, read: &str| Err(format!("is {what} {written}, and this is {read}"));
        if self.codec != reader.codec {
            return differ("of records in", &self.codec, &reader.codec);
        }
        if self.job != reader.job {
            return differ("of job", &quoted(&self.job), &quoted(&reader.job));
        }
        if self.name != reader.name {
            return differ("of loop", &quoted(&self.name), &quoted(&reader.name));
        }
        if self.parallelism != reader.parallelism {
            let option = format!("{} (option --parallelism)", reader.parallelism);
            return differ("of a loop of parallelism", &self.parallelism.to_string(), &option);
        }
        if self.feedback != reader.feedback {
            return differ("of a loop that feeds back", &self.feedback, &reader.feedback);
        }
        if self.solution != reader.solution {
            let shown = |of: &Origin| of.solution.clone().unwrap_or_else(|| "none".to_owned());
            return differ("of a loop with the solution set", &shown(self), &shown(reader));
        }
        if self.plan != reader.plan {
            let advice = "the program has changed, or the optimizer has chosen otherwise for other inputs or memory";
            return Err(format!("is of another plan than this one: {advice}"));
        }
        Ok(())
    }
}

fn quoted(name: &str) -> String {
    format!("'{name}'")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        let origin = Origin {
            codec: "c 1".to_owned(),
            job: "j".to_owned(),
            name: "l".to_owned(),
            parallelism: 2,
            feedback: "u64 of 8 bytes".to_owned(),
            solution: None,
            plan: "0".to_owned(),
        };
        let aggregates = Aggregates::from([
            ("largest".to_owned(), AccumulatorValue::Maximum(f64::NEG_INFINITY)),
            ("least".to_owned(), AccumulatorValue::Minimum(-0.0)),
            ("seen".to_owned(), AccumulatorValue::Histogram([(-3, 7)].into())),
            ("steps".to_owned(), AccumulatorValue::Long(i64::MIN)),
            ("sum".to_owned(), AccumulatorValue::Double(0.1 + 0.2)),
        ]);
        let file = StateFile { name: "1-0.feedback".to_owned(), bytes: 5, crc32: 77 };
        Manifest::new(&origin, 12, &aggregates, vec![SubtaskState { feedback: file, solution: Vec::new() }])
    }

    #[test]
    fn a_manifest_comes_back_as_it_was() {
        let manifest = manifest();
        let text = manifest.text().expect("it is JSON");
        let back = Manifest::parse(text.as_bytes()).expect("it was written");
        assert_eq!(back, manifest);
        assert_eq!(back.aggregates(), manifest.aggregates());
        assert_eq!(back.aggregates()["largest"], AccumulatorValue::Maximum(f64::NEG_INFINITY));
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let text = manifest().text().expect("it is JSON").into_bytes();
        for at in 0..text.len() {
            assert!(Manifest::parse(&text[..at]).is_err(), "cut at {at}");
            for bit in 0..8 {
                let mut broken = text.clone();
                broken[at] ^= 1 << bit;
                assert!(Manifest::parse(&broken).is_err(), "bit {bit} of byte {at}");
            }
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let text = manifest().text().expect("it is JSON");
        let said = |text: &str| Manifest::parse(text.as_bytes()).expect_err("it is wrong");
        assert_eq!(said("something else"), "is not the manifest of a loop snapshot");
        let newer = text.replacen("format 1", "format 2", 1);
        assert_eq!(said(&newer), "is of format 2, and this program reads format 1");
        assert_eq!(said(&text.replace("12", "13")), "is damaged: its checksum doesn't fit its content");
        let reader = |change: fn(&mut Origin)| {
            let mut origin = manifest().origin;
            change(&mut origin);
            manifest().origin.check(&origin).err()
        };
        assert_eq!(reader(|_| ()), None);
        assert_eq!(reader(|o| o.codec = "c 2".to_owned()).as_deref(), Some("is of records in c 1, and this is c 2"));
        assert_eq!(reader(|o| o.job = "k".to_owned()).as_deref(), Some("is of job 'j', and this is 'k'"));
        assert_eq!(reader(|o| o.name = "m".to_owned()).as_deref(), Some("is of loop 'l', and this is 'm'"));
        let parallelism = "is of a loop of parallelism 2, and this is 3 (option --parallelism)";
        assert_eq!(reader(|o| o.parallelism = 3).as_deref(), Some(parallelism));
        let feedback = "is of a loop that feeds back u64 of 8 bytes, and this is u32";
        assert_eq!(reader(|o| o.feedback = "u32".to_owned()).as_deref(), Some(feedback));
        let solution = "is of a loop with the solution set none, and this is u8";
        assert_eq!(reader(|o| o.solution = Some("u8".to_owned())).as_deref(), Some(solution));
        assert!(reader(|o| o.plan = "1".to_owned()).is_some_and(|said| said.starts_with("is of another plan")));
    }
}
