//! Why there is no answer from the upstream, by what is done about it.

use super::ConnectError;

/// A request that got no answer. `E` is what was wrong with its body.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError<E> {
    /// The upstream cannot be reached.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// All connections that may be open at once are in use.
    #[error("all connections to the upstream are in use")]
    Busy,
    /// No response head in time.
    #[error("the upstream did not answer in time")]
    Timeout,
    /// The connection broke, or what came back is no HTTP.
    #[error("the upstream broke off: {0}")]
    Upstream(#[from] hyper::Error),
    /// It switched protocols without having been asked to (RFC 9110, section 7.8).
    #[error("the upstream switched protocols unasked")]
    Unasked,
    /// Its answer is in a transfer coding that is not undone here, and that the client is not told of.
    #[error("the upstream answered in a transfer coding other than chunked")]
    Coding,
    /// The client's body is at fault.
    #[error("the request's body broke off")]
    Body(E),
}

impl<E> ProxyError<E> {
    /// Whether this is what a connection looks like that the upstream closed while it was idle.
    #[must_use]
    pub fn is_dead_connection(&self) -> bool {
        match self {
            Self::Upstream(error) => {
                error.is_canceled()
                    || error.is_incomplete_message()
                    || error.is_closed()
                    || is_io(error)
                    || is_gone(error)
            }
            Self::Connect(_)
            | Self::Busy
            | Self::Timeout
            | Self::Unasked
            | Self::Coding
            | Self::Body(_) => false,
        }
    }
}

/// A connection that was told to end, or a stream that the upstream did not begin with (RFC 9113, section 8.7).
fn is_gone(error: &hyper::Error) -> bool {
    let source =
        std::error::Error::source(error).and_then(|source| source.downcast_ref::<h2::Error>());
    source.is_some_and(|error| {
        error.is_go_away() || error.is_io() || error.reason() == Some(h2::Reason::REFUSED_STREAM)
    })
}

/// A broken pipe or a reset, not a message that makes no sense.
fn is_io(error: &hyper::Error) -> bool {
    !error.is_parse()
        && std::error::Error::source(error)
            .is_some_and(<dyn std::error::Error>::is::<std::io::Error>)
}
