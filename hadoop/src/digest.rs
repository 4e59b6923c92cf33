//! DIGEST-MD5 (RFC 2831), by which Hadoop checks tokens, and its protection of what is sent afterwards.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use md5::{Digest, Md5};
use std::collections::BTreeMap;

/// How messages are protected once the login is done; in `hadoop.rpc.protection` they are called `authentication`,
/// `integrity` and `privacy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protection {
    /// Not at all.
    Auth,
    /// By a checksum that needs the key.
    Integrity,
    /// By that and encryption.
    Privacy,
}

impl Protection {
    pub(super) fn qop(self) -> &'static str {
        match self {
            Protection::Auth => "auth",
            Protection::Integrity => "auth-int",
            Protection::Privacy => "auth-conf",
        }
    }
}

/// The strongest of the ciphers that servers offer; Hadoop's offer it as long as Java has it.
const CIPHER: &str = "rc4";

/// What a checksum of a message adds to it: 10 bytes of HMAC, 2 of version, 4 of sequence number.
const CHECKSUM: usize = 10;
const TRAILER: usize = 6;

/// Who logs in, and where.
pub(super) struct Login<'a> {
    pub(super) user: &'a str,
    pub(super) password: &'a str,
    pub(super) protocol: &'a str,
    pub(super) server: &'a str,
    /// Fresh randomness as printable text.
    pub(super) client_nonce: &'a str,
}

/// The answer to a server's challenge, and what is needed to check the server in turn.
pub(super) struct Response {
    pub(super) text: String,
    pub(super) protection: Protection,
    session_key: [u8; 16],
    expected: String,
}

impl Login<'_> {
    /// A login by token: its identifier and its password in Base64 are user and password.
    pub(super) fn encode(bytes: &[u8]) -> String {
        BASE64.encode(bytes)
    }

    /// Answers a challenge with one of the `allowed` protections, the first that the server offers.
    pub(super) fn respond(&self, challenge: &[u8], allowed: &[Protection]) -> Result<Response, String> {
        let challenge = parse(challenge)?;
        let get = |key: &str| challenge.get(key).map(String::as_str);
        let nonce = get("nonce").ok_or("the challenge has no nonce")?;
        let realm = get("realm").unwrap_or_default();
        if get("algorithm").is_some_and(|algorithm| algorithm != "md5-sess") {
            return Err(format!("the algorithm '{}' isn't md5-sess", get("algorithm").unwrap_or_default()));
        }
        let offers = |list: &str, one: &str| list.split(',').any(|offered| offered.trim() == one);
        let qops = get("qop").unwrap_or("auth");
        let Some(protection) = allowed.iter().copied().find(|protection| offers(qops, protection.qop())) else {
            let wanted: Vec<_> = allowed.iter().map(|protection| protection.qop()).collect();
            let wanted = wanted.join(" or ");
            return Err(format!(
                "the server offers the protection '{qops}', and hadoop.rpc.protection asks for {wanted}"
            ));
        };
        let ciphers = get("cipher").unwrap_or_default();
        if protection == Protection::Privacy && !offers(ciphers, CIPHER) {
            return Err(format!("the server offers the ciphers '{ciphers}', and not {CIPHER}"));
        }
        let uri = format!("{}/{}", self.protocol, self.server);
        let session_key = self.session_key(realm, nonce);
        let proof = |verb: &str| self.proof(&session_key, nonce, &uri, protection, verb);
        let mut text = format!(
            "charset=utf-8,username=\"{}\",realm=\"{realm}\",nonce=\"{nonce}\",nc=00000001,cnonce=\"{}\",\
             digest-uri=\"{uri}\",maxbuf=65536,response={},qop={}",
            self.user,
            self.client_nonce,
            proof("AUTHENTICATE"),
            protection.qop()
        );
        if protection == Protection::Privacy {
            text += &format!(",cipher={CIPHER}");
        }
        Ok(Response { text, protection, expected: proof(""), session_key })
    }

    /// H(A1) of the RFC.
    fn session_key(&self, realm: &str, nonce: &str) -> [u8; 16] {
        let secret = md5(&[format!("{}:{realm}:{}", self.user, self.password).as_bytes()]);
        md5(&[&secret, format!(":{nonce}:{}", self.client_nonce).as_bytes()])
    }

    /// What proves to the other side that one knows the session key.
    fn proof(&self, session_key: &[u8], nonce: &str, uri: &str, protection: Protection, verb: &str) -> String {
        let zeros = if protection == Protection::Auth { String::new() } else { format!(":{}", "0".repeat(32)) };
        let a2 = hex(&md5(&[format!("{verb}:{uri}{zeros}").as_bytes()]));
        let (key, cnonce, qop) = (hex(session_key), self.client_nonce, protection.qop());
        hex(&md5(&[format!("{key}:{nonce}:00000001:{cnonce}:{qop}:{a2}").as_bytes()]))
    }
}

impl Response {
    /// Whether the server's last word proves that it knows the password too.
    pub(super) fn is_proof_of_server(&self, last: &[u8]) -> bool {
        parse(last).is_ok_and(|last| last.get("rspauth") == Some(&self.expected))
    }

