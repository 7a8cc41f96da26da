//! Goal: the rings keep their promises. Method: random operations held against a plain model, and two real threads.

use super::*;
use proptest::prelude::*;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

#[derive(Clone, Debug)]
enum Op {
    Put(u32),
    Take,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    proptest::collection::vec(prop_oneof![any::<u32>().prop_map(Op::Put), Just(Op::Take)], 0..200)
}

proptest! {
    #[test]
    fn a_fifo_is_a_bounded_queue(ops in ops()) {
        let (mut producer, mut consumer) = fifo::<u32, 8>();
        let mut model = VecDeque::new();
        for op in ops {
            match op {
                Op::Put(n) => {
                    prop_assert_eq!(producer.has_room(), model.len() < 7);
                    let put = producer.put(n);
                    prop_assert_eq!(put, if model.len() < 7 { model.push_back(n); Ok(()) } else { Err(n) });
                }
                Op::Take => prop_assert_eq!(consumer.take(), model.pop_front()),
            }
            prop_assert_eq!(consumer.len(), model.len());
        }
    }

    #[test]
    fn a_mailbox_holds_the_newest_and_returns_what_it_replaced(ops in ops()) {
        let (mut sender, mut receiver) = mailbox();
        let mut model = None;
        for op in ops {
            match op {
                Op::Put(n) => prop_assert_eq!(sender.put(n), model.replace(n)),
                Op::Take => prop_assert_eq!(receiver.take(), model.take()),
            }
        }
    }

    #[test]
    fn a_pool_lends_each_slot_once(drops in proptest::collection::vec(0usize..6, 0..200)) {
        let mut pool = Pool::new(0..5);
        let mut out = Vec::new();
        for n in drops {
            match pool.claim() {
                Some(claim) => out.push(claim.lend()),
                None => prop_assert_eq!(out.len(), 5),
            }
            let mut indices: Vec<_> = out.iter().map(Lent::index).collect();
            indices.sort_unstable();
            indices.dedup();
            prop_assert_eq!(indices.len(), out.len());
            prop_assert!(out.iter().all(|lent| **lent == lent.index()));
            if n < out.len() {
                out.swap_remove(n);
            }
            prop_assert_eq!(pool.free(), 5 - out.len());
        }
    }
}

/// Counts its own drops.
struct Counted(Arc<AtomicUsize>);
impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn nothing_left_in_a_ring_leaks() {
    let drops = Arc::new(AtomicUsize::new(0));
    let (mut sender, receiver) = mailbox();
    let (mut producer, consumer) = fifo::<_, 4>();
    for _ in 0..3 {
        drop(sender.put(Counted(drops.clone())));
        assert!(producer.put(Counted(drops.clone())).is_ok());
    }
    let mut pool = Pool::new([Counted(drops.clone()), Counted(drops.clone())]);
    let lent = pool.claim().unwrap().lend();
    drop((sender, receiver, consumer, producer, pool));
    assert_eq!(drops.load(Ordering::Relaxed), 6, "a lent slot keeps its table");
    drop(lent);
    assert_eq!(drops.load(Ordering::Relaxed), 8);
}

#[test]
fn two_threads_pass_leases_and_every_slot_comes_home() {
    const FRAMES: u64 = 200_000;
    let mut pool = Pool::new((0..4).map(|_| [0u64; 16]));
    let (mut sender, mut receiver) = mailbox();
    let (mut newest, mut taken, mut replaced, mut starved) = (0, 0u64, 0u64, 0u64);
    std::thread::scope(|scope| {
        let reader = scope.spawn(move || {
            loop {
                let Some(lent): Option<Lent<[u64; 16]>> = receiver.take() else {
                    std::thread::yield_now();
                    continue;
                };
                assert!(lent.iter().all(|n| *n == lent[0]), "a torn frame");
                assert!(lent[0] > newest, "frame {} after {newest}", lent[0]);
                newest = lent[0];
                taken += 1;
                if newest == FRAMES {
                    return taken;
                }
            }
        });
        for n in 1..=FRAMES {
            let mut claim = loop {
                match pool.claim() {
                    Some(claim) => break claim,
                    None => starved += 1,
                }
            };
            claim.fill(n);
            replaced += u64::from(sender.put(claim.lend()).is_some());
        }
        taken = reader.join().unwrap();
    });
    assert_eq!(taken + replaced, FRAMES, "each frame is taken or replaced");
    assert_eq!(starved, 0, "four slots are one each to fill, wait and read, and one to spare");
    assert_eq!(pool.free(), 4);
}
