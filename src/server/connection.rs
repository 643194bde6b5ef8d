//! One connection, from its first byte to its last.

use std::convert::Infallible;
use std::net::TcpStream as StdStream;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONNECTION, EXPECT};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body::Body;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::task::TaskTracker;

use super::body::{Answer, Exchange, RequestBody, read_off};
use super::farewell::{linger, until_drained};
use super::supervise::End;
use super::tls::Certificates;
use super::watch::{Phase, Watch};
use super::wire::Wire;
use super::worker::Tracked;
use super::{Flaw, Handler, Limits, Peer};
use crate::stop::Stop;

/// RFC 9113, section 3.4.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The parser's own bound on header fields; another one costs it an allocation a request.
const DEFAULT_MAX_HEADERS: usize = 100;
/// How long a last answer may take to be written, and a new client to speak when the drain begins.
pub(super) const LAST_WORDS: Duration = Duration::from_secs(1);
/// After this much silence a connection gives its buffers back.
const QUIET: Duration = Duration::from_millis(100);
/// Bytes read at first of a client that was silent.
const FIRST_READ: usize = 1024;
/// An idle HTTP/2 connection is asked for a sign of life this often, and given this long for it.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// HTTP/2 heads are read this far beyond their limit: the answer to one that is over it can then be ours, and not the
/// parser's bare status.
const READ_ON: usize = 64 << 10;
/// What a header field counts for besides its text (RFC 9113, section 6.5.2).
const FIELD: usize = 32;
/// Bytes of an answer that HTTP/2 holds for a slow client, a stream.
const SEND_BUFFER: usize = 64 << 10;

/// What all connections of a worker share.
pub(super) struct Context {
    pub(super) limits: Limits,
    pub(super) certificates: Certificates,
    pub(super) stop: Stop,
    /// What the drain waits for.
    pub(super) tasks: TaskTracker,
}

/// Serves a connection until it ends, times out, or the drain is over.
pub(super) async fn serve<H: Handler>(
    stream: StdStream,
    peer: Peer,
    handler: Arc<H>,
    context: Arc<Context>,
) {
    let Ok(stream) = TcpStream::from_std(stream) else {
        return;
    };
    // Answers are written whole: waiting for more to send only adds delay.
    let _ = stream.set_nodelay(true);
    let session = Session {
        peer: Arc::new(peer),
        handler,
        context,
    };
    if session.peer.tls {
        session.serve_tls(stream).await;
    } else {
        session.serve_plain(stream).await;
    }
}

struct Session<H> {
    peer: Arc<Peer>,
    handler: Arc<H>,
    context: Arc<Context>,
}

