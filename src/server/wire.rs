//! The socket as the HTTP parser sees it: bytes read while sniffing are given back first, the request line is
//! looked at in passing, and a bare answer of the parser's own is held back, for one in our shape.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::StatusCode;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::frames::Frames;
use super::remains::Remains;
use super::watch::{Phase, Watch};

/// Bytes of a head that are kept: browsers send `Origin` before what may be long.
const HEAD_KEPT: usize = 8 << 10;

pub(super) struct Wire<S> {
    stream: S,
    /// Read before the protocol was known.
    prefix: Bytes,
    watch: Arc<Watch>,
    protocol: Protocol,
}

/// What is looked at in passing.
enum Protocol {
    Http1(Http1),
    Http2(Frames),
}

/// What is done on HTTP/1 connections only.
#[derive(Default)]
struct Http1 {
    /// The beginning of the head that is coming in, for an answer to it if it is no request.
    head: Vec<u8>,
    /// The status of the parser's own answer, which was not sent.
    refused: Option<StatusCode>,
}

impl<S> Wire<S> {
    pub(super) fn http1(stream: S, prefix: Bytes, watch: Arc<Watch>) -> Self {
        Self {
            stream,
            prefix,
            watch,
            protocol: Protocol::Http1(Http1::default()),
        }
    }

    pub(super) fn http2(stream: S, prefix: Bytes, watch: Arc<Watch>) -> Self {
        watch.opens(true);
        Self {
            stream,
            prefix,
            watch,
            protocol: Protocol::Http2(Frames::new()),
        }
    }

    /// The status that the parser has for bytes that are no request. Its answer was held back, and the socket is
    /// still open for another.
    pub(super) fn refused(&self) -> Option<StatusCode> {
        match &self.protocol {
            Protocol::Http1(http1) => http1.refused,
            Protocol::Http2(_) => None,
        }
    }

    /// What was read of the head that is no request; nothing where the parser had it already when the last request
    /// ended, because then nobody knows where in it the head began.
    pub(super) fn remains(&self) -> Remains {
        match &self.protocol {
            Protocol::Http1(http1) if self.watch.phase() == Phase::Head => {
                Remains::read(&http1.head)
            }
            Protocol::Http1(_) | Protocol::Http2(_) => Remains::default(),
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
        let this = &mut *self;
        let before = buf.filled().len();
        if this.prefix.is_empty() {
            ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
        } else {
            let length = this.prefix.len().min(buf.remaining());
            buf.put_slice(&this.prefix.split_to(length));
        }
        let bytes = &buf.filled()[before..];
        this.watch.stirred();
        match &mut this.protocol {
            Protocol::Http1(_) if bytes.is_empty() => {}
            Protocol::Http1(http1) => http1.received(&this.watch, bytes),
            Protocol::Http2(frames) => this.watch.opens(frames.received(bytes)),
        }
        Poll::Ready(Ok(()))
    }
}

impl Http1 {
    fn received(&mut self, watch: &Watch, bytes: &[u8]) {
        if watch.phase() != Phase::Head {
            self.head.clear();
        }
        watch.received(bytes);
        if watch.phase() == Phase::Head {
            let room = HEAD_KEPT.saturating_sub(self.head.len());
            self.head.extend_from_slice(&bytes[..room.min(bytes.len())]);
        }
    }

    /// Whether `bytes` are the parser's own answer: nothing else is written while no request is served.
    fn holds_back(&mut self, watch: &Watch, bytes: &[u8]) -> bool {
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
        self.refused = Some(if too_long {
            StatusCode::URI_TOO_LONG
        } else {
            status
        });
        true
    }
}

impl<S: AsyncWrite + Unpin> Wire<S> {
    fn holds_back(&mut self, bytes: &[u8]) -> bool {
        match &mut self.protocol {
            Protocol::Http1(http1) => http1.holds_back(&self.watch, bytes),
            Protocol::Http2(_) => false,
        }
    }

    /// Writes, and notes whether the client takes what it asked for.
    fn progress(
        &mut self,
        write: impl FnOnce(&mut S) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        let written = write(&mut self.stream);
        self.watch.wrote(written.is_ready());
        written
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if this.holds_back(bytes) {
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
        if this.holds_back(first) {
            return Poll::Ready(Ok(slices.iter().map(|slice| slice.len()).sum()));
        }
        this.progress(|stream| Pin::new(stream).poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        self.watch.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.refused().is_some() {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
