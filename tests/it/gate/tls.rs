//! Certificates for a test, and clients that trust them.

use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::Gate;

/// A self-signed certificate for `gate.test`.
pub(crate) struct Certificate {
    pub(crate) chain: String,
    pub(crate) key: String,
}

impl Certificate {
    /// Makes one.
    pub(crate) fn new() -> Self {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["gate.test".to_owned()]).expect("a certificate");
        Self {
            chain: cert.pem(),
            key: signing_key.serialize_pem(),
        }
    }

    /// The certificate as it goes over the wire.
    pub(crate) fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.chain.as_bytes()).expect("PEM")
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