impl<H: Handler> Session<H> {
    async fn serve_tls(self, stream: TcpStream) {
        let Some(stream) = Box::pin(self.handshake(stream)).await else {
            return;
        };
        if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
            Box::pin(self.serve_http2(stream, Bytes::new())).await;
        } else {
            self.serve_http1(stream, Bytes::new()).await;
        }
    }

    async fn handshake(&self, stream: TcpStream) -> Option<Box<TlsStream<TcpStream>>> {
        let context = &self.context;
        let handshake = TlsAcceptor::from(context.certificates.current()?).accept(stream);
        let handshake = tokio::time::timeout(context.limits.handshake_timeout, handshake);
        match until_drained(&context.stop, LAST_WORDS, handshake).await? {
            Ok(Ok(stream)) => Some(Box::new(stream)),
            Ok(Err(error)) => {
                tracing::debug!(client.address = self.peer.text(), error = %error, "TLS handshake failed");
                None
            }
            Err(_elapsed) => {
                tracing::debug!(client.address = self.peer.text(), "TLS handshake timed out");
                None
            }
        }
    }

    /// Tells HTTP/2 with prior knowledge (RFC 9113, section 3.3) from HTTP/1.1 by its first bytes.
    async fn serve_plain(self, mut stream: TcpStream) {
        let start = until_drained(&self.context.stop, LAST_WORDS, self.start(&mut stream)).await;
        let Some(Some(start)) = start else {
            return;
        };
        if start == PREFACE {
            Box::pin(self.serve_http2(stream, start)).await;
        } else {
            self.serve_http1(stream, start).await;
        }
    }

    /// The first bytes, as many as tell the protocols apart. `None` when the client leaves, or is too slow.
    async fn start(&self, stream: &mut TcpStream) -> Option<Bytes> {
        let limits = self.context.limits;
        let mut start = Vec::with_capacity(PREFACE.len());
        let mut over = Instant::now() + limits.idle_timeout;
        while start.len() < PREFACE.len() && PREFACE.starts_with(&start) {
            let wanted = PREFACE.len() - start.len();
            let patience = over.saturating_duration_since(Instant::now());
            let bytes = next_bytes(stream, wanted, patience).await?;
            if start.is_empty() {
                over = Instant::now() + limits.header_timeout;
            }
            start.extend_from_slice(&bytes);
        }
        Some(start.into())
    }

    /// Serves HTTP/1.1. While the client is silent there is no parser and no buffer, only the socket: a browser
    /// keeps connections open for minutes after its last request.
    async fn serve_http1<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
        self,
        mut stream: S,
        mut start: Bytes,
    ) {
        let watch = Arc::new(Watch::new());
        loop {
            let Some(quiet) = Box::pin(self.converse(stream, start, &watch)).await else {
                return;
            };
            let unused;
            (stream, unused) = quiet;
            // The beginning of a request that came right behind the last one.
            if !unused.is_empty() {
                start = unused;
                continue;
            }
            // Empty, it still holds the parser's whole buffer.
            drop(unused);
            let patience = self.context.limits.idle_timeout.saturating_sub(QUIET);
            let grace = if watch.is_fresh() {
                LAST_WORDS
            } else {
                Duration::ZERO
            };
            let next = next_bytes(&mut stream, FIRST_READ, patience);
            start = match until_drained(&self.context.stop, grace, next).await {
                Some(Some(bytes)) => bytes,
                Some(None) | None => return,
            };
        }
    }

    /// Serves requests until the connection ends, or the client is silent; then returns the
    /// socket, and what was read of it and not used.
    async fn converse<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
        &self,
        stream: S,
        start: Bytes,
        watch: &Arc<Watch>,
    ) -> Option<(S, Bytes)> {
        let wire = Wire::http1(stream, start, Arc::clone(watch));
        let limits = self.context.limits;
        let mut builder = http1::Builder::new();
        builder
            .header_read_timeout(None)
            .max_header_size(limits.max_header_bytes);
        builder.max_buf_size(limits.max_header_bytes.max(64 << 10));
        if limits.max_headers != DEFAULT_MAX_HEADERS {
            builder.max_headers(limits.max_headers);
        }
        let mut connection = builder
            .serve_connection(TokioIo::new(wire), self.service(watch))
            .with_upgrades();
        let shutdown = http1::UpgradeableConnection::graceful_shutdown;
        let end = self
            .context
            .supervise(Pin::new(&mut connection), shutdown, watch, Some(QUIET))
            .await;
        let parts = connection.into_parts()?;
        let wire = parts.io.into_inner();
        let status = match end {
            End::Quiet => return Some((wire.into_stream(), parts.read_buf)),
            End::Expired(Phase::Head) => Some(StatusCode::REQUEST_TIMEOUT),
            End::Closed => wire.refused(),
            End::Expired(Phase::Idle | Phase::Busy | Phase::Finishing | Phase::Tunnel)
            | End::Drained => return None,
        };
        if status.is_some() || !watch.is_body_read() {
            // With its buffers gone: what the client still sends is not looked at.
            drop((parts.read_buf, parts.service));
            Box::pin(self.part(wire, status)).await;
        }
        None
    }

    /// Ends a conversation in the middle of a request: with an answer of this status, unless it had one.
    async fn part<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        wire: Wire<S>,
        status: Option<StatusCode>,
    ) {
        let words =
            status.map(|status| self.handler.malformed(&self.peer, status, &wire.remains()));
        let mut stream = wire.into_stream();
        if let Some(words) = words {
            let written = tokio::time::timeout(LAST_WORDS, stream.write_all(&words)).await;
            // Who does not read it does not get it.
            if !matches!(written, Ok(Ok(()))) {
                return;
            }
        }
        linger(stream, &self.context.stop).await;
    }

    async fn serve_http2<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
        self,
        stream: S,
        prefix: Bytes,
    ) {
        let watch = Arc::new(Watch::new());
        let limits = self.context.limits;
        let mut builder = http2::Builder::new(Tracked(self.context.tasks.clone()));
        builder
            .timer(TokioTimer::new())
            .max_concurrent_streams(limits.max_streams)
            .max_pending_accept_reset_streams(limits.max_resets)
            .max_header_list_size(
                u32::try_from(limits.max_header_bytes.saturating_add(READ_ON)).unwrap_or(u32::MAX),
            )
            .max_send_buf_size(SEND_BUFFER)
            .keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT);
        let io = TokioIo::new(Wire::http2(stream, prefix, Arc::clone(&watch)));
        let mut connection = pin!(builder.serve_connection(io, self.service(&watch)));
        let shutdown = http2::Connection::graceful_shutdown;
        if let End::Expired(_) = self
            .context
            .supervise(connection.as_mut(), shutdown, &watch, None)
            .await
        {
            connection.as_mut().graceful_shutdown();
            let _ = tokio::time::timeout(LAST_WORDS, connection).await;
        }
    }

    /// What the parser calls with each request.
    fn service(
        &self,
        watch: &Arc<Watch>,
    ) -> impl hyper::service::Service<
        Request<Incoming>,
        Response = Response<Answer<H::Body>>,
        Error = Infallible,
        Future: Send + 'static,
    > + use<H> {
        let (handler, peer, watch) = (
            Arc::clone(&self.handler),
            Arc::clone(&self.peer),
            Arc::clone(watch),
        );
        let memory = Arc::<H::Memory>::default();
        let limits = self.context.limits;
        service_fn(move |request: Request<Incoming>| {
            let multiplexed = request.version() == http::Version::HTTP_2;
            let is_whole = request.body().is_end_stream();
            let number = watch.begin(is_whole);
            // HTTP/2 gives up a stream without giving up the connection.
            let leftover = (!is_whole && !multiplexed).then(|| {
                watch.want_leftover();
                // To ask for a body only to throw it away would be rude, and the client can go on without.
                request.headers().contains_key(EXPECT)
            });
            let exchange = Exchange {
                watch: Arc::clone(&watch),
                number,
            };
            let mut request = request.map(|incoming| {
                RequestBody::new(incoming, limits.idle_timeout, Arc::clone(&watch))
            });
            if watch.take_fragment() {
                request.extensions_mut().insert(Flaw::Fragment);
            } else if request.headers().len() > limits.max_headers
                || multiplexed && list_size(&request) > limits.max_header_bytes
            {
                request.extensions_mut().insert(Flaw::TooManyHeaders);
            }
            let answering =
                Arc::clone(&handler).handle(Arc::clone(&peer), Arc::clone(&memory), request);
            // Boxed: an idle connection keeps no room for a request that may never come.
            Box::pin(async move {
                let mut response = answering.await;
                if let Some(is_expected) = leftover
                    && let Some(incoming) = exchange.watch.take_leftover()
                    && (is_expected || !read_off(incoming, &exchange.watch).await)
                {
                    let close = HeaderValue::from_static("close");
                    response.headers_mut().insert(CONNECTION, close);
                }
                if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                    exchange.watch.upgraded();
                }
                Ok::<_, Infallible>(response.map(|body| Answer::new(body, exchange, multiplexed)))
            })
        })
    }
}

