//! Files that don't fit, each named with what is wrong about it.

use super::*;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use tempfile::TempDir;

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority")
}

/// A certificate, valid until a year, and its key, in PEM.
fn signed(by: &Authority, year: i32) -> (String, String) {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(vec!["some.host".to_owned()]).expect("a name");
    params.not_after = date_time_ymd(year, 1, 1);
    (params.signed_by(&key, by).expect("is signed").pem(), key.serialize_pem())
}

struct Files(TempDir);

impl Files {
    fn put(&self, name: &str, content: &str) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, content).expect("writes");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("sets");
        path
    }
}

#[test]
fn what_is_wrong_with_files_is_said_by_file_and_option() {
    let files = Files(tempfile::tempdir().expect("a folder"));
    let (ours, theirs) = (authority(), authority());
    let (certificate, key) = signed(&ours, 4000);
    let (expired, key_of_expired) = signed(&ours, 2001);
    let truststore = files.put("trust", &ours.pem());
    let other = files.put("other", &theirs.pem());
    let good = files.put("good", &format!("{certificate}{key}"));
    let refusal = |keystore: &Path, truststore: &Path| {
        let files = TlsFiles { keystore: keystore.to_owned(), truststore: truststore.to_owned() };
        let error = Tls::read(files).map(drop).expect_err("is refused");
        assert!(!error.to_string().contains("PRIVATE"), "{error}");
        (error.exit_code(), error.to_string())
    };
    Tls::read(TlsFiles { keystore: good.clone(), truststore: truststore.clone() }).expect("all is well");
    of_rest(&good, Some(&other)).expect("who signs for clients is another question");
    let of = |path: &Path| format!("{} (option security.ssl.internal.keystore)", path.display());
    let missing = files.0.path().join("missing");
    let (code, said) = refusal(&missing, &truststore);
    assert_eq!((code, said.contains(&format!("cannot read {}: No such file", of(&missing)))), (3, true), "{said}");
    for (content, what) in [
        (String::new(), "has no certificate in PEM"),
        (certificate.clone(), "has no private key in PEM"),
        (format!("{certificate}{key_of_expired}"), "isn't that of the certificate there"),
        (format!("{expired}{key_of_expired}"), "has expired"),
        ("-----BEGIN CERTIFICATE-----\n?\n-----END CERTIFICATE-----\n".to_owned(), "is no PEM"),
    ] {
        let keystore = files.put("wrong", &content);
        let (code, said) = refusal(&keystore, &truststore);
        assert!(code == 2 && said.contains(&of(&keystore)) && said.contains(what), "{what}: {said}");
    }
    let (_, said) = refusal(&good, &other);
    assert!(
        said.contains("is signed by no authority in") && said.contains("security.ssl.internal.truststore"),
        "{said}"
    );
    fs::set_permissions(&good, fs::Permissions::from_mode(0o644)).expect("sets");
    let (_, said) = refusal(&good, &truststore);
    assert!(said.contains("may be read by others (mode 644); `chmod 600"), "{said}");
    let expired = files.put("expired", &format!("{expired}{key_of_expired}"));
    let said = of_rest(&expired, None).map(drop).expect_err("is refused").to_string();
    assert!(said.contains("(option security.ssl.rest.keystore) has expired"), "{said}");
}
