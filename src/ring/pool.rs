//! A fixed table of slots, lent one by one.

use super::sync::{Arc, AtomicU32, Ordering, UnsafeCell};
use core::fmt;
use core::ops::{Deref, DerefMut};

/// The most slots a pool has: its free list is one 32-bit word.
pub const SLOTS_MAX: usize = 32;

struct Table<T> {
    slots: Box<[UnsafeCell<T>]>,
    /// Bit n is set while slot n belongs to nobody. Clearing a bit is taking the slot, setting it is giving it back.
    free: AtomicU32,
}

// SAFETY: a slot is reached only through the one `Claim` or `Lent` that took its bit out of `free`; the bit changes
// hands with acquire and release, so what one holder wrote, the next one sees.
unsafe impl<T: Send> Send for Table<T> {}
// SAFETY: as above; shared references to the table itself touch only the atomic word.
unsafe impl<T: Send> Sync for Table<T> {}

impl<T> Table<T> {
    fn give_back(&self, index: u8) {
        self.free.fetch_or(1 << index, Ordering::Release);
    }
}

/// The producer's end of a table of slots. The table lives until the last lent slot comes home.
pub struct Pool<T> {
    table: Arc<Table<T>>,
}

impl<T> Pool<T> {
    /// A pool of the given slots, 1 to [`SLOTS_MAX`] of them.
    ///
    /// # Panics
    /// With no slot, or with more than [`SLOTS_MAX`]: the number is the program's own constant.
    pub fn new(slots: impl IntoIterator<Item = T>) -> Pool<T> {
        let slots: Box<[_]> = slots.into_iter().map(UnsafeCell::new).collect();
        assert!((1..=SLOTS_MAX).contains(&slots.len()), "a pool has 1 to {SLOTS_MAX} slots, not {}", slots.len());
        let free = AtomicU32::new(u32::MAX >> (SLOTS_MAX - slots.len()));
        Pool { table: Arc::new(Table { slots, free }) }
    }

    /// Takes a free slot to fill it; `None` while all are out.
    pub fn claim(&mut self) -> Option<Claim<T>> {
        // Only this end clears bits, so a bit seen set stays set until the line below clears it.
        let free = self.table.free.load(Ordering::Acquire);
        let index = u8::try_from(free.trailing_zeros()).ok().filter(|i| usize::from(*i) < SLOTS_MAX)?;
        self.table.free.fetch_and(!(1 << index), Ordering::Acquire);
        Some(Claim { slot: Slot { table: self.table.clone(), index } })
    }

    /// Slots that belong to nobody just now.
    pub fn free(&self) -> usize {
        self.table.free.load(Ordering::Relaxed).count_ones() as usize
    }

    /// Slots in all.
    pub fn len(&self) -> usize {
        self.table.slots.len()
    }

    /// Never true: a pool has at least one slot.
    pub fn is_empty(&self) -> bool {
        self.table.slots.is_empty()
    }
}

impl<T> fmt::Debug for Pool<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pool({} of {} free)", self.free(), self.len())
    }
}

/// One slot taken out of the table: the holder is its only user until the drop.
struct Slot<T> {
    table: Arc<Table<T>>,
    index: u8,
}

impl<T> Slot<T> {
    fn cell(&self) -> &UnsafeCell<T> {
        &self.table.slots[usize::from(self.index)]
    }
}

impl<T> Drop for Slot<T> {
    fn drop(&mut self) {
        self.table.give_back(self.index);
    }
}

/// A slot being filled. Dropped unlent, it goes back to the pool.
pub struct Claim<T> {
    slot: Slot<T>,
}

impl<T> Claim<T> {
    /// Which slot it is, counted from 0 in the order they were given to [`Pool::new`].
    pub fn index(&self) -> usize {
        usize::from(self.slot.index)
    }

    /// Done filling: from now on it is read only, until the drop gives it back.
    pub fn lend(self) -> Lent<T> {
        Lent { slot: self.slot }
    }
}

impl<T> Deref for Claim<T> {
    type Target = T;
    fn deref(&self) -> &T {
        // SAFETY: this claim took the slot's bit, so nobody else reaches the slot; the borrow is bound to the claim.
        self.slot.cell().with(|slot| unsafe { &*slot })
    }
}

impl<T> DerefMut for Claim<T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`, and `&mut self` makes this the only borrow.
        self.slot.cell().with_mut(|slot| unsafe { &mut *slot })
    }
}

impl<T: fmt::Debug> fmt::Debug for Claim<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Claim({}, {:?})", self.slot.index, **self)
    }
}

/// A filled slot, lent to whoever holds this. The drop returns it.
pub struct Lent<T> {
    slot: Slot<T>,
}

impl<T> Lent<T> {
    /// Which slot it is, counted from 0 in the order they were given to [`Pool::new`].
    pub fn index(&self) -> usize {
        usize::from(self.slot.index)
    }
}

impl<T> Deref for Lent<T> {
    type Target = T;
    fn deref(&self) -> &T {
        // SAFETY: this lease holds the slot's bit, so no claim on it can exist until it is dropped.
        self.slot.cell().with(|slot| unsafe { &*slot })
    }
}

impl<T: fmt::Debug> fmt::Debug for Lent<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lent({}, {:?})", self.slot.index, **self)
    }
}
