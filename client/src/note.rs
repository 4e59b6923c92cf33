//! The note that every program carries, by which tools know it before they run or ship it.
#![expect(unsafe_code, reason = "the section of a static is said by an attribute that counts as unsafe")]

use flinkrs_rpc::program::NoteSection;

// SAFETY: nothing else is put into the section, and its content has the layout of a note.
#[used]
#[unsafe(link_section = ".note.flinkrs")]
static NOTE: NoteSection = NoteSection::new(env!("FLINKRS_TARGET"));

/// Called on the way of every program, so that linkers take the note along with it.
pub(crate) fn keep() {
    std::hint::black_box(&NOTE);
}
