//! Room for the bodies that are held at a time, by all endpoints together: anybody can send some to the webhook.

use tokio::sync::{Semaphore, SemaphorePermit};

use super::failure::Failure;

/// 64 MiB: as many of the largest events, or a few thousand of the usual ones.
const ROOM: usize = 64 << 10;
const KIB: usize = 1 << 10;

/// The room, in KiB.
pub(super) struct Room(Semaphore);

impl Room {
    pub(super) fn new() -> Self {
        Self::of(ROOM)
    }

    fn of(kib: usize) -> Self {
        Self(Semaphore::new(kib))
    }

    /// For a body of which nothing has come.
    pub(super) fn nothing(&self) -> Held<'_> {
        Held {
            room: &self.0,
            taken: None,
        }
    }
}

/// The room that one body takes, until this is dropped.
pub(super) struct Held<'a> {
    room: &'a Semaphore,
    taken: Option<SemaphorePermit<'a>>,
}

impl Held<'_> {
    /// Takes what is missing for so many bytes in all. What is only announced takes none: it costs its sender nothing.
    pub(super) fn grow(&mut self, bytes: usize) -> Result<(), Failure> {
        let taken = self.taken.as_ref();
        let taken = taken.map_or(0, SemaphorePermit::num_permits);
        let missing = bytes.div_ceil(KIB).saturating_sub(taken);
        if missing == 0 {
            return Ok(());
        }
        let missing = u32::try_from(missing).map_err(|_| Failure::Crowded)?;
        let more = self.room.try_acquire_many(missing);
        let more = more.map_err(|_| Failure::Crowded)?;
        match &mut self.taken {
            Some(taken) => taken.merge(more),
            none => *none = Some(more),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_beyond_the_room_are_503_until_another_one_is_done_with() {
        let room = Room::of(3);
        let (mut first, mut second) = (room.nothing(), room.nothing());
        for bytes in [0, 1, 1024, 1025, 2048] {
            assert!(first.grow(bytes).is_ok(), "{bytes}");
        }
        assert!(second.grow(1024).is_ok());
        let refused = second.grow(1025).unwrap_err().into_problem();
        assert_eq!(refused.status.as_u16(), 503);
        assert_eq!(refused.headers.len(), 1, "with Retry-After");
        drop(first);
        assert!(second.grow(3072).is_ok());
        assert!(second.grow(3073).is_err());
    }
}
