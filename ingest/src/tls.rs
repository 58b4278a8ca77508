//! The second listener, for consoles that speak HTTPS only.
//!
//! The certificate is read again when its files have changed, so that whoever renews it need not restart
//! ingest; one that can't be used is told once, and the one before it stays.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use anyhow::{Context, bail};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert, ServerConfig};
use rustls::sign::CertifiedKey;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// Settings of the HTTPS listener.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Settings {
    /// Address of the same doors over HTTPS (TLS 1.2 and 1.3); without it there is none.
    #[arg(long, env = "WEATHERGLASS_TLS_LISTEN", value_name = "ADDRESS")]
    pub tls_listen: Option<SocketAddr>,
    /// PEM file of the certificate and those between it and its root.
    #[arg(long, env = "WEATHERGLASS_TLS_CERTIFICATE", value_name = "FILE")]
    pub tls_certificate: Option<PathBuf>,
    /// PEM file of its key.
    #[arg(long, env = "WEATHERGLASS_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
    /// Seconds between looks whether these files have changed.
    #[arg(long, env = "WEATHERGLASS_TLS_RELOAD", default_value_t = 60, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub tls_reload: u64,
}

/// What makes a connection a secure one. Clones share the certificate.
#[derive(Clone)]
pub(crate) struct Tls {
    acceptor: TlsAcceptor,
    certificate: Arc<Certificate>,
}

/// Where the certificate is, and what was read there last.
#[derive(Debug)]
struct Certificate {
    files: [PathBuf; 2],
    current: RwLock<Arc<CertifiedKey>>,
    /// Digest of both files.
    seen: RwLock<[u8; 32]>,
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl Tls {
    /// Listens as the settings say; none when they name no address.
    ///
    /// # Errors
    /// In one line that names the setting: when a file is not named, can't be read, holds something else,
    /// or the key is of another certificate; or the address is taken.
    pub(crate) async fn open(settings: &Settings) -> anyhow::Result<Option<(TcpListener, Self)>> {
        let Some(address) = settings.tls_listen else { return Ok(None) };
        let (Some(certificate), Some(key)) = (&settings.tls_certificate, &settings.tls_key) else {
            bail!("WEATHERGLASS_TLS_LISTEN {address} needs WEATHERGLASS_TLS_CERTIFICATE and WEATHERGLASS_TLS_KEY");
        };
        let files = [certificate.clone(), key.clone()];
        let seen = digest(&files).await?;
        let certificate =
            Arc::new(Certificate { current: RwLock::new(Arc::new(load(&files)?)), seen: RwLock::new(seen), files });
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS12, &rustls::version::TLS13])
            .context("TLS can't be set up")?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&certificate) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let listener = TcpListener::bind(address).await.with_context(|| {
            format!("can't listen on {address}: stop what does, or set WEATHERGLASS_TLS_LISTEN to another address")
        })?;
        info!(address = %listener.local_addr()?, "ingest listens for HTTPS");
        Ok(Some((listener, Self { acceptor: TlsAcceptor::from(Arc::new(config)), certificate })))
    }

    /// Shakes hands.
    pub(crate) async fn accept<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S) -> io::Result<TlsStream<S>> {
        self.acceptor.accept(stream).await
    }

    /// Looks again and again whether the files have changed, until `shutdown`.
    pub(crate) async fn watch(self, pause: Duration, shutdown: CancellationToken) -> anyhow::Result<()> {
        loop {
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = shutdown.cancelled() => return Ok(()),
            }
            match self.certificate.look().await {
                Ok(true) => info!("the new certificate is used from now on"),
                Ok(false) => {}
                Err(error) => warn!("the certificate before it is still used: {error:#}"),
            }
        }
    }
}

impl Certificate {
    /// Whether there is another certificate now. What can't be used is told once.
    async fn look(&self) -> anyhow::Result<bool> {
        // Away for a moment, while somebody puts the next one there: unreadable files are no change.
        let Ok(now) = digest(&self.files).await else { return Ok(false) };
        {
            let mut seen = self.seen.write().unwrap_or_else(PoisonError::into_inner);
            if *seen == now {
                return Ok(false);
            }
            *seen = now;
        }
        let key = Arc::new(load(&self.files)?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = key;
        Ok(true)
    }
}

async fn digest(files: &[PathBuf; 2]) -> anyhow::Result<[u8; 32]> {
    let mut digest = Sha256::new();
    for (file, setting) in files.iter().zip(SETTINGS) {
        let bytes = tokio::fs::read(file).await.with_context(|| format!("{setting} {}", file.display()))?;
        digest.update(Sha256::digest(&bytes));
    }
    Ok(digest.finalize().into())
}

const SETTINGS: [&str; 2] = ["WEATHERGLASS_TLS_CERTIFICATE", "WEATHERGLASS_TLS_KEY"];

fn load([certificate, key]: &[PathBuf; 2]) -> anyhow::Result<CertifiedKey> {
    let named = |setting, file: &Path| format!("{setting} {}", file.display());
    let first = || named(SETTINGS[0], certificate);
    let second = || named(SETTINGS[1], key);
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .map_err(|error| anyhow::anyhow!("{}: it is no PEM file of a certificate ({error})", first()))?;
    if chain.is_empty() {
        bail!("{}: it holds no certificate", first());
    }
    let private = PrivateKeyDer::from_pem_file(key)
        .map_err(|error| anyhow::anyhow!("{}: it holds no PEM key ({error})", second()))?;
    let signing = ring::sign::any_supported_type(&private)
        .map_err(|error| anyhow::anyhow!("{}: it is no key that can be used ({error})", second()))?;
    let certified = CertifiedKey::new(chain, signing);
    match certified.keys_match() {
        Ok(()) => Ok(certified),
        Err(error) => Err(anyhow::anyhow!("{}: it is not the key of {} ({error})", second(), certificate.display())),
    }
}
