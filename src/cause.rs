//! What lies at the bottom of an error.

use std::error::Error;

/// The error at the bottom, which says the most: a refused connection, an unknown name, a certificate.
pub(crate) fn cause(error: &(dyn Error + 'static)) -> String {
    let mut deepest = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[derive(Debug, thiserror::Error)]
    #[error("it did not work")]
    struct Outer(#[source] io::Error);

    #[test]
    fn the_deepest_source_speaks() {
        let refused = || io::Error::new(io::ErrorKind::ConnectionRefused, "refused");
        assert_eq!(cause(&Outer(refused())), "refused");
        assert_eq!(cause(&refused()), "refused");
    }
}
