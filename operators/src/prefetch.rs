//! Tells the processor what will be needed soon, so that it waits for many places of a large table at once.
#![cfg_attr(target_arch = "x86_64", expect(unsafe_code, reason = "prefetching, which every x86-64 processor can"))]

/// Tables of fewer bytes lie in a near cache, where looking ahead costs more than it spares.
pub(crate) const LARGE_BYTES: usize = 512 << 10;

/// Records that are looked ahead at.
pub(crate) const AHEAD: usize = 64;

/// Begins to load what `place` refers to.
#[inline(always)]
pub(crate) fn prefetch<T>(place: &T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: x86-64 has SSE, and a prefetch does nothing that can be seen, whatever the address.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(place).cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = place;
}
