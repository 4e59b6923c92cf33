//! Tokens, and the files in which YARN hands them to containers.

use super::proto::common::{CredentialsKvProto, CredentialsProto, TokenProto};
use super::writable::{put_bytes, put_vlong, take_bytes, take_vlong};
use crate::error::{Error, Result};
use prost::Message;
use std::collections::BTreeMap;
use std::fmt;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The environment variable with the path of a container's token file.
pub const TOKEN_FILE: &str = "HADOOP_TOKEN_FILE_LOCATION";

/// What YARN's token for an ApplicationMaster is called.
pub(crate) const MASTER_KIND: &str = "YARN_AM_RM_TOKEN";

/// The first bytes of a token file.
const MAGIC: &[u8; 4] = b"HDTS";

/// What proves to a server who one is: a public identifier, and the password that belongs to it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// What the server knows the token by.
    pub identifier: Vec<u8>,
    /// The secret.
    pub password: Vec<u8>,
    /// What it is for, such as `YARN_AM_RM_TOKEN` or `NMToken`.
    pub kind: String,
    /// Which server it is for, mostly as `host:port`; may be empty.
    pub service: String,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Token { identifier, kind, service, .. } = self;
        write!(f, "Token({kind} for '{service}', identifier of {} bytes)", identifier.len())
    }
}

impl From<TokenProto> for Token {
    fn from(token: TokenProto) -> Token {
        let TokenProto { identifier, password, kind, service } = token;
        Token { identifier, password, kind, service }
    }
}

impl From<Token> for TokenProto {
    fn from(token: Token) -> TokenProto {
        let Token { identifier, password, kind, service } = token;
        TokenProto { identifier, password, kind, service }
    }
}

/// A token in a file of tokens, which may be replaced by a newer one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenFile {
    /// The file.
    pub path: PathBuf,
    /// What the token is for.
    pub kind: String,
    /// Which server it is for.
    pub service: String,
}

impl TokenFile {
    /// The token that is there now.
    ///
    /// # Errors
    /// When the file can't be read, or has none for this server.
    pub fn read(&self) -> Result<Token> {
        Credentials::load(&self.path)?.token(&self.kind, Some(&self.service)).cloned()
    }
}

/// How a token file is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Version 0: Hadoop's own serialization. What YARN writes and expects.
    Writable,
    /// Version 1: protobuf.
    Protobuf,
}

/// Tokens and other secrets, each under a name.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    /// The tokens. YARN's token for an ApplicationMaster has the empty name.
    pub tokens: BTreeMap<String, Token>,
    /// Secrets that mean nothing to Hadoop.
    pub secrets: BTreeMap<String, Vec<u8>>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secrets: Vec<&String> = self.secrets.keys().collect();
        f.debug_struct("Credentials").field("tokens", &self.tokens).field("secrets", &secrets).finish()
    }
}

impl Credentials {
    /// Reads a token file.
    pub fn load(path: &Path) -> Result<Credentials> {
        let bytes = std::fs::read(path).map_err(|error| Error::file("read", path, error))?;
        Credentials::decode(&bytes).map_err(|error| token_error(format!("{}: {error}", path.display())))
    }

    /// Writes a token file that only its owner may read. It must not exist.
    pub fn store(&self, path: &Path, format: Format) -> Result<()> {
        let open = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        let written = open.and_then(|mut file| file.write_all(&self.encode(format)));
        written.map_err(|error| Error::file("write", path, error))
    }

