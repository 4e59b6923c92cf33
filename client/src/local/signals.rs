//! SIGINT and SIGTERM end the job, not the process: it cleans up and ends itself.

use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::thread;

static RECEIVED: AtomicI32 = AtomicI32::new(0);
static INSTALLED: AtomicBool = AtomicBool::new(false);

/// Takes over SIGINT and SIGTERM; a second signal ends the process at once.
pub(crate) fn install() {
    if INSTALLED.swap(true, Ordering::AcqRel) {
        return;
    }
    let signals = [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM];
    let Ok(mut signals) = signal_hook::iterator::Signals::new(signals) else { return };
    let watch = move || {
        for signal in signals.forever() {
            if RECEIVED.swap(signal, Ordering::AcqRel) != 0 {
                std::process::exit(128 + signal);
            }
        }
    };
    // Without the thread the signals would be ignored; ending on them is the system's default, which stays then.
    let _ = thread::Builder::new().name("signals".into()).spawn(watch);
}

/// The number of the signal that has asked this process to end, of those that [`main`](crate::main) takes over: SIGINT
/// and SIGTERM.
pub fn received() -> Option<i32> {
    Some(RECEIVED.load(Ordering::Acquire)).filter(|signal| *signal != 0)
}
