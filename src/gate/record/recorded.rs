//! The body of an answer. The record lives as long as it does, so that it tells of the whole answer.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;

use super::Record;

/// The body of an answer, with the record of its request.
pub struct Recorded<B> {
    body: Source<B>,
    _record: Box<Record>,
}

impl<B> Recorded<B> {
    /// The body of an answer of our own.
    pub(super) fn own(body: Full<Bytes>, record: Box<Record>) -> Self {
        Self {
            body: Source::Own(body),
            _record: record,
        }
    }

    /// The body of an answer of the upstream.
    pub(super) fn upstream(body: B, record: Box<Record>) -> Self {
        Self {
            body: Source::Upstream(body),
            _record: record,
        }
    }
}

enum Source<B> {
    Own(Full<Bytes>),
    Upstream(B),
}

impl<B: Body<Data = Bytes> + Unpin> Body for Recorded<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match &mut self.body {
            Source::Own(body) => Pin::new(body)
                .poll_frame(cx)
                .map_err(|never| match never {}),
            Source::Upstream(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.body {
            Source::Own(body) => body.is_end_stream(),
            Source::Upstream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.body {
            Source::Own(body) => body.size_hint(),
            Source::Upstream(body) => body.size_hint(),
        }
    }
}
