//! The cluster's secret, and proofs that a caller has it.
//!
//! Whoever can submit a job can run code. So a cluster may have a secret, and with each call comes a proof: a keyed
//! hash of the moment and a random number, never the secret itself. A proof is good for a minute.

use flinkrs_core::error::{Error, Result};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use tonic::metadata::MetadataValue;
use tonic::service::Interceptor;
use tonic::{Request, Status};

/// The header that a proof comes in.
const HEADER: &str = "x-flinkrs-proof";

/// How old a proof may be, in seconds, and by how much the clocks of two machines may differ.
const PROOF_SECONDS: u64 = 60;

/// The fewest characters of a secret in a file.
const LEAST_CHARACTERS: usize = 16;

/// A secret that all processes of a cluster share; never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<[u8]>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Secret {
    /// A secret from bytes.
    pub fn new(bytes: &[u8]) -> Secret {
        Secret(Arc::from(bytes))
    }

    /// A secret nobody knows yet: 32 random bytes.
    pub fn random() -> Secret {
        Secret::new(&random_bytes::<32>())
    }

    /// The first line of a file.
    ///
    /// Errors when the file can't be read, when others may read it, or when the line is too short to be a secret.
    pub fn from_file(path: &Path) -> Result<Secret> {
        let metadata = std::fs::metadata(path).map_err(|error| Error::io("read", path, error))?;
        let mode = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions());
        let shown = path.display();
        if mode & 0o077 != 0 {
            return Err(Error::usage(format!(
                "secret file {shown} may be read by others (mode {:03o}); `chmod 600 {shown}` changes that",
                mode & 0o777
            )));
        }
        let text = std::fs::read_to_string(path).map_err(|error| Error::io("read", path, error))?;
        let line = text.lines().next().unwrap_or_default().trim();
        if line.len() < LEAST_CHARACTERS {
            return Err(Error::usage(format!(
                "the first line of secret file {shown} has {} characters; a secret has at least {LEAST_CHARACTERS}",
                line.len()
            )));
        }
        Ok(Secret::new(line.as_bytes()))
    }

    /// The bytes, for whoever proves that it has them.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether `given` is this secret; takes as long for any that isn't.
    pub fn is(&self, given: &[u8]) -> bool {
        // Digests under a key that nobody knows say nothing about what differs.
        let key = Secret::random();
        let (mut own, mut other) = (key.mac(), key.mac());
        own.update(&self.0);
        other.update(given);
        own.verify_slice(&other.finalize().into_bytes()).is_ok()
    }

    /// A secret that follows from this one and a purpose, and from which this one doesn't follow.
    #[must_use]
    pub fn derive(&self, purpose: &str) -> Secret {
        let mut mac = self.mac();
        mac.update(purpose.as_bytes());
        Secret::new(&mac.finalize().into_bytes())
    }

    fn mac(&self) -> Hmac<Sha256> {
        Hmac::new_from_slice(&self.0).expect("a key of any length will do")
    }

    fn prove(&self, seconds: u64, nonce: u64) -> String {
        let mut mac = self.mac();
        mac.update(format!("{seconds}:{nonce}").as_bytes());
        let digits: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{seconds}:{nonce}:{digits}")
    }

    /// Whether `proof` was made with this secret, within the last minute.
    fn accepts(&self, proof: &str, now: u64) -> bool {
        let mut parts = proof.splitn(3, ':');
        let (Some(seconds), Some(nonce), Some(digits)) = (parts.next(), parts.next(), parts.next()) else {
            return false;
        };
        let recent = seconds.parse::<u64>().is_ok_and(|seconds| now.abs_diff(seconds) <= PROOF_SECONDS);
        let bytes = (0..digits.len() / 2).map(|i| u8::from_str_radix(digits.get(2 * i..2 * i + 2)?, 16).ok());
        let Some(bytes) = bytes.collect::<Option<Vec<u8>>>() else { return false };
        let mut mac = self.mac();
        mac.update(format!("{seconds}:{nonce}").as_bytes());
        recent && mac.verify_slice(&bytes).is_ok()
    }
}

/// Random bytes of the operating system.
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system has random numbers");
    bytes
}

fn now_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Adds a proof to each call, if there is a secret.
#[derive(Clone, Debug)]
pub struct Prove(pub Option<Secret>);

impl Interceptor for Prove {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(secret) = &self.0 {
            let proof = secret.prove(now_seconds(), u64::from_ne_bytes(random_bytes()));
            let value = MetadataValue::try_from(proof).map_err(|_| Status::internal("a proof that is no header"))?;
            request.metadata_mut().insert(HEADER, value);
        }
        Ok(request)
    }
}

/// Refuses calls without a proof, if there is a secret.
#[derive(Clone, Debug)]
pub struct Check(pub Option<Secret>);

impl Interceptor for Check {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        let Some(secret) = &self.0 else { return Ok(request) };
        let proof = request.metadata().get(HEADER).and_then(|value| value.to_str().ok());
        match proof {
            Some(proof) if secret.accepts(proof, now_seconds()) => Ok(request),
            Some(_) => Err(Status::unauthenticated("the cluster's secret is another one, or the clocks differ")),
            None => Err(Status::unauthenticated("the cluster demands a secret (option security.cluster-secret-file)")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_proof_is_accepted_for_a_minute_and_by_the_same_secret_only() {
        let secret = Secret::random();
        let proof = secret.prove(1000, 7);
        assert!(secret.accepts(&proof, 1000) && secret.accepts(&proof, 1060) && secret.accepts(&proof, 940));
        assert!(!secret.accepts(&proof, 1061) && !secret.accepts(&proof, 939));
        assert!(!Secret::random().accepts(&proof, 1000));
        assert!(!secret.accepts(&proof.replacen("1000", "1001", 1), 1000));
        for wrong in ["", "::", "1000:7:", "1000:7:zz", "1000:7:é", &proof[..proof.len() - 1], &format!("{proof}00")] {
            assert!(!secret.accepts(wrong, 1000), "{wrong}");
        }
    }

    #[test]
    fn a_derived_secret_is_another_for_each_purpose() {
        let secret = Secret::new(b"0123456789abcdef");
        assert_eq!(secret.derive("a"), secret.derive("a"));
        assert_ne!(secret.derive("a"), secret.derive("b"));
        assert_ne!(secret.derive("a"), secret);
        assert_eq!(format!("{secret:?}"), "Secret(…)");
    }

    #[test]
    fn a_secret_file_has_to_be_long_and_the_owner_s() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("secret");
        let write = |text: &str, mode| {
            std::fs::write(&path, text).expect("writes");
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("sets");
            Secret::from_file(&path)
        };
        assert_eq!(write("0123456789abcdef\nmore", 0o600).expect("is one"), Secret::new(b"0123456789abcdef"));
        assert!(write("short", 0o600).expect_err("too short").to_string().contains("has 5 characters"));
        let open = write("0123456789abcdef", 0o640).expect_err("open to others").to_string();
        assert!(open.contains("may be read by others (mode 640)"), "{open}");
    }
}