    /// Puts a token file in the place of another one, so that whoever reads finds either.
    pub fn replace(&self, path: &Path, format: Format) -> Result<()> {
        let new = path.with_extension("new");
        match std::fs::remove_file(&new) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::file("remove", &new, error));
            }
            _ => self.store(&new, format)?,
        }
        std::fs::rename(&new, path).map_err(|error| Error::file("rename", &new, error))
    }

    /// The token of a kind, for a service if one is given.
    ///
    /// # Errors
    /// When there is none; the message lists those that there are.
    pub fn token(&self, kind: &str, service: Option<&str>) -> Result<&Token> {
        let fits = |token: &&Token| token.kind == kind && service.is_none_or(|service| token.service == service);
        self.tokens.values().find(fits).ok_or_else(|| {
            let others: Vec<String> = self.tokens.values().map(|token| format!("{token:?}")).collect();
            let service = service.map(|service| format!(" for {service}")).unwrap_or_default();
            token_error(format!("there is no {kind}{service} among the tokens [{}]", others.join(", ")))
        })
    }

    /// The tokens that may be handed on: all but the one that makes an ApplicationMaster what it is.
    pub fn tokens_for_others(&self) -> BTreeMap<String, Token> {
        let others = self.tokens.iter().filter(|(_, token)| token.kind != MASTER_KIND);
        others.map(|(alias, token)| (alias.clone(), token.clone())).collect()
    }

    /// The bytes of a token file, as launch contexts carry them too.
    pub fn encode(&self, format: Format) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        match format {
            Format::Writable => {
                out.push(0);
                self.put_writable(&mut out);
            }
            Format::Protobuf => {
                out.push(1);
                out.extend(self.to_proto().encode_length_delimited_to_vec());
            }
        }
        out
    }

    /// Reads the bytes of a token file of either version.
    pub fn decode(bytes: &[u8]) -> Result<Credentials> {
        let wrong = |what: &str| token_error(format!("not a token file: {what}"));
        let rest = bytes.strip_prefix(MAGIC).ok_or_else(|| wrong("it doesn't begin with HDTS"))?;
        match rest.split_first() {
            Some((0, mut rest)) => take_credentials(&mut rest).ok_or_else(|| wrong("it ends too early, or is no text")),
            Some((1, rest)) => CredentialsProto::decode_length_delimited(rest)
                .map(Credentials::from_proto)
                .map_err(|error| wrong(&error.to_string())),
            Some((version, _)) => Err(wrong(&format!("its version is {version}; 0 and 1 are known"))),
            None => Err(wrong("it ends before its version")),
        }
    }

    fn put_writable(&self, out: &mut Vec<u8>) {
        put_vlong(out, self.tokens.len() as i64);
        for (alias, token) in &self.tokens {
            let parts = [alias.as_bytes(), &token.identifier, &token.password];
            parts.iter().for_each(|part| put_bytes(out, part));
            put_bytes(out, token.kind.as_bytes());
            put_bytes(out, token.service.as_bytes());
        }
        put_vlong(out, self.secrets.len() as i64);
        for (alias, secret) in &self.secrets {
            put_bytes(out, alias.as_bytes());
            put_bytes(out, secret);
        }
    }

    fn to_proto(&self) -> CredentialsProto {
        let token = |(alias, token): (&String, &Token)| CredentialsKvProto {
            alias: alias.clone(),
            token: Some(token.clone().into()),
            secret: None,
        };
        let secret = |(alias, secret): (&String, &Vec<u8>)| CredentialsKvProto {
            alias: alias.clone(),
            token: None,
            secret: Some(secret.clone()),
        };
        CredentialsProto {
            tokens: self.tokens.iter().map(token).collect(),
            secrets: self.secrets.iter().map(secret).collect(),
        }
    }

    fn from_proto(proto: CredentialsProto) -> Credentials {
        let tokens = proto.tokens.into_iter().filter_map(|entry| Some((entry.alias, entry.token?.into()))).collect();
        let secrets = proto.secrets.into_iter().filter_map(|entry| Some((entry.alias, entry.secret?))).collect();
        Credentials { tokens, secrets }
    }
}

fn token_error(message: String) -> Error {
    Error::Token { message }
}

/// Reads version 0; a count may be a lie, so nothing is reserved for it.
fn take_credentials(input: &mut &[u8]) -> Option<Credentials> {
    let mut found = Credentials::default();
    for _ in 0..take_vlong(input)? {
        let alias = take_text(input)?;
        let (identifier, password) = (take_bytes(input)?.to_vec(), take_bytes(input)?.to_vec());
        let (kind, service) = (take_text(input)?, take_text(input)?);
        found.tokens.insert(alias, Token { identifier, password, kind, service });
    }
    for _ in 0..take_vlong(input)? {
        let alias = take_text(input)?;
        found.secrets.insert(alias, take_bytes(input)?.to_vec());
    }
    Some(found)
}

