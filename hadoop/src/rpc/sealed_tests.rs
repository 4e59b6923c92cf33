//! Logins by token, and calls on connections that are protected.

use super::frame::{CALL_SASL, Frames};
use super::sealer::Sealer;
use super::*;
use crate::digest::{Login, Protection};
use crate::proto::common::rpc_sasl_proto::{SaslAuth, SaslState};
use crate::proto::common::{IpcConnectionContextProto, RpcRequestHeaderProto, RpcResponseHeaderProto};
use crate::proto::common::{RpcSaslProto, UserInformationProto};
use crate::token::Token;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

const ECHO: Protocol = Protocol { name: "test.Echo", service: "echo server", principal: "" };
const CHALLENGE: &str =
    "realm=\"default\",nonce=\"n/+=\",qop=\"auth,auth-int,auth-conf\",cipher=\"rc4\",algorithm=md5-sess";

fn token(password: &[u8]) -> Token {
    Token { identifier: b"ann".to_vec(), password: password.to_vec(), kind: "K".to_owned(), service: String::new() }
}

/// The server's end of a connection, logged in.
struct Peer {
    frames: Frames<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    sealer: Option<Sealer>,
}

impl Peer {
    /// Logs a client in that has the token with this password, and reads its context.
    async fn accept(stream: TcpStream, password: &[u8], protection: Protection) -> Peer {
        let (mut reader, writer) = stream.into_split();
        reader.read_exact(&mut [0; 7]).await.unwrap();
        let mut peer = Peer { frames: Frames::new(reader, 1 << 20), writer, sealer: None };
        assert_eq!(peer.step().await.state(), SaslState::Negotiate);
        let auth = SaslAuth {
            method: "TOKEN".to_owned(),
            mechanism: "DIGEST-MD5".to_owned(),
            protocol: Some(String::new()),
            server_id: Some("default".to_owned()),
            challenge: Some(CHALLENGE.into()),
        };
        peer.say(SaslState::Negotiate, Some(auth), None).await;
        let initiate = peer.step().await;
        let said = String::from_utf8(initiate.token().to_vec()).unwrap();
        let after = |key: &str| said.split_once(key).unwrap().1.split_once('"').unwrap().0;
        let login = Login {
            user: after("username=\""),
            password: &Login::encode(password),
            protocol: "",
            server: "default",
            client_nonce: after("cnonce=\""),
        };
        let expected = login.respond(CHALLENGE.as_bytes(), &[protection]).unwrap();
        assert_eq!(said, expected.text);
        peer.say(SaslState::Success, None, Some(expected.proof_of_server().into_bytes())).await;
        if let Some((opener, sealer)) = expected.sealers() {
            peer.frames.open_requests_with(Sealer::Digest(Box::new(opener)));
            peer.sealer = Some(Sealer::Digest(Box::new(sealer)));
        }
        let mut context = peer.frames.next().await.unwrap();
        RpcRequestHeaderProto::decode_length_delimited(&mut context).unwrap();
        let context = IpcConnectionContextProto::decode_length_delimited(context).unwrap();
        assert_eq!((context.protocol(), context.user_info.is_none()), (ECHO.name, true));
        peer
    }

    async fn step(&mut self) -> RpcSaslProto {
        let mut frame = self.frames.next().await.unwrap();
        RpcRequestHeaderProto::decode_length_delimited(&mut frame).unwrap();
        RpcSaslProto::decode_length_delimited(frame).unwrap()
    }

    async fn say(&mut self, state: SaslState, auth: Option<SaslAuth>, token: Option<Vec<u8>>) {
        let message = RpcSaslProto { version: None, state: state as i32, token, auths: auth.into_iter().collect() };
        let bytes = response(CALL_SASL, &message.encode_length_delimited_to_vec());
        self.writer.write_all(&bytes).await.unwrap();
    }

    /// The next call's id and body.
    async fn call(&mut self) -> (i32, Vec<u8>) {
        let mut frame = self.frames.next().await.unwrap();
        let header = RpcRequestHeaderProto::decode_length_delimited(&mut frame).unwrap();
        RequestHeaderProto::decode_length_delimited(&mut frame).unwrap();
        (header.call_id, frame.to_vec())
    }

