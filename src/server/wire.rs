//! The socket as the HTTP parser sees it: bytes read while sniffing are given back first, the request line is
//! looked at in passing, and a bare answer of the parser's own is replaced by one in our shape.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::StatusCode;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::watch::{Phase, Watch};

/// Makes a whole HTTP/1.1 answer to bytes that are no request.
pub(super) type Malformed = Arc<dyn Fn(StatusCode) -> Bytes + Send + Sync>;

pub(super) struct Wire<S> {
    stream: S,
    /// Read before the protocol was known.
    prefix: Bytes,
    watch: Arc<Watch>,
    http1: Option<Http1>,
}

/// What is done on HTTP/1 connections only.
struct Http1 {
    malformed: Malformed,
    /// Our answer instead of the parser's, as far as it is not written yet.
    instead: Bytes,
}

impl<S> Wire<S> {
    pub(super) fn http1(stream: S, prefix: Bytes, watch: Arc<Watch>, malformed: Malformed) -> Self {
        Self {
            stream,
            prefix,
            watch,
            http1: Some(Http1 {
                malformed,
                instead: Bytes::new(),
            }),
        }
    }

    pub(super) fn http2(stream: S, prefix: Bytes, watch: Arc<Watch>) -> Self {
        Self {
            stream,
            prefix,
            watch,
            http1: None,
        }
    }

    pub(super) fn into_stream(self) -> S {
        self.stream
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        if self.prefix.is_empty() {
            ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        } else {
            let length = self.prefix.len().min(buf.remaining());
            buf.put_slice(&self.prefix.split_to(length));
        }
        let bytes = &buf.filled()[before..];
        if self.http1.is_some() && !bytes.is_empty() {
            self.watch.received(bytes);
        }
        Poll::Ready(Ok(()))
    }
}

impl Http1 {
    /// Whether `bytes` are the parser's own answer: nothing else is written while no request is served.
    /// If so, ours takes its place.
    fn replaces(&mut self, watch: &Watch, bytes: &[u8]) -> bool {
        if !matches!(watch.phase(), Phase::Idle | Phase::Head) {
            return false;
        }
        let status = bytes
            .strip_prefix(b"HTTP/1.1 ")
            .and_then(|rest| rest.get(..3))
            .map(StatusCode::from_bytes);
        let Some(Ok(status)) = status else {
            return false;
        };
        let too_long = status == StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE && !watch.line_seen();
        self.instead = (self.malformed)(if too_long {
            StatusCode::URI_TOO_LONG
        } else {
            status
        });
        true
    }
}

impl<S: AsyncWrite + Unpin> Wire<S> {
    /// Writes, and notes whether the client takes what it asked for.
    fn progress(
        &mut self,
        write: impl FnOnce(&mut S) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        let written = write(&mut self.stream);
        self.watch.wrote(written.is_ready());
        written
    }

    fn poll_instead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(http1) = &mut self.http1 else {
            return Poll::Ready(Ok(()));
        };
        while !http1.instead.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, &http1.instead))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            http1.instead.advance(written);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if this
            .http1
            .as_mut()
            .is_some_and(|http1| http1.replaces(&this.watch, bytes))
        {
            return Poll::Ready(Ok(bytes.len()));
        }
        this.progress(|stream| Pin::new(stream).poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let first = slices.first().map_or(&[][..], |slice| &**slice);
        if this
            .http1
            .as_mut()
            .is_some_and(|http1| http1.replaces(&this.watch, first))
        {
            return Poll::Ready(Ok(slices.iter().map(|slice| slice.len()).sum()));
        }
        this.progress(|stream| Pin::new(stream).poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_instead(cx))?;
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        self.watch.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_instead(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
