//! Certificates: how processes of a cluster prove to each other that one authority has signed both, and encrypt.
//!
//! A process has two files in PEM: its certificates with their private key, and the certificates of the authorities
//! that it trusts. Inside of a cluster both sides of a connection prove themselves, and names don't matter: that the
//! same authority signed is what makes two processes belong together, as in Flink. TLS 1.3, and nothing older.

use flinkrs_core::error::{Error, Result};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::version::TLS13;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, InconsistentKeys, RootCertStore, ServerConfig,
    SignatureScheme,
};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The name that processes of a cluster ask for; which name a certificate is for is not looked at.
const NAME: &str = "flinkrs";

/// The files of a process of the cluster (`security.ssl.internal.keystore` and `.truststore`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsFiles {
    /// Its certificate, those between it and the authority, and its private key.
    pub keystore: PathBuf,
    /// The authorities that sign certificates of the cluster.
    pub truststore: PathBuf,
}

/// What a process of the cluster proves itself with, and asks of others.
#[derive(Clone)]
pub struct Tls {
    /// Where it comes from.
    pub files: TlsFiles,
    /// For connections that this process makes.
    pub client: Arc<ClientConfig>,
    /// For connections that others make.
    pub server: Arc<ServerConfig>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tls({:?})", self.files)
    }
}

impl Tls {
    /// Reads the files.
    ///
    /// Errors when one can't be read or others may read the key, when they don't hold what they should, when the key
    /// isn't the certificate's, and when the certificate has expired or isn't signed by an authority of the truststore.
    pub fn read(files: TlsFiles) -> Result<Tls> {
        let keys = Keys::read(&files.keystore, "security.ssl.internal.keystore")?;
        let trust = Trust::read(&files.truststore, "security.ssl.internal.truststore")?;
        keys.check_signed_by(&trust)?;
        let failed = |error: rustls::Error| keys.error(&error);
        let names = WebPkiServerVerifier::builder_with_provider(Arc::clone(&trust.roots), provider());
        let verifier = AnyName(names.build().map_err(|error| trust.error(&error))?);
        let client = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])
            .map_err(failed)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_auth_cert(keys.chain.clone(), keys.key.clone_key())
            .map_err(failed)?;
        let server = keys.server(Some(&trust))?;
        Ok(Tls { files, client: Arc::new(client), server: Arc::new(server) })
    }

    /// The name to ask for when a connection is made.
    pub fn name() -> ServerName<'static> {
        ServerName::try_from(NAME).expect("it is a name")
    }
}

