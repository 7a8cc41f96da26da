//! Goal: no interleaving of the two threads loses, doubles or tears a letter. Method: loom tries them all.
//! Run with `make loom`.

use super::*;
use loom::thread;

#[test]
fn a_mailbox_delivers_or_returns_each_letter_once() {
    loom::model(|| {
        let (mut sender, mut receiver) = mailbox::<u32>();
        let taker = thread::spawn(move || {
            let taken: Vec<u32> = (0..2).filter_map(|_| receiver.take()).collect();
            (taken, receiver)
        });
        let returned: Vec<u32> = (1..=2).filter_map(|n| sender.put(n)).collect();
        let (taken, mut receiver) = taker.join().unwrap();
        let mut all: Vec<u32> = returned.into_iter().chain(taken.iter().copied()).chain(receiver.take()).collect();
        all.sort_unstable();
        assert_eq!(all, [1, 2]);
        assert!(taken.is_sorted());
    });
}

#[test]
fn a_slot_is_never_in_two_hands() {
    loom::model(|| {
        let mut pool = Pool::new([0u32, 0]);
        let (mut sender, mut receiver) = mailbox();
        let reader = thread::spawn(move || {
            for _ in 0..2 {
                if let Some(lent) = receiver.take() {
                    let lent: Lent<u32> = lent;
                    assert_ne!(*lent, 0);
                }
            }
        });
        for n in 1..=2 {
            if let Some(mut claim) = pool.claim() {
                *claim = n;
                drop(sender.put(claim.lend()));
            }
        }
        reader.join().unwrap();
    });
}