fn take_text(input: &mut &[u8]) -> Option<String> {
    String::from_utf8(take_bytes(input)?.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::{btree_map, vec};
    use proptest::prelude::*;

    fn credentials() -> impl Strategy<Value = Credentials> {
        let bytes = || vec(any::<u8>(), 0..200);
        let token = (bytes(), bytes(), ".{0,20}", ".{0,20}").prop_map(|(identifier, password, kind, service)| Token {
            identifier,
            password,
            kind,
            service,
        });
        (btree_map(".{0,200}", token, 0..5), btree_map(".{0,20}", bytes(), 0..5))
            .prop_map(|(tokens, secrets)| Credentials { tokens, secrets })
    }

    proptest! {
        #[test]
        fn both_versions_come_back(credentials in credentials()) {
            for format in [Format::Writable, Format::Protobuf] {
                let bytes = credentials.encode(format);
                prop_assert_eq!(&Credentials::decode(&bytes).unwrap(), &credentials);
                prop_assert!(Credentials::decode(&bytes[..bytes.len() - 1]).is_err());
            }
        }

        #[test]
        fn any_bytes_are_an_error_or_credentials(version in 0u8..3, bytes: Vec<u8>) {
            let _ = Credentials::decode(&[&MAGIC[..], &[version], &bytes].concat());
        }
    }

    /// What `Credentials.writeTokenStorageFile` of Hadoop 3.4.2 wrote, by `testdata/WriteTokens.java`.
    #[test]
    fn files_of_hadoop_are_read_and_written_alike() {
        let token = |identifier: &[u8], password: &[u8], kind: &str, service: &str| Token {
            identifier: identifier.to_vec(),
            password: password.to_vec(),
            kind: kind.to_owned(),
            service: service.to_owned(),
        };
        let long: Vec<u8> = (0..300).map(|i| i as u8).collect();
        let mut expected = Credentials::default();
        expected.tokens.insert(String::new(), token(b"id", b"password", "YARN_AM_RM_TOKEN", ""));
        expected.tokens.insert("nm".to_owned(), token(&long, &long[..200], "NMToken", "127.0.0.1:8041"));
        expected.secrets.insert("geheim-ä".to_owned(), b"secret".to_vec());
        let files: [(&[u8], Format); 2] = [
            (include_bytes!("../testdata/tokens.v0"), Format::Writable),
            (include_bytes!("../testdata/tokens.v1"), Format::Protobuf),
        ];
        for (bytes, format) in files {
            assert_eq!(Credentials::decode(bytes).unwrap(), expected, "{format:?}");
            assert_eq!(expected.encode(format).len(), bytes.len(), "{format:?}");
        }
    }

    #[test]
    fn files_are_private_and_a_missing_token_is_named() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens");
        let mut credentials = Credentials::default();
        let token = Token { identifier: vec![1], password: vec![2], kind: "A".to_owned(), service: "h:1".to_owned() };
        credentials.tokens.insert("a".to_owned(), token);
        credentials.secrets.insert("b".to_owned(), vec![201, 202]);
        let shown = format!("{credentials:?}");
        assert!(shown.contains("\"b\"") && !shown.contains("201"), "{shown}");
        credentials.store(&path, Format::Writable).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(Credentials::load(&path).unwrap(), credentials);
        assert!(credentials.token("A", Some("h:1")).is_ok());
        let file = TokenFile { path: path.clone(), kind: "A".to_owned(), service: "h:1".to_owned() };
        for password in [3, 4] {
            credentials.tokens.get_mut("a").unwrap().password = vec![password];
            credentials.replace(&path, Format::Writable).unwrap();
            assert_eq!(file.read().unwrap().password, [password]);
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        let message = credentials.token("NMToken", Some("h:2")).unwrap_err().to_string();
        let expected = "there is no NMToken for h:2 among the tokens [Token(A for 'h:1', identifier of 1 bytes)]";
        assert_eq!(message, expected);
        std::fs::write(&path, "HDTS\u{7}").unwrap();
        let message = Credentials::load(&path).unwrap_err().to_string();
        assert!(message.ends_with("not a token file: its version is 7; 0 and 1 are known"), "{message}");
    }
}
