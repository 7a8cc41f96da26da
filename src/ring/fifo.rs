//! Every item counts: a bounded queue, in order.

use core::cell::UnsafeCell;
use core::fmt;
use heapless::spsc;
use std::sync::Arc;

struct Shared<T, const N: usize> {
    queue: UnsafeCell<spsc::Queue<T, N>>,
}

// SAFETY: the queue is reached only through the one producer and the one consumer that `fifo` makes, which is what
// `heapless::spsc` is safe for; the cell itself is never touched again.
unsafe impl<T: Send, const N: usize> Sync for Shared<T, N> {}

/// The end that puts in.
pub struct Producer<T: 'static> {
    // Declared before `_keep`, so that it is gone before the queue may be.
    end: spsc::Producer<'static, T>,
    _keep: Arc<dyn Send + Sync>,
}

/// The end that takes out.
pub struct Consumer<T: 'static> {
    end: spsc::Consumer<'static, T>,
    _keep: Arc<dyn Send + Sync>,
}

/// A queue that holds `N − 1` items.
pub fn fifo<T: Send + 'static, const N: usize>() -> (Producer<T>, Consumer<T>) {
    let shared = Arc::new(Shared { queue: UnsafeCell::new(spsc::Queue::<T, N>::new()) });
    // SAFETY: the queue lies in the Arc, where it does not move, and each end keeps the Arc for as long as it lives; so
    // the borrow that is stretched to 'static never outlives the queue. It is the only `&mut` ever made to it.
    let (producer, consumer) = unsafe { &mut *shared.queue.get() }.split();
    (Producer { end: producer, _keep: shared.clone() }, Consumer { end: consumer, _keep: shared })
}

impl<T> Producer<T> {
    /// Puts an item in; gives it back where the queue is full.
    pub fn put(&mut self, item: T) -> Result<(), T> {
        self.end.enqueue(item)
    }

    /// Whether the next [`Producer::put`] would succeed.
    pub fn has_room(&self) -> bool {
        self.end.ready()
    }
}

impl<T> Consumer<T> {
    /// Takes the oldest item.
    pub fn take(&mut self) -> Option<T> {
        self.end.dequeue()
    }

    /// Looks at the oldest item.
    pub fn peek(&self) -> Option<&T> {
        self.end.peek()
    }

    /// Items waiting.
    pub fn len(&self) -> usize {
        self.end.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        !self.end.ready()
    }
}

impl<T> fmt::Debug for Producer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Producer({} of {})", self.end.len(), self.end.capacity())
    }
}

impl<T> fmt::Debug for Consumer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Consumer({} of {})", self.end.len(), self.end.capacity())
    }
}
