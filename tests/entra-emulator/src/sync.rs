//! Locks that outlive a panic of their holder: the emulator's state stays usable.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Takes the lock, also after a holder panicked. Hold it for map operations only, never while signing.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
