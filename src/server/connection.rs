//! One connection, from its first byte to its last.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::net::TcpStream as StdStream;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::Body;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

use super::body::{Answer, Exchange, RequestBody};
use super::tls::Certificates;
use super::watch::{Phase, Watch};
use super::wire::{Malformed, Wire};
use super::{Flaw, Handler, Limits, Peer};
use crate::stop::Stop;

/// RFC 9113, section 3.4.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The parser's own bound on header fields; another one costs it an allocation a request.
const DEFAULT_MAX_HEADERS: usize = 100;
/// How long a last answer may take to be written, and a new client to speak when the drain begins.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// An idle HTTP/2 connection is asked for a sign of life this often, and given this long for it.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// Bytes of an answer that HTTP/2 holds for a slow client, a stream.
const SEND_BUFFER: usize = 64 << 10;

/// What all connections of a worker share.
pub(super) struct Context {
    pub(super) limits: Limits,
    pub(super) certificates: Certificates,
    pub(super) stop: Stop,
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
        let Some(config) = self.context.certificates.current() else {
            return;
        };
        let handshake = TlsAcceptor::from(config).accept(stream);
        let stream = match tokio::time::timeout(self.context.limits.handshake_timeout, handshake)
            .await
        {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                tracing::debug!(client.address = %self.peer.address, error = %error, "TLS handshake failed");
                return;
            }
            Err(_elapsed) => {
                tracing::debug!(client.address = %self.peer.address, "TLS handshake timed out");
                return;
            }
        };
        if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
            self.serve_http2(stream, Bytes::new()).await;
        } else {
            self.serve_http1(stream, Bytes::new()).await;
        }
    }

    /// Tells HTTP/2 with prior knowledge (RFC 9113, section 3.3) from HTTP/1.1 by its first bytes.
    async fn serve_plain(self, mut stream: TcpStream) {
        let mut start = [0; PREFACE.len()];
        let mut length = 0;
        let sniff = async {
            while length < PREFACE.len() && PREFACE.starts_with(&start[..length]) {
                match stream.read(&mut start[length..]).await {
                    Ok(read) if read > 0 => length += read,
                    Ok(_) | Err(_) => return false,
                }
            }
            true
        };
        let sniffed = tokio::select! {
            biased;
            sniffed = tokio::time::timeout(self.context.limits.idle_timeout, sniff) => sniffed.unwrap_or(false),
            () = self.grace() => false,
        };
        if !sniffed {
            return;
        }
        let prefix = Bytes::copy_from_slice(&start[..length]);
        // Boxed: a connection that has said nothing yet costs no parser.
        if start == PREFACE {
            Box::pin(self.serve_http2(stream, prefix)).await;
        } else {
            Box::pin(self.serve_http1(stream, prefix)).await;
        }
    }

    /// Waits until the drain has begun and a client that was accepted just before has had time to speak.
    async fn grace(&self) {
        self.context.stop.draining().await;
        tokio::time::sleep(LAST_WORDS).await;
    }

    async fn serve_http1<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
        self,
        stream: S,
        prefix: Bytes,
    ) {
        let watch = Arc::new(Watch::new());
        let wire = Wire::http1(stream, prefix, Arc::clone(&watch), self.malformed());
        let limits = self.context.limits;
        let mut builder = http1::Builder::new();
        builder
            .header_read_timeout(None)
            .max_header_size(limits.max_header_bytes);
        builder.max_buf_size(limits.max_header_bytes.max(64 << 10));
        if limits.max_headers != DEFAULT_MAX_HEADERS {
            builder.max_headers(limits.max_headers);
        }
        let io = TokioIo::new(wire);
        let mut connection = builder
            .serve_connection(io, self.service(&watch))
            .with_upgrades();
        let shutdown = http1::UpgradeableConnection::graceful_shutdown;
        if self
            .supervise(Pin::new(&mut connection), shutdown, &watch)
            .await
            != End::Expired(Phase::Head)
        {
            return;
        }
        if let Some(parts) = connection.into_parts() {
            let words = self.malformed()(StatusCode::REQUEST_TIMEOUT);
            let mut stream = parts.io.into_inner().into_stream();
            let farewell = async {
                // Who does not read it does not get it.
                let _ = stream.write_all(&words).await;
                let _ = stream.shutdown().await;
            };
            let _ = tokio::time::timeout(LAST_WORDS, farewell).await;
        }
    }

    async fn serve_http2<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
        self,
        stream: S,
        prefix: Bytes,
    ) {
        let watch = Arc::new(Watch::new());
        let limits = self.context.limits;
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .max_concurrent_streams(limits.max_streams)
            .max_pending_accept_reset_streams(limits.max_resets)
            .max_header_list_size(u32::try_from(limits.max_header_bytes).unwrap_or(u32::MAX))
            .max_send_buf_size(SEND_BUFFER)
            .keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT);
        let io = TokioIo::new(Wire::http2(stream, prefix, Arc::clone(&watch)));
        let mut connection = pin!(builder.serve_connection(io, self.service(&watch)));
        let shutdown = http2::Connection::graceful_shutdown;
        if let End::Expired(_) = self.supervise(connection.as_mut(), shutdown, &watch).await {
            connection.as_mut().graceful_shutdown();
            let _ = tokio::time::timeout(LAST_WORDS, connection).await;
        }
    }

    /// Drives a connection until it ends, or a phase of it takes too long; tells it when the drain begins.
    async fn supervise<C: Future>(
        &self,
        mut connection: Pin<&mut C>,
        shutdown: fn(Pin<&mut C>),
        watch: &Watch,
    ) -> End {
        let limits = &self.context.limits;
        let interval = limits.header_timeout.min(limits.idle_timeout);
        let mut draining = pin!(self.context.stop.draining());
        let mut grace = None;
        let mut timer = pin!(tokio::time::sleep(interval));
        let (mut listening, mut told) = (false, false);
        poll_fn(|cx| {
            if connection.as_mut().poll(cx).is_ready() {
                return Poll::Ready(End::Closed);
            }
            // Polled once to be woken by it; after that the flag is cheaper to ask.
            if !listening {
                listening = true;
                let _ = draining.as_mut().poll(cx);
            }
            let now = Instant::now();
            let in_grace =
                |until: Instant| watch.is_fresh() && watch.phase() == Phase::Idle && now < until;
            if !told && self.context.stop.is_draining() {
                // Told before its first request, a connection closes at once, and a request on its way is lost.
                let until = *grace.get_or_insert(now + LAST_WORDS);
                if in_grace(until) {
                    timer.as_mut().reset(until);
                    let _ = timer.as_mut().poll(cx);
                    return Poll::Pending;
                }
                told = true;
                shutdown(connection.as_mut());
                if connection.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(End::Closed);
                }
            }
            while timer.as_mut().poll(cx).is_ready() {
                match watch.remaining(limits) {
                    Some(Duration::ZERO) => return Poll::Ready(End::Expired(watch.phase())),
                    left => timer
                        .as_mut()
                        .reset(now + left.unwrap_or(interval).min(interval)),
                }
            }
            Poll::Pending
        })
        .await
    }

    fn malformed(&self) -> Malformed {
        let (handler, peer) = (Arc::clone(&self.handler), Arc::clone(&self.peer));
        Arc::new(move |status| handler.malformed(&peer, status))
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
        let patience = self.context.limits.idle_timeout;
        let max_headers = self.context.limits.max_headers;
        service_fn(move |request: Request<Incoming>| {
            let multiplexed = request.version() == http::Version::HTTP_2;
            let number = watch.begin(request.body().is_end_stream());
            let exchange = Exchange {
                watch: Arc::clone(&watch),
                number,
            };
            let mut request =
                request.map(|incoming| RequestBody::new(incoming, patience, Arc::clone(&watch)));
            if watch.take_fragment() {
                request.extensions_mut().insert(Flaw::Fragment);
            } else if request.headers().len() > max_headers {
                request.extensions_mut().insert(Flaw::TooManyHeaders);
            }
            let answering = Arc::clone(&handler).handle(Arc::clone(&peer), request);
            // Boxed: an idle connection keeps no room for a request that may never come.
            Box::pin(async move {
                let response = answering.await;
                if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                    exchange.watch.upgraded();
                }
                Ok::<_, Infallible>(response.map(|body| Answer::new(body, exchange, multiplexed)))
            })
        })
    }
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// By itself.
    Closed,
    /// This phase took too long.
    Expired(Phase),
}