    /// Sends bytes, sealed if that was agreed, after `change` to what goes over the wire.
    async fn send(&mut self, bytes: &[u8], change: impl FnOnce(&mut Vec<u8>)) {
        let mut sealed = match &mut self.sealer {
            Some(sealer) => sealer.seal(bytes).unwrap(),
            None => bytes.to_vec(),
        };
        change(&mut sealed);
        match self.sealer {
            Some(_) => self.say(SaslState::Wrap, None, Some(sealed)).await,
            None => self.writer.write_all(&sealed).await.unwrap(),
        }
    }
}

fn response(call: i32, body: &[u8]) -> Vec<u8> {
    let header = RpcResponseHeaderProto { call_id: call as u32, ..RpcResponseHeaderProto::default() };
    let frame = [&header.encode_length_delimited_to_vec(), body].concat();
    [&(frame.len() as u32).to_be_bytes(), &frame[..]].concat()
}

/// Runs calls of a client against what `serve` does with the first connection.
fn run<S: Future<Output = ()>>(
    protection: Protection,
    serve: impl FnOnce(TcpStream) -> S,
    calls: impl AsyncFnOnce(Client),
) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let options = Options { protections: vec![protection], ..Options::default() };
        let client = Client::new(ECHO, vec![address], Auth::Token(token(b"secret")), options);
        let serve = async { serve(listener.accept().await.unwrap().0).await };
        tokio::join!(serve, calls(client));
    });
}

async fn echo(client: &Client, text: &str) -> Result<String> {
    let request = UserInformationProto { effective_user: Some(text.to_owned()), real_user: None };
    let answer: UserInformationProto = client.call(Method::once("echo"), &request).await?;
    Ok(answer.effective_user().to_owned())
}

#[test]
fn calls_go_through_with_every_protection() {
    for protection in [Protection::Auth, Protection::Integrity, Protection::Privacy] {
        let serve = async |stream: TcpStream| {
            let mut peer = Peer::accept(stream, b"secret", protection).await;
            for _ in 0..3 {
                let (call, body) = peer.call().await;
                peer.send(&response(call, &body), |_| {}).await;
            }
        };
        run(protection, serve, async |client| {
            for text in ["a", "b", "c"] {
                assert_eq!(echo(&client, text).await.unwrap(), text, "{protection:?}");
            }
        });
    }
}

#[test]
fn answers_may_share_protected_messages_or_be_split() {
    let serve = async |stream: TcpStream| {
        let mut peer = Peer::accept(stream, b"secret", Protection::Privacy).await;
        let (first, second) = (peer.call().await, peer.call().await);
        let both = [response(second.0, &second.1), response(first.0, &first.1)].concat();
        let (head, tail) = both.split_at(both.len() - 3);
        peer.send(head, |_| {}).await;
        peer.send(tail, |_| {}).await;
    };
    run(Protection::Privacy, serve, async |client| {
        let (a, b) = tokio::join!(echo(&client, "a"), echo(&client, "b"));
        assert_eq!((a.unwrap(), b.unwrap()), ("a".to_owned(), "b".to_owned()));
    });
}

#[test]
fn a_changed_answer_is_noticed() {
    let serve = async |stream: TcpStream| {
        let mut peer = Peer::accept(stream, b"secret", Protection::Integrity).await;
        let (call, body) = peer.call().await;
        peer.send(&response(call, &body), |sealed| sealed[7] ^= 1).await;
    };
    run(Protection::Integrity, serve, async |client| {
        let message = echo(&client, "a").await.unwrap_err().to_string();
        assert!(message.ends_with("the checksum of protected message 0 is wrong"), "{message}");
    });
}

#[test]
fn an_unprotected_answer_isnt_taken_once_protection_is_agreed() {
    let serve = async |stream: TcpStream| {
        let mut peer = Peer::accept(stream, b"secret", Protection::Integrity).await;
        let (call, body) = peer.call().await;
        peer.writer.write_all(&response(call, &body)).await.unwrap();
    };
    run(Protection::Integrity, serve, async |client| {
        let message = echo(&client, "a").await.unwrap_err().to_string();
        assert!(message.ends_with("response 0 is not protected, as was agreed"), "{message}");
    });
}
