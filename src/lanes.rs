//! One piece of work for many items, some at a time.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::threads::joined;

/// As many lanes as there are processors, and `most` at most.
pub(crate) fn processors(most: NonZeroUsize) -> NonZeroUsize {
    thread::available_parallelism().map_or(NonZeroUsize::MIN, |found| found.min(most))
}

/// What `work` makes of each item, in the order of the items, `lanes` at a time. After a failure nothing new begins.
///
/// # Errors
/// The failure of the item that comes first among those that failed.
pub(crate) fn in_lanes<I: Sync, T: Send, E: Send>(
    lanes: NonZeroUsize,
    items: &[I],
    work: impl Fn(&I) -> Result<T, E> + Sync,
) -> Result<Vec<T>, E> {
    let next = AtomicUsize::new(0);
    let lane = || {
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(index) else { return done };
            let result = work(item);
            if result.is_err() {
                next.store(items.len(), Ordering::Relaxed);
            }
            done.push((index, result));
        }
    };
    let mut done = thread::scope(|scope| {
        // This thread is one of them.
        let others: Vec<_> = (1..lanes.get().min(items.len())).map(|_| scope.spawn(lane)).collect();
        let mut done = lane();
        for other in others {
            done.extend(joined(other));
        }
        done
    });
    done.sort_unstable_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::in_lanes;

    const TWO: NonZeroUsize = NonZeroUsize::new(2).unwrap();

    #[test]
    fn results_are_in_the_order_of_the_items() {
        // The first item ends after the second.
        let second_is_done = Barrier::new(2);
        let found = in_lanes(TWO, &[1, 2, 3], |item| {
            if *item < 3 {
                second_is_done.wait();
            }
            Ok::<_, ()>(item * 10)
        });
        assert_eq!(found, Ok(vec![10, 20, 30]));
        assert_eq!(in_lanes(TWO, &[], |(): &()| Err::<(), ()>(())), Ok(vec![]));
    }

    #[test]
    fn after_a_failure_nothing_new_begins_and_the_first_item_that_failed_counts() {
        let (begun, both) = (AtomicUsize::new(0), Barrier::new(2));
        let found = in_lanes(TWO, &[1, 2, 3, 4], |item| {
            begun.fetch_add(1, Ordering::Relaxed);
            both.wait();
            Err::<(), _>(*item)
        });
        assert_eq!((found, begun.load(Ordering::Relaxed)), (Err(1), 2));
    }
}
