//! How much may be on its way: windows of channels, and the worker's budget that they share.
//!
//! The consumer's side owns the arithmetic. For a channel, counted in bytes of frames with records since its begin:
//!
//! ```text
//! taken ≤ received ≤ limit        reserved = limit − taken        budget.reserved = Σ reserved
//! ```
//!
//! The producer's side may send a frame when `sent + len ≤ limit`, or when all that it sent has been taken: that is how
//! a record larger than any window gets through. A limit never falls; a window shrinks when less is granted than was
//! taken. Every channel has `WINDOW_BYTES_MIN`, whatever the others hold; all beyond that is granted only while it
//! fits the budget. So at any time
//!
//! ```text
//! budget.reserved ≤ budget.bytes + channels · WINDOW_BYTES_MIN + (bytes of frames larger than their window)
//! ```
//!
//! which [`ReceiveBudget::check`] asserts. The producer's side cuts batches that are larger than the window, so that
//! the last term is of single records, of frames that were made before the request, of at most 128 KiB each, and of
//! the blocks of partitions' files, of at most 64 KiB.

use crate::network::remote::frame::Malformed;
use crate::task::lock;
use std::sync::{Arc, Mutex};

/// What every channel may have on its way.
pub(crate) const WINDOW_BYTES_MIN: u64 = 16 << 10;

/// What a channel has before its consumer has taken anything: a few full batches of small records.
const WINDOW_BYTES_FIRST: u64 = 128 << 10;

/// More on its way helps no consumer: it would wait here rather than at the producer.
const WINDOW_BYTES_MAX: u64 = 1 << 20;

/// The memory of a worker for what arrives.
pub(crate) struct ReceiveBudget {
    bytes: u64,
    state: Mutex<Reserved>,
}

#[derive(Default)]
struct Reserved {
    channels: u64,
    reserved: u64,
    /// The part of `reserved` that frames larger than their windows take.
    oversize: u64,
}

impl ReceiveBudget {
    pub(crate) fn new(bytes: usize) -> Arc<ReceiveBudget> {
        Arc::new(ReceiveBudget { bytes: bytes as u64, state: Mutex::default() })
    }

    fn change<R>(&self, change: impl FnOnce(&mut Reserved, u64) -> R) -> R {
        let mut state = lock(&self.state);
        let result = change(&mut state, self.bytes);
        self.check(&state);
        result
    }

    fn check(&self, state: &Reserved) {
        let most = self.bytes + state.channels * WINDOW_BYTES_MIN + state.oversize;
        assert!(state.reserved <= most, "{} bytes are granted, of at most {most}", state.reserved);
    }

    /// Bytes that may be here or on their way.
    #[cfg(test)]
    pub(crate) fn reserved(&self) -> u64 {
        self.in_use().0
    }

    /// Bytes that may be here or on their way, and for how many channels.
    pub(crate) fn in_use(&self) -> (u64, u64) {
        let state = lock(&self.state);
        (state.reserved, state.channels)
    }
}

impl Reserved {
    /// What a channel should have at most now: a fair part of the budget.
    fn share(&self, budget: u64) -> u64 {
        (budget / self.channels.max(1)).clamp(WINDOW_BYTES_MIN, WINDOW_BYTES_MAX)
    }

    /// Raises a channel's reservation from `has` towards `wanted`, and returns what it is then.
    fn raise(&mut self, has: u64, wanted: u64, budget: u64) -> u64 {
        let free = budget.saturating_sub(self.reserved);
        let granted = has.max(WINDOW_BYTES_MIN).max(wanted.min(has + free));
        self.reserved += granted - has;
        granted
    }
}

/// The consumer's side of a channel's window; what it has reserved is free again when it is dropped.
pub(crate) struct ReceiveWindow {
    budget: Arc<ReceiveBudget>,
    received: u64,
    taken: u64,
    limit: u64,
    /// What `limit` and `taken` were when the producer's side was told.
    told_limit: u64,
    told_taken: u64,
    oversize: u64,
}

/// What the producer's side is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    /// Bytes taken since the channel's begin.
    pub(crate) taken: u64,
    /// Bytes that may be on their way.
    pub(crate) window: u32,
}

