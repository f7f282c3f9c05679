//! Questions whose answers come while what came before is checked and stored.

use tokio::task::JoinHandle;

/// What will be wanted next, on its way. Dropped, it is not asked for any longer.
pub(super) struct Ahead<Q, T> {
    question: Q,
    answer: JoinHandle<T>,
}

impl<Q: PartialEq, T: Send + 'static> Ahead<Q, T> {
    /// Begins to ask.
    pub(super) fn ask(question: Q, answer: impl Future<Output = T> + Send + 'static) -> Self {
        Self { question, answer: tokio::spawn(answer) }
    }

    /// The answer, none where something else was asked or asking crashed.
    pub(super) async fn answer(mut self, question: &Q) -> Option<T> {
        if self.question == *question { (&mut self.answer).await.ok() } else { None }
    }
}

impl<Q, T> Drop for Ahead<Q, T> {
    fn drop(&mut self) {
        self.answer.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[tokio::test]
    async fn only_the_answer_to_the_question_counts() {
        assert_eq!(Ahead::ask(7, async { "seven" }).answer(&7).await, Some("seven"));
        assert_eq!(Ahead::ask(7, async { "seven" }).answer(&8).await, None);
    }

    #[tokio::test]
    async fn what_nobody_waits_for_is_given_up() {
        let held = Arc::new(());
        let holder = held.clone();
        let ahead = Ahead::ask(1, async move {
            std::future::pending::<()>().await;
            drop(holder);
        });
        drop(ahead);
        while Arc::strong_count(&held) > 1 {
            tokio::task::yield_now().await;
        }
    }
}
