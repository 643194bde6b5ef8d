//! TLS: certificate and key from files, replaced while running.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::TlsFiles;

/// The certificate in force. Clones share it.
#[derive(Clone, Default)]
pub struct Certificates(Arc<ArcSwapOption<ServerConfig>>);

/// Why certificate and key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or holds no PEM of the kind that is needed.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: rustls_pki_types::pem::Error,
    },
    /// The certificate file holds no certificate.
    #[error("{}: there is no certificate in it", .0.display())]
    Empty(PathBuf),
    /// The two do not belong together, or the key is of a kind that is not supported.
    #[error("certificate and key cannot be used: {0}")]
    Unusable(#[from] rustls::Error),
}

impl From<TlsError> for io::Error {
    fn from(error: TlsError) -> Self {
        Self::other(error)
    }
}

impl Certificates {
    /// No TLS.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Reads `files` and puts them in force for connections that come from now on.
    ///
    /// # Errors
    ///
    /// A [`TlsError`]; the certificate in force stays.
    pub fn load(&self, files: &TlsFiles) -> Result<(), TlsError> {
        self.0.store(Some(Arc::new(server_config(files)?)));
        Ok(())
    }

    /// Puts the certificate of `other` in force.
    pub fn replace_with(&self, other: &Self) {
        self.0.store(other.current());
    }

    pub(super) fn current(&self) -> Option<Arc<ServerConfig>> {
        self.0.load_full()
    }
}

fn server_config(files: &TlsFiles) -> Result<ServerConfig, TlsError> {
    let unreadable = |path: &PathBuf| {
        let path = path.clone();
        move |source| TlsError::File { path, source }
    };
    let chain = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(unreadable(&files.certificate))?;
    if chain.is_empty() {
        return Err(TlsError::Empty(files.certificate.clone()));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(unreadable(&files.key))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    // Tickets spare returning clients a full handshake, and us a table of sessions.
    config.ticketer = aws_lc_rs::Ticketer::new()?;
    Ok(config)
}
