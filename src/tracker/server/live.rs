//! A value that is read all the time and changed now and then. Layer 1.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What threads share: the newest value. Readers look at a number and take the lock only after it changed.
#[derive(Debug)]
pub(super) struct Live<T> {
    generation: AtomicU32,
    /// Guards the newest value for the moment in which it is copied or replaced.
    value: Mutex<Arc<T>>,
}

impl<T> Live<T> {
    pub(super) fn new(value: T) -> Self {
        Self {
            generation: AtomicU32::new(0),
            value: Mutex::new(Arc::new(value)),
        }
    }

    /// Replaces the value; readers see it at their next look.
    pub(super) fn set(&self, value: T) {
        *self.value.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(value);
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// For one thread.
    pub(super) fn reader(self: &Arc<Self>) -> Reader<T> {
        // The number first: a value that is replaced in between is then read again.
        let seen = self.generation.load(Ordering::Acquire);
        Reader {
            value: self.newest(),
            seen,
            live: Arc::clone(self),
        }
    }

    pub(super) fn newest(&self) -> Arc<T> {
        Arc::clone(&self.value.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What one thread has read.
#[derive(Debug)]
pub(super) struct Reader<T> {
    live: Arc<Live<T>>,
    seen: u32,
    value: Arc<T>,
}

impl<T> Reader<T> {
    /// Looks whether there is a newer value.
    pub(super) fn refresh(&mut self) {
        let generation = self.live.generation.load(Ordering::Acquire);
        if generation != self.seen {
            self.value = self.live.newest();
            self.seen = generation;
        }
    }

    /// As of the last [`Self::refresh`].
    pub(super) fn get(&self) -> &T {
        &self.value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_see_the_newest_value_when_they_look() {
        let live = Arc::new(Live::new(1));
        let mut reader = live.reader();
        live.set(2);
        assert_eq!(*reader.get(), 1);
        reader.refresh();
        assert_eq!((*reader.get(), *live.newest()), (2, 2));
    }
}