impl ReceiveWindow {
    /// A new channel's window.
    pub(crate) fn open(budget: &Arc<ReceiveBudget>) -> ReceiveWindow {
        let limit = budget.change(|state, bytes| {
            state.channels += 1;
            let wanted = state.share(bytes).min(WINDOW_BYTES_FIRST);
            state.raise(0, wanted, bytes)
        });
        let budget = Arc::clone(budget);
        ReceiveWindow { budget, received: 0, taken: 0, limit, told_limit: limit, told_taken: 0, oversize: 0 }
    }

    /// What the request of the channel says.
    pub(crate) fn first(&self) -> u32 {
        u32::try_from(self.limit).unwrap_or(u32::MAX)
    }

    /// Counts a frame that has come, or refuses one that nobody granted.
    pub(crate) fn receive(&mut self, bytes: usize) -> Result<(), Malformed> {
        let received = self.received + bytes as u64;
        if received > self.limit {
            if self.received != self.taken {
                let (over, limit) = (received - self.limit, self.limit);
                return Err(Malformed(format!("{over} bytes more than the {limit} that were granted")));
            }
            let over = received - self.limit;
            self.budget.change(|state, _| {
                state.reserved += over;
                state.oversize += over;
            });
            self.oversize += over;
            self.limit = received;
        }
        self.received = received;
        Ok(())
    }

    /// Counts a frame that the consumer has taken; what to tell the producer's side, when that is worth it.
    pub(crate) fn take(&mut self, bytes: usize) -> Option<Grant> {
        let bytes = bytes as u64;
        debug_assert!(self.taken + bytes <= self.received, "only what came is taken");
        self.taken += bytes;
        let (taken, limit, oversize) = (self.taken, self.limit, self.oversize);
        let reserved = self.budget.change(|state, budget| {
            state.reserved -= bytes;
            state.oversize -= oversize;
            let has = limit - taken;
            state.raise(has, state.share(budget), budget)
        });
        self.oversize = 0;
        self.limit = taken + reserved;
        let is_empty = self.taken == self.received;
        let is_more = self.limit - self.told_limit >= reserved / 4;
        if (is_empty && self.told_taken != self.taken) || is_more { Some(self.tell()) } else { None }
    }

    fn tell(&mut self) -> Grant {
        (self.told_limit, self.told_taken) = (self.limit, self.taken);
        Grant { taken: self.taken, window: u32::try_from(self.limit - self.taken).unwrap_or(u32::MAX) }
    }
}

impl Drop for ReceiveWindow {
    fn drop(&mut self) {
        let (reserved, oversize) = (self.limit - self.taken, self.oversize);
        self.budget.change(|state, _| {
            state.channels -= 1;
            state.reserved -= reserved;
            state.oversize -= oversize;
            // The bound falls with the number of channels: what others hold beyond it was free budget before.
        });
    }
}

/// The producer's side of a channel's window.
#[derive(Debug, Default)]
pub(crate) struct SendWindow {
    sent: u64,
    taken: u64,
    limit: u64,
}

impl SendWindow {
    /// A window as the request of the channel opens it.
    pub(crate) fn new(first: u64) -> SendWindow {
        SendWindow { sent: 0, taken: 0, limit: first }
    }

    /// Whether a frame of so many bytes may be sent now.
    pub(crate) fn fits(&self, bytes: usize) -> bool {
        self.sent == self.taken || self.sent + bytes as u64 <= self.limit
    }

    /// Counts a frame that is sent.
    pub(crate) fn send(&mut self, bytes: usize) {
        debug_assert!(self.fits(bytes));
        self.sent += bytes as u64;
    }

    /// What may be on its way, in bytes: no frame should be larger.
    pub(crate) fn bytes(&self) -> usize {
        usize::try_from(self.limit.saturating_sub(self.taken)).unwrap_or(usize::MAX)
    }

