//! Standard output that may fail, in the midst of what must not be left half done.

use std::io::{self, Write};

/// Takes everything, and remembers the first error: a page that nobody reads any more is no reason to lose a secret.
pub(super) struct Out<'a> {
    to: &'a mut dyn Write,
    failed: Option<io::Error>,
}

impl<'a> Out<'a> {
    pub(super) fn new(to: &'a mut dyn Write) -> Self {
        Self { to, failed: None }
    }

    /// Whether everything that was written so far has arrived.
    pub(super) fn has_arrived(&mut self) -> bool {
        let flushed = self.to.flush();
        self.keep(flushed, ());
        self.failed.is_none()
    }

    /// Ends it.
    ///
    /// # Errors
    ///
    /// The first one that was met.
    pub(super) fn finish(self) -> io::Result<()> {
        self.failed.map_or(Ok(()), Err)
    }

    fn keep<T>(&mut self, done: io::Result<T>, otherwise: T) -> T {
        done.unwrap_or_else(|error| {
            self.failed.get_or_insert(error);
            otherwise
        })
    }
}

impl Write for Out<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.failed.is_none() {
            let written = self.to.write_all(bytes);
            self.keep(written, ());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.has_arrived();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes so many bytes.
    struct Full(usize);

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = bytes.len().min(self.0);
            self.0 -= taken;
            if taken == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_does_not_arrive_is_told_at_the_end() {
        let mut full = Full(3);
        let mut out = Out::new(&mut full);
        writeln!(out, "ab").unwrap();
        assert!(out.has_arrived());
        writeln!(out, "c").unwrap();
        assert!(!out.has_arrived());
        out.flush().unwrap();
        assert_eq!(out.finish().unwrap_err().kind(), io::ErrorKind::StorageFull);
        let mut all = Vec::new();
        let mut out = Out::new(&mut all);
        writeln!(out, "c").unwrap();
        assert!(out.has_arrived() && out.finish().is_ok());
    }
}