/// What the fields of an HTTP/2 request count for (RFC 9113, section 6.5.2), method and scheme aside.
fn list_size<B>(request: &Request<B>) -> usize {
    let uri = request.uri();
    let authority = uri
        .authority()
        .map_or(0, |authority| authority.as_str().len());
    let target = uri
        .path_and_query()
        .map_or(0, |target| target.as_str().len());
    let fields = request.headers().iter();
    fields.fold(authority + target, |sum, (name, value)| {
        sum + name.as_str().len() + value.len() + FIELD
    })
}

/// Waits for bytes of a silent client. `None` when it leaves, or is silent for `patience`.
async fn next_bytes<S: AsyncRead + Unpin>(
    stream: &mut S,
    wanted: usize,
    patience: Duration,
) -> Option<Bytes> {
    let mut bytes = BytesMut::with_capacity(wanted);
    let read = tokio::time::timeout(patience, stream.read_buf(&mut bytes)).await;
    matches!(read, Ok(Ok(1..))).then(|| bytes.freeze())
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use http_body_util::Empty;
    use tokio::sync::Notify;

    use super::*;
    use crate::server::Remains;

    /// Answers when it is told to.
    #[derive(Default)]
    struct Late {
        asked: Notify,
        may_answer: Notify,
    }

    impl Handler for Late {
        type Body = Empty<Bytes>;
        type Memory = ();

        async fn handle(
            self: Arc<Self>,
            _peer: Arc<Peer>,
            _memory: Arc<()>,
            _request: Request<RequestBody>,
        ) -> Response<Self::Body> {
            self.asked.notify_one();
            self.may_answer.notified().await;
            Response::new(Empty::new())
        }

        fn malformed(&self, _: &Peer, _: StatusCode, _: &Remains) -> Bytes {
            Bytes::new()
        }
    }

    fn session(handler: &Arc<Late>, stop: &Stop) -> Session<Late> {
        let minute = Duration::from_secs(60);
        let limits = Limits {
            max_header_bytes: 64 << 10,
            max_headers: DEFAULT_MAX_HEADERS,
            header_timeout: minute,
            handshake_timeout: minute,
            idle_timeout: minute,
            max_connections: 1,
            max_streams: 1,
            max_resets: 1,
        };
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        Session {
            peer: Arc::new(Peer::new(address, false, None)),
            handler: Arc::clone(handler),
            context: Arc::new(Context {
                limits,
                certificates: Certificates::none(),
                stop: stop.clone(),
                tasks: TaskTracker::new(),
            }),
        }
    }

    #[tokio::test]
    async fn an_answer_that_comes_with_the_drain_says_close() {
        let (handler, stop) = (Arc::new(Late::default()), Stop::new());
        let (mut client, server) = tokio::io::duplex(1 << 16);
        let serving = session(&handler, &stop).serve_http1(server, Bytes::new());
        let talk = async {
            let request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
            client.write_all(request).await.unwrap();
            handler.asked.notified().await;
            // Without a pause: the connection wakes up to both.
            stop.drain();
            handler.may_answer.notify_one();
            let mut answer = String::new();
            client.read_to_string(&mut answer).await.unwrap();
            answer
        };
        let ((), answer) = tokio::join!(serving, talk);
        assert!(answer.contains("connection: close\r\n"), "{answer}");
    }
}