    /// The last word of a server that knows the password.
    #[cfg(test)]
    pub(super) fn proof_of_server(&self) -> String {
        format!("rspauth={}", self.expected)
    }

    /// What the client seals its messages with, and opens those of the server; `None` without protection.
    pub(super) fn sealers(&self) -> Option<(Sealer, Sealer)> {
        let sealer = |direction: &str| {
            let key = |purpose: &str| md5(&[&self.session_key, purpose.as_bytes()]);
            let signing = key(&format!("Digest session key to {direction} signing key magic constant"));
            let sealing = key(&format!("Digest H(A1) to {direction} sealing key magic constant"));
            let cipher = (self.protection == Protection::Privacy).then(|| Rc4::new(&sealing));
            Sealer { signing, cipher, sequence: 0 }
        };
        (self.protection > Protection::Auth).then(|| (sealer("client-to-server"), sealer("server-to-client")))
    }
}

/// Protects the messages of one direction, in their order.
pub(super) struct Sealer {
    signing: [u8; 16],
    cipher: Option<Rc4>,
    sequence: u32,
}

impl Sealer {
    /// The protected form of the next message.
    pub(super) fn seal(&mut self, message: &[u8]) -> Vec<u8> {
        let mut sealed = message.to_vec();
        sealed.extend_from_slice(&self.checksum(message));
        if let Some(cipher) = &mut self.cipher {
            cipher.apply(&mut sealed);
        }
        sealed.extend_from_slice(&[0, 1]);
        sealed.extend_from_slice(&self.sequence.to_be_bytes());
        self.sequence = self.sequence.wrapping_add(1);
        sealed
    }

    /// The next message out of its protected form, or what is wrong with it.
    pub(super) fn open(&mut self, sealed: &[u8]) -> Result<Vec<u8>, String> {
        let end = sealed.len().checked_sub(TRAILER).filter(|end| *end >= CHECKSUM);
        let end = end.ok_or_else(|| format!("a protected message of {} bytes is too short", sealed.len()))?;
        let (body, trailer) = sealed.split_at(end);
        if trailer[..2] != [0, 1] || trailer[2..] != self.sequence.to_be_bytes() {
            return Err(format!("a protected message ends in {trailer:?}; number {} was expected", self.sequence));
        }
        let mut body = body.to_vec();
        if let Some(cipher) = &mut self.cipher {
            cipher.apply(&mut body);
        }
        let checksum = body.split_off(body.len() - CHECKSUM);
        if checksum != self.checksum(&body) {
            return Err(format!("the checksum of protected message {} is wrong", self.sequence));
        }
        self.sequence = self.sequence.wrapping_add(1);
        Ok(body)
    }

    fn checksum(&self, message: &[u8]) -> [u8; CHECKSUM] {
        let mac = hmac(&self.signing, &[&self.sequence.to_be_bytes(), message]);
        std::array::from_fn(|i| mac[i])
    }
}

/// RC4, whose key stream goes on from message to message.
struct Rc4 {
    state: [u8; 256],
    i: u8,
    j: u8,
}

impl Rc4 {
    fn new(key: &[u8]) -> Rc4 {
        let mut state: [u8; 256] = std::array::from_fn(|i| i as u8);
        let mut j = 0u8;
        for i in 0..256 {
            j = j.wrapping_add(state[i]).wrapping_add(key[i % key.len()]);
            state.swap(i, j as usize);
        }
        Rc4 { state, i: 0, j: 0 }
    }

    fn apply(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            self.i = self.i.wrapping_add(1);
            self.j = self.j.wrapping_add(self.state[self.i as usize]);
            self.state.swap(self.i as usize, self.j as usize);
            let at = self.state[self.i as usize].wrapping_add(self.state[self.j as usize]);
            *byte ^= self.state[at as usize];
        }
    }
}

fn md5(parts: &[&[u8]]) -> [u8; 16] {
    let mut hash = Md5::new();
    parts.iter().for_each(|part| hash.update(part));
    hash.finalize().into()
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 16] {
    let mut mac = Hmac::<Md5>::new_from_slice(key).expect("a key of any length will do");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads `key=value,key="quoted value"`; of a key that comes twice the first counts.
fn parse(text: &[u8]) -> Result<BTreeMap<String, String>, String> {
    let text = std::str::from_utf8(text).map_err(|_| "a challenge that is no text".to_owned())?;
    let mut found = BTreeMap::new();
    let mut rest = text.trim_matches([',', ' ']);
    while !rest.is_empty() {
        let (key, after) = rest.split_once('=').ok_or_else(|| format!("no value in the challenge at '{rest}'"))?;
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => {
                take_quoted(quoted).ok_or_else(|| format!("no closing quote in the challenge for {key}"))?
            }
            None => {
                let (value, after) = after.split_at(after.find(',').unwrap_or(after.len()));
                (value.trim().to_owned(), after)
            }
        };
        found.entry(key.trim().to_ascii_lowercase()).or_insert(value);
        rest = after.trim_start_matches([',', ' ']);
    }
    Ok(found)
}

