//! Certificates for a test, and clients that trust them.

use std::net::SocketAddr;
use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::Gate;
use crate::support::net::{Listening, Reserved};

/// A self-signed certificate for `gate.test` and 127.0.0.1.
pub(crate) struct Certificate {
    pub(crate) chain: String,
    pub(crate) key: String,
}

impl Certificate {
    /// Makes one.
    pub(crate) fn new() -> Self {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["gate.test".to_owned(), "127.0.0.1".to_owned()])
                .expect("a certificate");
        Self {
            chain: cert.pem(),
            key: signing_key.serialize_pem(),
        }
    }

    /// The certificate as it goes over the wire.
    pub(crate) fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.chain.as_bytes()).expect("PEM")
    }

    /// A server that shows this certificate and agrees to `alpn`.
    fn server(&self, alpn: &[&str]) -> TlsAcceptor {
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).expect("PEM");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the default versions")
            .with_no_client_auth()
            .with_single_cert(vec![self.der()], key)
            .expect("a certificate and its key");
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        TlsAcceptor::from(Arc::new(config))
    }

    /// A client that trusts this certificate and offers `alpn`.
    pub(crate) fn client(&self, alpn: &[&str]) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add(self.der()).expect("a certificate");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the default versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        TlsConnector::from(Arc::new(config))
    }
}

/// Speaks TLS before `backend`, which does not.
pub(crate) fn tls_before(certificate: &Certificate, backend: SocketAddr) -> Listening {
    relay(certificate.server(&[]), move |_| backend)
}

/// Speaks TLS before two backends, one for each protocol that the client may agree to.
pub(crate) fn tls_before_both(
    certificate: &Certificate,
    http1: SocketAddr,
    http2: SocketAddr,
) -> Listening {
    relay(certificate.server(&["h2", "http/1.1"]), move |agreed| {
        if agreed == Some(b"h2") { http2 } else { http1 }
    })
}

/// Takes TLS off, and carries the bytes to the backend that goes with the protocol agreed to.
fn relay(
    acceptor: TlsAcceptor,
    backend: impl Fn(Option<&[u8]>) -> SocketAddr + Clone + Send + Sync + 'static,
) -> Listening {
    Listening::start(Reserved::any().listen(), move |stream| {
        let (acceptor, backend) = (acceptor.clone(), backend.clone());
        async move {
            let Ok(mut outer) = acceptor.accept(stream).await else {
                return;
            };
            let address = backend(outer.get_ref().1.alpn_protocol());
            let Ok(mut inner) = TcpStream::connect(address).await else {
                return;
            };
            let _ = tokio::io::copy_bidirectional(&mut outer, &mut inner).await;
        }
    })
}

impl Gate {
    /// A TLS connection that trusts `certificate`; an error where the gate shows another one.
    pub(crate) async fn tls(
        &self,
        certificate: &Certificate,
        alpn: &[&str],
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let address = self.tls.expect("a listener with TLS");
        let socket = TcpStream::connect(address).await?;
        let name = ServerName::try_from("gate.test").expect("a name");
        certificate.client(alpn).connect(name, socket).await
    }
}
