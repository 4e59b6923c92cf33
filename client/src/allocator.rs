//! The allocator of the whole program, and how long it keeps what was freed.
#![expect(unsafe_code, reason = "mimalloc's options are set through its C interface")]

use std::sync::Once;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// mimalloc's number for the option `purge_delay`.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

/// How long freed pages stay with the process, in milliseconds: one task frees what the next one is about to
/// allocate, and a page that went back to the system in between is cleared again.
const KEEP_MS: i64 = 1000;

/// Sets the options; once per process is enough, more do nothing.
pub(crate) fn tune() {
    static ONCE: Once = Once::new();
    // SAFETY: the function takes any option and value and touches nothing but mimalloc's own table of options.
    ONCE.call_once(|| unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, KEEP_MS) });
}
