//! Scripts that fakes ask at every call.

use std::sync::{Arc, Mutex, PoisonError};

type Script<C, F> = Box<dyn FnMut(&C) -> Option<F> + Send>;

/// Decides at each call `C` of a fake which fault `F` shall happen, if any. Clones share the script.
///
/// A script runs while the hook is locked: it may look at other fakes, and must not set its own hook.
pub struct Hook<C, F>(Arc<Mutex<Option<Script<C, F>>>>);

impl<C, F> Hook<C, F> {
    /// Replaces the script.
    pub fn set(&self, script: impl FnMut(&C) -> Option<F> + Send + 'static) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(script));
    }

    /// From now on nothing goes wrong.
    pub fn clear(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The next `count` calls that `applies` picks meet `fault`, other calls none.
    pub fn times(&self, count: usize, applies: impl Fn(&C) -> bool + Send + 'static, fault: F)
    where
        F: Clone + Send + 'static,
    {
        let mut left = count;
        self.set(move |call| {
            if left == 0 || !applies(call) {
                return None;
            }
            left -= 1;
            Some(fault.clone())
        });
    }

    /// Every call that `applies` picks meets `fault`, until the script is replaced.
    pub fn always(&self, applies: impl Fn(&C) -> bool + Send + 'static, fault: F)
    where
        F: Clone + Send + 'static,
    {
        self.times(usize::MAX, applies, fault);
    }

    pub(super) fn ask(&self, call: &C) -> Option<F> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).as_mut().and_then(|script| script(call))
    }
}

impl<C, F> Default for Hook<C, F> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(None)))
    }
}

impl<C, F> Clone for Hook<C, F> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}
