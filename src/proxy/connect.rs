//! Opening connections to the upstream: DNS, TCP, TLS, each inside one deadline.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::ClientConfig;
use rustls::crypto::aws_lc_rs;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use rustls_platform_verifier::BuilderVerifierExt;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{Config, Protocol};

/// Opens connections.
pub(super) struct Connector {
    host: String,
    port: u16,
    timeout: Duration,
    tls: Option<Tls>,
    places: Arc<Semaphore>,
    /// How many wait for a place, and what tells the others to give up those they do not use.
    waiting: AtomicUsize,
    wanted: Notify,
}

/// TLS to the upstream, one way for each protocol that may be spoken on it.
struct Tls {
    name: ServerName<'static>,
    http1: TlsConnector,
    http2: TlsConnector,
}

/// The right to one connection among those that may be open at once.
pub(super) type Place = OwnedSemaphorePermit;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Refused, unreachable, unknown name, or a failed handshake.
    #[error("cannot connect to the upstream: {0}")]
    Io(#[from] io::Error),
    /// Nothing happened in time.
    #[error("cannot connect to the upstream in time")]
    Timeout,
    /// The connection stood but spoke no HTTP.
    #[error("the upstream does not speak HTTP: {0}")]
    Handshake(#[from] hyper::Error),
    /// The upstream does not agree to HTTP/2 in the TLS handshake (ALPN).
    #[error("the upstream does not offer HTTP/2: set `upstream.protocol: http1`")]
    NoHttp2,
    /// `upstream.ca` holds nothing usable, or the system trusts nobody.
    #[error("the certificate authorities for the upstream cannot be used: {0}")]
    Authorities(String),
}

impl Connector {
    pub(super) fn new(config: &Config) -> Result<Self, ConnectError> {
        let secure = config.scheme == http::uri::Scheme::HTTPS;
        let host = config
            .authority
            .host()
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        let port = config
            .authority
            .port_u16()
            .unwrap_or(if secure { 443 } else { 80 });
        let tls = if secure {
            let name = ServerName::try_from(host.clone())
                .map_err(|e| ConnectError::Authorities(e.to_string()))?;
            let base = client_config(config)?;
            let speaking = |protocol: &[u8]| {
                let mut tls = base.clone();
                tls.alpn_protocols = vec![protocol.to_vec()];
                TlsConnector::from(Arc::new(tls))
            };
            Some(Tls {
                name,
                http1: speaking(b"http/1.1"),
                http2: speaking(b"h2"),
            })
        } else {
            None
        };
        let places = Arc::new(Semaphore::new(config.max_connections));
        let (waiting, wanted) = (AtomicUsize::new(0), Notify::new());
        Ok(Self {
            host,
            port,
            timeout: config.connect_timeout,
            tls,
            places,
            waiting,
            wanted,
        })
    }

    /// How long opening a connection may take.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The right to open one more connection, if there is one at once.
    pub(super) fn free_place(&self) -> Option<Place> {
        Arc::clone(&self.places).try_acquire_owned().ok()
    }

    /// Waits for that right, and has unused connections closed. `None` when it takes too long.
    pub(super) async fn place(&self) -> Option<Place> {
        if let Some(place) = self.free_place() {
            return Some(place);
        }
        let _waiting = Waiting::new(&self.waiting);
        self.wanted.notify_waiters();
        let place = Arc::clone(&self.places).acquire_owned();
        // The semaphore is never closed.
        tokio::time::timeout(self.timeout, place).await.ok()?.ok()
    }

    /// Whether somebody waits for a place.
    pub(super) fn is_wanted(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    /// Waits until somebody begins to wait for a place.
    pub(super) async fn wanted(&self) {
        self.wanted.notified().await;
    }

    pub(super) async fn connect(&self, protocol: Protocol) -> Result<Stream, ConnectError> {
        let connecting = async {
            let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
            stream.set_nodelay(true)?;
            let Some(tls) = &self.tls else {
                return Ok(Stream::Plain(stream));
            };
            let connector = match protocol {
                Protocol::Http1 => &tls.http1,
                Protocol::Http2 => &tls.http2,
            };
            let stream = connector.connect(tls.name.clone(), stream).await?;
            // A server without ALPN speaks HTTP/1.1.
            if protocol == Protocol::Http2 && stream.get_ref().1.alpn_protocol() != Some(b"h2") {
                return Err(ConnectError::NoHttp2);
            }
            Ok(Stream::Tls(Box::new(stream)))
        };
        tokio::time::timeout(self.timeout, connecting)
            .await
            .unwrap_or(Err(ConnectError::Timeout))
    }
}

/// Somebody who waits for a place, as long as it lives.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn client_config(config: &Config) -> Result<ClientConfig, ConnectError> {
    let unusable = |error: &dyn std::fmt::Display| ConnectError::Authorities(error.to_string());
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|e| unusable(&e))?;
    Ok(match &config.ca {
        None => builder
            .with_platform_verifier()
            .map_err(|e| unusable(&e))?
            .with_no_client_auth(),
        Some(path) => {
            let mut roots = rustls::RootCertStore::empty();
            let certificates = CertificateDer::pem_file_iter(path).map_err(|e| unusable(&e))?;
            for certificate in certificates {
                roots
                    .add(certificate.map_err(|e| unusable(&e))?)
                    .map_err(|e| unusable(&e))?;
            }
            builder.with_root_certificates(roots).with_no_client_auth()
        }
    })
}

/// A connection's bytes.
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

macro_rules! delegate {
    ($self:ident, $stream:ident => $call:expr) => {
        match $self.get_mut() {
            Stream::Plain($stream) => $call,
            Stream::Tls($stream) => $call,
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        delegate!(self, stream => Pin::new(stream).poll_read(cx, buf))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        delegate!(self, stream => Pin::new(stream).poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        delegate!(self, stream => Pin::new(stream).poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        delegate!(self, stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        delegate!(self, stream => Pin::new(stream).poll_shutdown(cx))
    }
}
