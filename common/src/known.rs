//! What was found out lately, so that it is not found out again.
//!
//! Most visitors have one of a few hundred combinations of browser, system, language and place. To tell what they
//! are takes thousands of instructions of rarely used code, and to find it here a few hundred. What an answer was
//! made of is not kept, only its hash under a random key of the process.

use std::hash::{BuildHasher, Hash};
use std::sync::{Mutex, PoisonError};

use foldhash::quality::RandomState;

/// How many answers are kept at most.
const MOST: usize = 1_024;

/// The hash of the latest question there, and its answer.
type Place<T> = Mutex<Option<(u64, T)>>;

/// Answers, each at the place that the hash of its question says, where the latest one stays.
#[derive(Debug)]
pub(crate) struct Known<T> {
    key: RandomState,
    answers: Box<[Place<T>]>,
}

impl<T: Clone> Known<T> {
    pub(crate) fn new() -> Self {
        Self { key: RandomState::default(), answers: (0..MOST).map(|_| Mutex::new(None)).collect() }
    }

    /// The answer to a question, which always has the same; asks if it is not known. Once in 2^54 times the answer
    /// to another one is taken for it.
    pub(crate) fn get(&self, question: impl Hash, ask: impl FnOnce() -> T) -> T {
        let hash = self.key.hash_one(question);
        let place = &self.answers[hash as usize % MOST];
        let lock = || place.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, answer)) = lock().as_ref().filter(|(known, _)| *known == hash) {
            return answer.clone();
        }
        let answer = ask();
        *lock() = Some((hash, answer.clone()));
        answer
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn a_question_is_asked_once_while_its_answer_is_kept() {
        let (known, asked) = (Known::new(), Cell::new(0));
        for number in (0..4 * MOST).chain([7, 7]) {
            let answer = known.get(number, || {
                asked.set(asked.get() + 1);
                number.to_string()
            });
            assert_eq!(answer, number.to_string());
        }
        assert!((4 * MOST..=4 * MOST + 1).contains(&asked.get()));
    }
}
