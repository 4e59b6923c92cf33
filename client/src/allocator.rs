//! The allocator of the whole program, and how long it keeps what was freed.
#![expect(unsafe_code, reason = "an allocator is unsafe to write, and mimalloc has a C interface")]

use libmimalloc_sys::{
    mi_free, mi_malloc, mi_malloc_aligned, mi_option_set, mi_option_t, mi_realloc, mi_realloc_aligned, mi_zalloc,
    mi_zalloc_aligned,
};
use std::alloc::{GlobalAlloc, Layout};
use std::sync::Once;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// mimalloc.
///
/// What it aligns by itself is enough for nearly everything. Where it is asked for an alignment it takes the next
/// larger size for blocks of more than 4 KiB: a quarter more for a batch of 8 KiB.
struct MiMalloc;

/// A block of at least so many bytes is aligned to so many, and a smaller one to the largest power of two that it
/// holds, as C promises of `malloc` (mimalloc: `MI_MAX_ALIGN_SIZE`).
const ALIGNED: usize = 16;

/// Whether a block of `bytes` is aligned for a layout without being asked to.
#[inline(always)]
fn is_aligned_anyway(layout: Layout, bytes: usize) -> bool {
    layout.align() <= ALIGNED && layout.align() <= bytes
}

// SAFETY: mimalloc's blocks are exclusive until they are freed, have at least the size that was asked for, and are
// aligned as the layout says: by themselves (see `ALIGNED`), or because they were asked to. It takes any of its blocks
// back, however that was aligned, and doesn't unwind.
unsafe impl GlobalAlloc for MiMalloc {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: mimalloc takes any size and any power of two.
        unsafe {
            if is_aligned_anyway(layout, layout.size()) {
                mi_malloc(layout.size()).cast()
            } else {
                mi_malloc_aligned(layout.size(), layout.align()).cast()
            }
        }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: mimalloc takes any size and any power of two.
        unsafe {
            if is_aligned_anyway(layout, layout.size()) {
                mi_zalloc(layout.size()).cast()
            } else {
                mi_zalloc_aligned(layout.size(), layout.align()).cast()
            }
        }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, _layout: Layout) {
        // SAFETY: the caller got the block here and doesn't use it any more.
        unsafe { mi_free(block.cast()) }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        // SAFETY: the caller got the block here and uses only the returned one from now on, unless that is null.
        unsafe {
            if is_aligned_anyway(layout, bytes) {
                mi_realloc(block.cast(), bytes).cast()
            } else {
                mi_realloc_aligned(block.cast(), bytes, layout.align()).cast()
            }
        }
    }
}

/// mimalloc's number for the option `purge_delay`.
const PURGE_DELAY: mi_option_t = 15;

/// How long freed pages stay with the process, in milliseconds: one task frees what the next one is about to
/// allocate, and a page that went back to the system in between is cleared again.
const KEEP_MS: i64 = 1000;

/// Sets the options; once per process is enough, more do nothing.
pub(crate) fn tune() {
    static ONCE: Once = Once::new();
    // SAFETY: the function takes any option and value and touches nothing but mimalloc's own table of options.
    ONCE.call_once(|| unsafe { mi_option_set(PURGE_DELAY, KEEP_MS) });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_of_all_sizes_are_aligned_zeroed_and_keep_what_they_have() {
        for align in [1, 2, 4, 8, 16, 32, 64, 4096] {
            for size in (1..200).chain([1023, 1024, 4095, 4096, 8191, 8192, 8193, 65_536, 1 << 20, (4 << 20) + 8]) {
                let layout = Layout::from_size_align(size, align).expect("a layout");
                // SAFETY: sizes aren't 0, what is read was written or zeroed, and every block is freed once.
                unsafe {
                    let block = ALLOCATOR.alloc_zeroed(layout);
                    assert!(!block.is_null() && block.addr().is_multiple_of(align), "{layout:?}");
                    assert_eq!((block.read(), block.add(size - 1).read()), (0, 0));
                    block.write(7);
                    let grown = ALLOCATOR.realloc(block, layout, size * 3);
                    assert!(!grown.is_null() && grown.addr().is_multiple_of(align), "{layout:?}");
                    assert_eq!(grown.read(), 7);
                    ALLOCATOR.dealloc(grown, Layout::from_size_align(size * 3, align).expect("a layout"));
                    let block = ALLOCATOR.alloc(layout);
                    assert!(!block.is_null() && block.addr().is_multiple_of(align), "{layout:?}");
                    ALLOCATOR.dealloc(block, layout);
                }
            }
        }
    }
}
