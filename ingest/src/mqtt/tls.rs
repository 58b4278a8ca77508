//! Whom we trust to be the broker, and who we say we are.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use rumqttc::{TlsConfiguration, Transport};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use super::settings::Broker;

/// The way to the broker.
///
/// # Errors
/// One line that names the field whose file can't be used.
pub(crate) fn transport(broker: &Broker) -> anyhow::Result<Transport> {
    if !broker.tls {
        return Ok(Transport::Tcp);
    }
    let mut roots = RootCertStore::empty();
    match &broker.ca_file {
        Some(file) => {
            for certificate in certificates("ca_file", file)? {
                roots.add(certificate).with_context(|| format!("ca_file {}", file.display()))?;
            }
        }
        None => {
            let (good, _) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if good == 0 {
                bail!("ca_file is missing, and this system trusts nobody: name the file of who vouches for the broker");
            }
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let config = config.with_root_certificates(roots);
    let config = match &broker.client_certificate {
        None => config.with_no_client_auth(),
        Some((certificate, key)) => {
            let key_name = || format!("client_key_file {}", key.display());
            let chain = certificates("client_certificate_file", certificate)?;
            let key = PrivateKeyDer::from_pem_file(key).with_context(key_name)?;
            config.with_client_auth_cert(chain, key).with_context(key_name)?
        }
    };
    Ok(Transport::Tls(TlsConfiguration::Rustls(Arc::new(config))))
}

fn certificates(field: &str, file: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let name = || format!("{field} {}", file.display());
    let read = CertificateDer::pem_file_iter(file).with_context(name)?;
    let all = read.collect::<Result<Vec<_>, _>>().with_context(name)?;
    if all.is_empty() {
        bail!("{}: there is no certificate in it: PEM, with BEGIN CERTIFICATE", name());
    }
    Ok(all)
}
