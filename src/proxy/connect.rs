//! Opening connections to the upstream: DNS, TCP, TLS, each inside one deadline.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::ClientConfig;
use rustls::crypto::aws_lc_rs;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use rustls_platform_verifier::BuilderVerifierExt;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{Config, Protocol};

/// Opens connections.
pub(super) struct Connector {
    host: String,
    port: u16,
    timeout: Duration,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    places: Arc<Semaphore>,
}

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
    /// `upstream.ca` holds nothing usable, or the system trusts nobody.
    #[error("the certificate authorities for the upstream cannot be used: {0}")]
    Authorities(String),
}

impl Connector {
    pub(super) fn new(config: &Config) -> Result<Self, ConnectError> {
        let secure = config.scheme == http::uri::Scheme::HTTPS;
        let host = config.authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = config.authority.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let tls = if secure {
            let name = ServerName::try_from(host.clone()).map_err(|e| ConnectError::Authorities(e.to_string()))?;
            Some((TlsConnector::from(Arc::new(client_config(config)?)), name))
        } else {
            None
        };
        let places = Arc::new(Semaphore::new(config.max_connections));
        Ok(Self { host, port, timeout: config.connect_timeout, tls, places })
    }

    /// Waits for the right to open one more connection.
    pub(super) async fn place(&self) -> Option<OwnedSemaphorePermit> {
        // The semaphore is never closed.
        Arc::clone(&self.places).acquire_owned().await.ok()
    }

    pub(super) async fn connect(&self) -> Result<Stream, ConnectError> {
        let connecting = async {
            let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
            stream.set_nodelay(true)?;
            Ok(match &self.tls {
                None => Stream::Plain(stream),
                Some((connector, name)) => Stream::Tls(Box::new(connector.connect(name.clone(), stream).await?)),
            })
        };
        tokio::time::timeout(self.timeout, connecting).await.unwrap_or(Err(ConnectError::Timeout))
    }
}

fn client_config(config: &Config) -> Result<ClientConfig, ConnectError> {
    let unusable = |error: &dyn std::fmt::Display| ConnectError::Authorities(error.to_string());
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|e| unusable(&e))?;
    let mut tls = match &config.ca {
        None => builder.with_platform_verifier().map_err(|e| unusable(&e))?.with_no_client_auth(),
        Some(path) => {
            let mut roots = rustls::RootCertStore::empty();
            let certificates = CertificateDer::pem_file_iter(path).map_err(|e| unusable(&e))?;
            for certificate in certificates {
                roots.add(certificate.map_err(|e| unusable(&e))?).map_err(|e| unusable(&e))?;
            }
            builder.with_root_certificates(roots).with_no_client_auth()
        }
    };
    tls.alpn_protocols = vec![match config.protocol {
        Protocol::Http1 => b"http/1.1".to_vec(),
        Protocol::Http2 => b"h2".to_vec(),
    }];
    Ok(tls)
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
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        delegate!(self, stream => Pin::new(stream).poll_read(cx, buf))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
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
