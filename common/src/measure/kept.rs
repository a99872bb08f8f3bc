//! Numbers that are worked out from two things, and kept beside one of them.

use std::sync::{Arc, Mutex, PoisonError, Weak};

/// What numbers are with regard to another thing, as long as they are asked for with the same one. A copy has none yet.
#[derive(Debug)]
pub struct KeptNumbers<T>(Mutex<Option<Kept<T>>>);

/// What numbers are with regard to, and these.
type Kept<T> = (Weak<T>, Arc<[u32]>);

impl<T> Default for KeptNumbers<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Clone for KeptNumbers<T> {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl<T> KeptNumbers<T> {
    /// The numbers with regard to this one, which are found unless they are kept.
    pub(super) fn get(&self, other: &Arc<T>, find: impl FnOnce() -> Arc<[u32]>) -> Arc<[u32]> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*kept {
            // The weak reference keeps its address from being used for another one.
            Some((of, numbers)) if std::ptr::eq(of.as_ptr(), Arc::as_ptr(other)) => Arc::clone(numbers),
            _ => {
                let numbers = find();
                *kept = Some((Arc::downgrade(other), Arc::clone(&numbers)));
                numbers
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_kept_for_one_thing_at_a_time() {
        let (one, other, kept) = (Arc::new(1), Arc::new(2), KeptNumbers::default());
        let get = |of: &Arc<u32>| kept.get(of, || Arc::from([**of]));
        assert_eq!((&*get(&one), &*get(&other)), (&[1][..], &[2][..]));
        assert!(Arc::ptr_eq(&get(&one), &get(&one)));
        drop(one);
        assert_eq!(*get(&Arc::new(3)), [3]);
        assert_eq!(*kept.clone().get(&other, || Arc::from([4])), [4]);
    }
}
