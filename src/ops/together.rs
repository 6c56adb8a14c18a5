//! Calls that are sent together: all are waited for, also when one of them fails.
//!
//! `try_join` drops the others when one fails. A call that changes something would be lost on its way: it may be carried
//! out all the same, and the run would not know what to take back. clippy.toml keeps it out.

use std::future::Future;

use futures::future::join_all;

use super::Error;

/// Waits for all, and returns what came of them or the first failure in their order.
///
/// # Errors
/// The first.
pub async fn all_of<T, E>(calls: impl IntoIterator<Item = impl Future<Output = Result<T, E>>>) -> Result<Vec<T>, E> {
    join_all(calls).await.into_iter().collect()
}

/// What came of calls that `join!` has waited for.
pub trait Together {
    type Done;

    /// # Errors
    /// The first failure in their order.
    fn together(self) -> Result<Self::Done, Error>;
}

macro_rules! together {
    ($($result:ident)+) => {
        impl<$($result),+> Together for ($(Result<$result, Error>,)+) {
            type Done = ($($result,)+);

            #[expect(non_snake_case, reason = "a type and its value have one name here")]
            fn together(self) -> Result<Self::Done, Error> {
                let ($($result,)+) = self;
                Ok(($($result?,)+))
            }
        }
    };
}

together!(A B);
together!(A B C);
together!(A B C D);
together!(A B C D E);
together!(A B C D E F G);

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn what_was_begun_is_finished_when_another_fails() {
        let finished = Cell::new(0);
        let fails = async || Err::<(), _>(Error::Interrupted);
        let takes_long = async || {
            // Long enough for the other to fail first.
            for _ in 0..3 {
                let mut begun = false;
                std::future::poll_fn(|cx| {
                    cx.waker().wake_by_ref();
                    if std::mem::replace(&mut begun, true) {
                        std::task::Poll::Ready(())
                    } else {
                        std::task::Poll::Pending
                    }
                })
                .await;
            }
            finished.set(finished.get() + 1);
            Ok(())
        };
        futures::executor::block_on(async {
            assert!(futures::join!(fails(), takes_long()).together().is_err());
            let calls: Vec<futures::future::LocalBoxFuture<'_, Result<(), Error>>> =
                vec![Box::pin(fails()), Box::pin(takes_long())];
            assert!(all_of(calls).await.is_err());
            assert!(futures::join!(takes_long(), takes_long()).together().is_ok());
        });
        assert_eq!(finished.get(), 4);
    }
}
