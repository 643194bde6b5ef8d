//! Waiting for a few at once.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

/// What each of them gives, in their order. For a few: whenever one may go on, all that are not done are looked at.
pub(crate) async fn together<F: Future>(few: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut running: Vec<Pin<Box<F>>> = few.into_iter().map(Box::pin).collect();
    let mut done: Vec<Option<F::Output>> = running.iter().map(|_| None).collect();
    poll_fn(|context| {
        let each = running.iter_mut().zip(&mut done);
        for (future, done) in each.filter(|(_, done)| done.is_none()) {
            if let Poll::Ready(output) = future.as_mut().poll(context) {
                *done = Some(output);
            }
        }
        if done.iter().all(Option::is_some) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
    done.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::Barrier;

    #[tokio::test]
    async fn all_are_under_way_at_once_and_give_their_results_in_order() {
        let barrier = Barrier::new(3);
        let meet = |n: usize| {
            let barrier = &barrier;
            async move {
                barrier.wait().await;
                n
            }
        };
        assert_eq!(together((0..3).map(meet)).await, [0, 1, 2]);
        assert!(
            together(Vec::<std::future::Ready<()>>::new())
                .await
                .is_empty()
        );
    }
}