/// What the REST interface proves itself with, and what it asks of clients if `truststore` is set.
///
/// Errors as [`Tls::read`] does.
pub fn of_rest(keystore: &Path, truststore: Option<&Path>) -> Result<Arc<ServerConfig>> {
    let keys = Keys::read(keystore, "security.ssl.rest.keystore")?;
    keys.check_time()?;
    let trust = truststore.map(|path| Trust::read(path, "security.ssl.rest.truststore")).transpose()?;
    Ok(Arc::new(keys.server(trust.as_ref())?))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// Certificates of this process and their key.
struct Keys {
    file: String,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Keys {
    fn read(path: &Path, option: &str) -> Result<Keys> {
        let (bytes, file) = read(path, option)?;
        let mode = fs::metadata(path).map_err(|error| Error::io("read", path, error))?.permissions().mode();
        if mode & 0o077 != 0 {
            let (mode, path) = (mode & 0o777, path.display());
            return Err(Error::usage(format!(
                "{file} has a private key and may be read by others (mode {mode:03o}); `chmod 600 {path}` changes that"
            )));
        }
        let chain = certificates(&bytes, &file)?;
        let key = PrivateKeyDer::from_pem_slice(&bytes)
            .map_err(|error| Error::usage(format!("{file} has no private key in PEM: {error}")))?;
        Ok(Keys { file, chain, key })
    }

    /// For connections that others make, who prove themselves if `trust` says by whom.
    fn server(&self, trust: Option<&Trust>) -> Result<ServerConfig> {
        let failed = |error: rustls::Error| self.error(&error);
        let config =
            ServerConfig::builder_with_provider(provider()).with_protocol_versions(&[&TLS13]).map_err(failed)?;
        let config = match trust {
            Some(trust) => {
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::clone(&trust.roots), provider());
                config.with_client_cert_verifier(verifier.build().map_err(|error| trust.error(&error))?)
            }
            None => config.with_no_client_auth(),
        };
        config.with_single_cert(self.chain.clone(), self.key.clone_key()).map_err(failed)
    }

    /// Whether others, who trust the same authorities, will accept the certificate.
    fn check_signed_by(&self, trust: &Trust) -> Result<()> {
        // An authority may have the name of another.
        self.verify(&trust.roots).map_err(|error| match &error {
            rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => {
                Error::usage(format!("the certificate in {} is signed by no authority in {}", self.file, trust.file))
            }
            _ => self.error(&error),
        })
    }

    /// Whether the certificate is valid now, whoever has signed it.
    fn check_time(&self) -> Result<()> {
        use CertificateError::{Expired, ExpiredContext, NotValidYet, NotValidYetContext};
        let mut own = RootCertStore::empty();
        own.add(self.chain[0].clone()).map_err(|error| self.error(&error))?;
        match self.verify(&Arc::new(own)) {
            Err(
                error @ rustls::Error::InvalidCertificate(
                    Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. },
                ),
            ) => Err(self.error(&error)),
            _ => Ok(()),
        }
    }

    fn verify(&self, roots: &Arc<RootCertStore>) -> Result<(), rustls::Error> {
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::clone(roots), provider());
        let verifier = verifier.build().map_err(|error| rustls::Error::General(error.to_string()))?;
        verifier.verify_client_cert(&self.chain[0], &self.chain[1..], UnixTime::now()).map(drop)
    }

    fn error(&self, error: &rustls::Error) -> Error {
        use CertificateError::{Expired, ExpiredContext, NotValidYet, NotValidYetContext};
        let file = &self.file;
        Error::usage(match error {
            rustls::Error::InvalidCertificate(Expired | ExpiredContext { .. }) => {
                format!("the certificate in {file} has expired")
            }
            rustls::Error::InvalidCertificate(NotValidYet | NotValidYetContext { .. }) => {
                format!("the certificate in {file} isn't valid yet; the clock may be wrong")
            }
            rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                format!("the private key in {file} isn't that of the certificate there")
            }
            other => format!("{file} can't be used: {other}"),
        })
    }
}

/// Authorities that are trusted.
struct Trust {
    file: String,
    roots: Arc<RootCertStore>,
}

impl Trust {
    fn read(path: &Path, option: &str) -> Result<Trust> {
        let (bytes, file) = read(path, option)?;
        let mut roots = RootCertStore::empty();
        for certificate in certificates(&bytes, &file)? {
            roots.add(certificate).map_err(|error| Error::usage(format!("{file} can't be used: {error}")))?;
        }
        Ok(Trust { file, roots: Arc::new(roots) })
    }

    fn error(&self, error: &dyn fmt::Display) -> Error {
        Error::usage(format!("{} can't be used: {error}", self.file))
    }
}

/// A file's bytes, and what messages call it.
fn read(path: &Path, option: &str) -> Result<(Vec<u8>, String)> {
    let file = format!("{} (option {option})", path.display());
    let bytes = fs::read(path).map_err(|error| Error::io("read", &file, error))?;
    Ok((bytes, file))
}

fn certificates(bytes: &[u8], file: &str) -> Result<Vec<CertificateDer<'static>>> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(bytes).collect();
    let found = found.map_err(|error| Error::usage(format!("{file} is no PEM: {error}")))?;
    if found.is_empty() {
        return Err(Error::usage(format!("{file} has no certificate in PEM")));
    }
    Ok(found)
}

/// Accepts what an authority has signed, whichever name it is for.
#[derive(Debug)]
struct AnyName(Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        use CertificateError::{NotValidForName, NotValidForNameContext};
        match self.0.verify_server_cert(certificate, between, name, ocsp, now) {
            // The name is looked at last: all else is right.
            Err(rustls::Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. })) => {
                Ok(ServerCertVerified::assertion())
            }
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests;
