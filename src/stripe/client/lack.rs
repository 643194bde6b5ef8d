//! Calls that are not to be had where this program runs, and what is done without them.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use super::Client;
use crate::stripe::error::Error;

/// What was told of since the start: one for each call at most.
#[derive(Default)]
pub(super) struct Lacks(Mutex<HashSet<&'static str>>);

impl Lacks {
    /// Tells that this call cannot be had, and what follows from that; once.
    pub(super) fn tell(&self, error: &Error, therefore: &str) {
        if self.is_new(error.call) {
            tracing::warn!(error = %error, "{therefore}");
        }
    }

    fn is_new(&self, call: &'static str) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.insert(call)
    }
}

impl Client {
    /// `None`, and a warning, when the address is not known there; other errors stay errors.
    pub(super) fn unless_lacking<T>(
        &self,
        found: Result<T, Error>,
        therefore: &str,
    ) -> Result<Option<T>, Error> {
        match found {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.is_unrecognised() => {
                self.lacks.tell(&error, therefore);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_call_is_told_of_once() {
        let lacks = Lacks::default();
        let told = ["/v1/a", "/v1/b", "/v1/a"].map(|call| lacks.is_new(call));
        assert_eq!(told, [true, true, false]);
    }
}
