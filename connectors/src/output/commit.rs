//! The steps by which an output gets its name; each can be the last of its process, and others go on from there.
//!
//! ```text
//! HIDDEN/1-0  2-0  2-1          what the attempts wrote
//! HIDDEN/.decided               from here on the commit is completed, by whoever finds it
//! HIDDEN/out/1  out/2           the finished attempts, under their names
//! TARGET ─▶ HIDDEN/old-0        an old output that no rename can replace
//! HIDDEN/out ─▶ TARGET          visible
//! HIDDEN ─▶ HIDDEN.gone ─▶ –
//! ```

use crate::output::WriteMode;
use crate::output::place::Place;
use flinkrs_core::error::{Error, Result};
use flinkrs_core::fs::{FileKind, FileLock};
use std::io::{self, Read, Write};
use std::path::PathBuf;

/// What a job has decided to make visible.
#[derive(Debug, PartialEq, Eq)]
struct Decision {
    mode: WriteMode,
    /// By subtask.
    attempts: Vec<u32>,
}

impl Decision {
    fn text(&self) -> String {
        let mode = match self.mode {
            WriteMode::NoOverwrite => "new",
            WriteMode::Overwrite => "replace",
        };
        self.attempts.iter().fold(mode.to_owned(), |text, attempt| format!("{text} {attempt}"))
    }

    fn parse(text: &str) -> Option<Decision> {
        let mut words = text.split(' ');
        let mode = match words.next()? {
            "new" => WriteMode::NoOverwrite,
            "replace" => WriteMode::Overwrite,
            _ => return None,
        };
        let attempts: Vec<u32> = words.map(|word| word.parse().ok()).collect::<Option<_>>()?;
        (!attempts.is_empty()).then_some(Decision { mode, attempts })
    }
}

impl Place {
    /// Makes the attempts visible, or goes on where another process has stopped. `held`: by this process since it has
    /// begun, so that nobody can have ended the output.
    pub(super) fn commit(&self, mode: WriteMode, attempts: &[u32], held: Option<FileLock>) -> Result<()> {
        let begun_here = held.is_some();
        let hold = held.map_or_else(|| self.hold(), |hold| Ok(Some(hold)))?;
        let turn = self.turn()?;
        if hold.is_none() || turn.is_none() {
            return self.committed_before(begun_here);
        }
        let decision = match self.decided()? {
            Some(decision) => decision,
            None => self.decide(Decision { mode, attempts: attempts.to_vec() })?,
        };
        self.complete(&decision)
    }

    /// Without a hidden folder, an output that is there is the one that was committed.
    fn committed_before(&self, begun_here: bool) -> Result<()> {
        self.discard()?;
        if !begun_here && self.found()?.is_some() {
            return Ok(());
        }
        let removed = io::Error::new(io::ErrorKind::NotFound, "what the job wrote was removed before its end");
        Err(Error::io("commit", &self.hidden, removed))
    }

    fn decided(&self) -> Result<Option<Decision>> {
        let path = self.decision();
        if !self.files.exists(&path)? {
            return Ok(None);
        }
        let mut text = String::new();
        self.files.open(&path, 0)?.read_to_string(&mut text).map_err(|e| Error::io("read", &path, e))?;
        let decision = Decision::parse(&text);
        decision.map(Some).ok_or_else(|| Error::internal(format!("{} can't say '{text}'", path.display())))
    }

    fn decide(&self, decision: Decision) -> Result<Decision> {
        for (subtask, attempt) in (0..).zip(&decision.attempts) {
            let path = self.attempt(subtask, *attempt);
            if !self.files.exists(&path)? {
                return Err(Error::internal(format!("output file {} was not written", path.display())));
            }
        }
        self.check(decision.mode)?;
        let draft = self.hidden.join(".decision");
        let mut file = self.files.create(&draft)?;
        let written = file.write_all(decision.text().as_bytes()).and_then(|()| file.close());
        written.map_err(|e| Error::io("write", &draft, e))?;
        self.files.rename(&draft, &self.decision())?;
        Ok(decision)
    }

    fn decision(&self) -> PathBuf {
        self.hidden.join(".decided")
    }

    /// Does what is left of a decided commit.
    fn complete(&self, decision: &Decision) -> Result<()> {
        let out = self.hidden.join("out");
        for (subtask, attempt) in (0..).zip(&decision.attempts) {
            let from = self.attempt(subtask, *attempt);
            if self.files.exists(&from)? {
                self.files.create_dir(&out)?;
                self.files.rename(&from, &out.join((subtask + 1).to_string()))?;
            }
        }
        let new = if decision.attempts.len() == 1 { out.join("1") } else { out };
        if self.files.exists(&new)? {
            self.check(decision.mode)?;
            let old = self.found()?;
            // A rename replaces a file by a file, and nothing else; and what it replaces is gone.
            let is_folder = decision.attempts.len() > 1 || old == Some(FileKind::Folder);
            if old.is_some() && (is_folder || self.files.keeps_trash()?) {
                self.files.rename(&self.target, &self.aside(self.aside_count()?))?;
            }
            self.files.rename(&new, &self.target)?;
        }
        for n in 0..self.aside_count()? {
            self.files.dispose(&self.aside(n), &self.target)?;
        }
        self.discard()
    }

    /// Where the nth output that was in the way is kept until the new one is in place.
    fn aside(&self, n: u32) -> PathBuf {
        self.hidden.join(format!("old-{n}"))
    }

    fn aside_count(&self) -> Result<u32> {
        let mut count = 0;
        while self.files.kind(&self.aside(count))?.is_some() {
            count += 1;
        }
        Ok(count)
    }

    /// Removes what was written, and puts an old output back that a commit has moved away.
    pub(super) fn abort(&self) -> Result<()> {
        let (_hold, turn) = (self.hold()?, self.turn()?);
        if turn.is_some()
            && let Some(last) = self.aside_count()?.checked_sub(1)
            && self.found()?.is_none()
        {
            self.files.rename(&self.aside(last), &self.target)?;
        }
        self.discard()
    }

    /// Ends the output of a job that has died; its hidden folder is held by nobody else.
    pub(super) fn end_of_dead(&self) -> Result<()> {
        match self.decided()? {
            // What is in its way now is for its own job to report.
            Some(decision) if self.check(decision.mode).is_err() => Ok(()),
            Some(decision) => self.complete(&decision),
            None => self.discard(),
        }
    }
}