    /// Takes what the consumer's side tells.
    pub(crate) fn grant(&mut self, grant: Grant) -> Result<(), Malformed> {
        if grant.taken > self.sent || grant.taken < self.taken {
            return Err(Malformed(format!("{} bytes are said to be taken, of {}", grant.taken, self.sent)));
        }
        self.taken = grant.taken;
        self.limit = self.limit.max(grant.taken.saturating_add(u64::from(grant.window)));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    /// A channel with a wire between its sides that takes its time.
    struct Wire {
        receive: ReceiveWindow,
        send: SendWindow,
        arrived: VecDeque<usize>,
        flying: VecDeque<usize>,
        grants: VecDeque<Grant>,
    }

    impl Wire {
        fn open(budget: &Arc<ReceiveBudget>) -> Wire {
            let receive = ReceiveWindow::open(budget);
            let send = SendWindow::new(u64::from(receive.first()));
            Wire { receive, send, arrived: VecDeque::new(), flying: VecDeque::new(), grants: VecDeque::new() }
        }

        fn step(&mut self, step: u8, bytes: usize) {
            match step {
                0 if self.send.fits(bytes) => {
                    self.send.send(bytes);
                    self.flying.push_back(bytes);
                }
                1 => {
                    if let Some(bytes) = self.flying.pop_front() {
                        self.receive.receive(bytes).expect("the producer's side keeps to its window");
                        self.arrived.push_back(bytes);
                    }
                }
                2 => {
                    if let Some(bytes) = self.arrived.pop_front() {
                        self.grants.extend(self.receive.take(bytes));
                    }
                }
                3 => {
                    if let Some(grant) = self.grants.pop_front() {
                        self.send.grant(grant).expect("the consumer's side counts");
                    }
                }
                _ => {}
            }
        }

        /// All that is under way arrives.
        fn settle(&mut self) {
            while !(self.flying.is_empty() && self.arrived.is_empty() && self.grants.is_empty()) {
                (1..=3).for_each(|step| self.step(step, 0));
            }
        }
    }

    proptest! {
        #[test]
        fn the_sides_agree_and_none_is_stuck(
            budget in 0usize..4_000_000,
            steps in prop::collection::vec((0usize..20, 0u8..5, 1usize..300_000), 1..600),
        ) {
            let budget = ReceiveBudget::new(budget);
            let mut wires: Vec<Wire> = Vec::new();
            for (channel, step, bytes) in steps {
                match channel % (wires.len() + 1) {
                    at if at == wires.len() => wires.push(Wire::open(&budget)),
                    at if step == 4 && bytes % 8 == 0 => drop(wires.swap_remove(at)),
                    at => wires[at].step(step, bytes),
                }
            }
            for wire in &mut wires {
                wire.settle();
                // However large, a frame can be sent when nothing is under way, and some fits beside another.
                prop_assert!(wire.send.fits(1 << 30));
                prop_assert!(wire.send.bytes() as u64 >= WINDOW_BYTES_MIN);
            }
            drop(wires);
            prop_assert_eq!(budget.reserved(), 0);
        }
    }

    #[test]
    fn windows_shrink_with_the_number_of_channels() {
        let budget = ReceiveBudget::new(4 << 20);
        let mut wires: Vec<Wire> = (0..64).map(|_| Wire::open(&budget)).collect();
        for _ in 0..100 {
            for wire in &mut wires {
                wire.step(0, 10_000);
                wire.settle();
            }
        }
        assert!(wires.iter().all(|wire| wire.send.bytes() <= (4 << 20) / 64));
        assert!(budget.reserved() <= 4 << 20);
        wires.truncate(1);
        for _ in 0..10 {
            wires[0].step(0, 10_000);
            wires[0].settle();
        }
        assert_eq!(wires[0].send.bytes() as u64, WINDOW_BYTES_MAX);
    }

    #[test]
    fn what_nobody_granted_is_refused() {
        let budget = ReceiveBudget::new(1 << 20);
        let mut window = ReceiveWindow::open(&budget);
        window.receive(10 << 20).expect("a record larger than the window comes when nothing else does");
        assert!(window.receive(1).is_err());
        assert_eq!(window.take(10 << 20).map(|grant| grant.taken), Some(10 << 20));
        window.receive(1).expect("there is a window again");
        let mut send = SendWindow::new(100);
        send.send(50);
        assert!(send.grant(Grant { taken: 51, window: 0 }).is_err());
    }
}