/// The string up to its closing quote, and what follows.
fn take_quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(chars.next()?.1),
            _ => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn login<'a>(protocol: &'a str, client_nonce: &'a str) -> Login<'a> {
        Login { user: "chris", password: "secret", protocol, server: "elwood.innosoft.com", client_nonce }
    }

    #[test]
    fn the_examples_of_rfc_2831_come_out() {
        let cases = [
            (
                "imap",
                "OA6MG9tEQGm2hh",
                "OA6MHXh6VqTrRk",
                "d388dad90d4bbd760a152321f2143af7",
                "ea40f60335c427b5527b84dbabcdfffd",
            ),
            (
                "acap",
                "OA9BSXrbuRhWay",
                "OA9BSuZWMSpW8m",
                "6084c6db3fede7352c551284490fd0fc",
                "2f0b3d7c3c2e486600ef710726aa2eae",
            ),
        ];
        for (protocol, nonce, client_nonce, response, rspauth) in cases {
            let challenge = format!(
                "realm=\"elwood.innosoft.com\",nonce=\"{nonce}\",qop=\"auth\",algorithm=md5-sess,charset=utf-8"
            );
            let answer = login(protocol, client_nonce).respond(challenge.as_bytes(), &[Protection::Auth]).unwrap();
            assert!(answer.text.contains(&format!(",response={response},")), "{}", answer.text);
            assert!(answer.is_proof_of_server(format!("rspauth={rspauth}").as_bytes()));
            assert!(!answer.is_proof_of_server(format!("rspauth={response}").as_bytes()));
            assert!(answer.sealers().is_none());
        }
    }

    #[test]
    fn the_examples_of_rfc_2202_and_rfc_6229_come_out() {
        assert_eq!(hex(&hmac(&[0x0b; 16], &[b"Hi ", b"There"])), "9294727a3638bb1c13f48ef8158bfc9d");
        assert_eq!(hex(&hmac(b"Jefe", &[b"what do ya want for nothing?"])), "750c783e6ab0b503eaa86e310a5db738");
        let mut stream = [0; 16];
        Rc4::new(&[1, 2, 3, 4, 5]).apply(&mut stream);
        assert_eq!(hex(&stream), "b2396305f03dc027ccc3524a0a1118a8");
        let (key, mut stream): (Vec<u8>, _) = ((1..=16).collect(), [0; 16]);
        Rc4::new(&key).apply(&mut stream);
        assert_eq!(hex(&stream), "9ac7cc9a609d1ef7b2932899cde41b97");
    }

    #[test]
    fn the_protection_is_the_first_that_both_want() {
        let challenge = b"realm=\"a\\\"b\", nonce=\"n,1\",qop=\"auth,auth-int,auth-conf\",cipher=\"3des,rc4,des\"";
        let all = [Protection::Privacy, Protection::Integrity, Protection::Auth];
        for (allowed, qop) in
            [(&all[..], "qop=auth-conf,cipher=rc4"), (&all[1..], "qop=auth-int"), (&all[2..], "qop=auth")]
        {
            let answer = login("", "c").respond(challenge, allowed).unwrap();
            assert!(answer.text.ends_with(qop), "{}", answer.text);
        }
        let wrong: [(&[u8], &str); 4] = [
            (b"qop=auth", "the challenge has no nonce"),
            (b"nonce=1,qop=auth", "hadoop.rpc.protection asks for auth-conf"),
            (b"nonce=1,qop=\"auth-conf\",cipher=\"3des\"", "the ciphers '3des', and not rc4"),
            (b"nonce=\"1", "no closing quote"),
        ];
        for (challenge, message) in wrong {
            let found = login("", "c").respond(challenge, &[Protection::Privacy]).err().unwrap();
            assert!(found.contains(message), "{found}");
        }
    }

    proptest! {
        #[test]
        fn sealed_messages_open_in_their_order(messages: Vec<Vec<u8>>, flip: u8, privacy: bool) {
            let protection = if privacy { Protection::Privacy } else { Protection::Integrity };
            let challenge = b"nonce=\"n\",qop=\"auth-int,auth-conf\",cipher=\"rc4\"";
            let sealers = || login("", "c").respond(challenge, &[protection]).unwrap().sealers().unwrap();
            let (mut ours, mut theirs) = (sealers().0, sealers().0);
            for message in &messages {
                let mut sealed = ours.seal(message);
                prop_assert_eq!(&theirs.open(&sealed).unwrap(), message);
                let mut copy = sealers().0;
                let at = flip as usize % sealed.len();
                sealed[at] ^= 1;
                prop_assert!(copy.open(&sealed).is_err(), "a changed byte at {} goes unnoticed", at);
            }
        }

        #[test]
        fn any_challenge_is_an_answer_or_an_error(challenge: Vec<u8>) {
            let _ = login("", "c").respond(&challenge, &[Protection::Auth]);
        }
    }
}
