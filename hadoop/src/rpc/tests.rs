//! Calls to servers that misbehave.

use super::frame::{CALL_CONTEXT, CALL_PING, CALL_SASL, Frames};
use super::*;
use crate::error::Meaning;
use crate::proto::common::rpc_response_header_proto::RpcStatusProto;
use crate::proto::common::rpc_sasl_proto::{SaslAuth, SaslState};
use crate::proto::common::{RpcRequestHeaderProto, RpcResponseHeaderProto, RpcSaslProto, UserInformationProto};
use std::sync::Mutex as StdMutex;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

const ECHO: Protocol = Protocol { name: "test.Echo", service: "echo server", principal: "" };
const AGAIN: Method = Method::repeatable("again");
const ONCE: Method = Method::once("once");

/// What a fake server does with a call.
#[derive(Clone, Copy)]
enum Reply {
    Echo,
    /// Answers when so many calls are there, the last first.
    EchoWhen(usize),
    Exception(&'static str),
    Fatal(&'static str),
    Bytes(&'static [u8]),
    Nothing,
    Close,
}

/// A server on loopback that logs everybody in without security, and replies as `script` says for the number of the
/// connection and the retry count of the call.
struct Fake {
    address: String,
    seen: Arc<StdMutex<Vec<String>>>,
}

impl Fake {
    async fn start(offers: &'static [&'static str], script: fn(usize, i32) -> Reply) -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let seen: Arc<StdMutex<Vec<String>>> = Arc::default();
        let log = Arc::clone(&seen);
        tokio::spawn(async move {
            for connection in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                let log = Arc::clone(&log);
                tokio::spawn(async move {
                    let served = serve(stream, offers, |retry| script(connection, retry), &log).await;
                    log.lock()
                        .unwrap()
                        .push(format!("{connection} {}", if served.is_none() { "ended" } else { "closed" }));
                });
            }
        });
        Fake { address, seen }
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    async fn wait_for(&self, line: &str) {
        let arrives = async {
            while !self.seen().iter().any(|seen| seen == line) {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(Duration::from_secs(60), arrives).await.unwrap_or_else(|_| panic!("{:?}", self.seen()));
    }
}

/// Serves one connection: `Some` when it was the server that ended it.
async fn serve(
    stream: TcpStream,
    offers: &[&str],
    script: impl Fn(i32) -> Reply,
    seen: &StdMutex<Vec<String>>,
) -> Option<()> {
    let (mut reader, mut writer) = stream.into_split();
    let mut preamble = [0; 7];
    reader.read_exact(&mut preamble).await.ok()?;
    assert_eq!(preamble, *b"hrpc\x09\x00\xdf");
    let mut frames: Frames<OwnedReadHalf> = Frames::new(reader, 1 << 20);
    let mut held = Vec::new();
    loop {
        let mut frame = frames.next().await.ok()?;
        let header = RpcRequestHeaderProto::decode_length_delimited(&mut frame).unwrap();
        match header.call_id {
            CALL_SASL => login(&frame, offers, &mut writer).await,
            CALL_CONTEXT => {}
            CALL_PING => seen.lock().unwrap().push("ping".to_owned()),
            call => {
                let method = RequestHeaderProto::decode_length_delimited(&mut frame).unwrap().method_name;
                seen.lock().unwrap().push(format!("{method} {call} {}", header.retry_count()));
                match script(header.retry_count()) {
                    Reply::Echo => answer(call, frame, &mut writer).await,
                    Reply::EchoWhen(calls) => {
                        held.push((call, frame));
                        if held.len() == calls {
                            for (call, frame) in held.drain(..).rev() {
                                answer(call, frame, &mut writer).await;
                            }
                        }
                    }
                    Reply::Exception(class) => fail(call, RpcStatusProto::Error, class, &mut writer).await,
                    Reply::Fatal(class) => fail(-1, RpcStatusProto::Fatal, class, &mut writer).await,
                    Reply::Bytes(bytes) => writer.write_all(bytes).await.unwrap(),
                    Reply::Nothing => {}
                    Reply::Close => return Some(()),
                }
            }
        }
    }
}

async fn login(frame: &[u8], offers: &[&str], writer: &mut OwnedWriteHalf) {
    let step = RpcSaslProto::decode_length_delimited(frame).unwrap();
    if step.state() != SaslState::Negotiate {
        return;
    }
    let auth = |method: &&str| SaslAuth { method: (*method).to_owned(), ..SaslAuth::default() };
    let state = if offers.is_empty() { SaslState::Success } else { SaslState::Negotiate };
    let answer =
        RpcSaslProto { state: state as i32, auths: offers.iter().map(auth).collect(), ..RpcSaslProto::default() };
    send(CALL_SASL, RpcStatusProto::Success, None, answer.encode_length_delimited_to_vec(), writer).await;
}

async fn answer(call: i32, body: impl AsRef<[u8]>, writer: &mut OwnedWriteHalf) {
    send(call, RpcStatusProto::Success, None, body.as_ref().to_vec(), writer).await;
}

async fn fail(call: i32, status: RpcStatusProto, class: &str, writer: &mut OwnedWriteHalf) {
    send(call, status, Some(class), Vec::new(), writer).await;
}

async fn send(call: i32, status: RpcStatusProto, class: Option<&str>, body: Vec<u8>, writer: &mut OwnedWriteHalf) {
    let header = RpcResponseHeaderProto {
        call_id: call as u32,
        status: status as i32,
        exception_class_name: class.map(str::to_owned),
        error_msg: class.map(|class| format!("{class}: because\n\tat somewhere")),
        ..RpcResponseHeaderProto::default()
    };
    let frame = [header.encode_length_delimited_to_vec(), body].concat();
    // The client may be gone.
    let _ = writer.write_all(&[&(frame.len() as u32).to_be_bytes(), &frame[..]].concat()).await;
}

fn client(servers: &[&Fake], change: impl FnOnce(&mut Options)) -> Client {
    let mut options = Options { retry_pause: Duration::from_millis(1), ..Options::default() };
    change(&mut options);
    let addresses = servers.iter().map(|server| server.address.clone()).collect();
    Client::new(ECHO, addresses, Auth::Simple { user: "ann".to_owned() }, options)
}

/// Calls with `text` and returns what comes back.
async fn echo(client: &Client, method: Method, text: &str) -> Result<String> {
    let request = UserInformationProto { effective_user: Some(text.to_owned()), real_user: None };
    let answer: UserInformationProto = client.call(method, &request).await?;
    Ok(answer.effective_user().to_owned())
}

fn run<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

#[test]
fn calls_on_their_way_at_once_get_their_own_answers() {
    run(async {
        let server = Fake::start(&["SIMPLE"], |_, _| Reply::EchoWhen(3)).await;
        let client = client(&[&server], |_| {});
        let calls = ["a", "b", "c"].map(|text| echo(&client, AGAIN, text));
        let [a, b, c] = calls;
        let (a, b, c) = tokio::join!(a, b, c);
        assert_eq!((a.unwrap(), b.unwrap(), c.unwrap()), ("a".to_owned(), "b".to_owned(), "c".to_owned()));
        assert_eq!(server.seen(), ["again 0 0", "again 1 0", "again 2 0"], "one connection took all of them");
    });
}

#[test]
fn a_huge_length_is_an_error_and_the_next_call_connects_anew() {
    run(async {
        let server = Fake::start(&[], |connection, _| match connection {
            0 => Reply::Bytes(&[0x7f, 0xff, 0xff, 0xff]),
            _ => Reply::Echo,
        })
        .await;
        let client = client(&[&server], |_| {});
        let message = echo(&client, AGAIN, "a").await.unwrap_err().to_string();
        assert!(
            message.ends_with("a message of 2147483647 bytes; ipc.maximum.response.length allows 134217728"),
            "{message}"
        );
        assert_eq!(echo(&client, AGAIN, "b").await.unwrap(), "b");
    });
}

#[test]
fn a_server_that_never_answers_costs_the_timeout_and_the_connection() {
    run(async {
        let server = Fake::start(&["SIMPLE"], |connection, _| match connection {
            0 => Reply::Nothing,
            _ => Reply::Echo,
        })
        .await;
        let client = client(&[&server], |options| {
            options.call_timeout = Duration::from_millis(100);
            options.ping_interval = Duration::from_millis(20);
        });
        let error = echo(&client, ONCE, "a").await.unwrap_err();
        assert!(matches!(error, Error::Timeout { method: "once", .. }), "{error}");
        assert!(server.seen().contains(&"ping".to_owned()), "{:?}", server.seen());
        assert_eq!(echo(&client, ONCE, "b").await.unwrap(), "b");
        server.wait_for("0 ended").await;
    });
}

#[test]
fn a_server_that_doesnt_log_in_costs_the_connect_timeout() {
    run(async {
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let fake = Fake { address: silent.local_addr().unwrap().to_string(), seen: Arc::default() };
        let client = client(&[&fake], |options| {
            options.connect_timeout = Duration::from_millis(50);
            options.retry_max = Duration::from_millis(100);
        });
        let (one, other) = tokio::join!(echo(&client, ONCE, "a"), echo(&client, ONCE, "b"));
        for error in [one.unwrap_err(), other.unwrap_err()] {
            assert!(matches!(error, Error::Timeout { method: "connect", .. }), "{error}");
        }
    });
}

#[test]
fn the_active_server_is_found_and_kept() {
    run(async {
        let standby = Fake::start(&["SIMPLE"], |_, _| Reply::Exception("org.apache.hadoop.ipc.StandbyException")).await;
        let active = Fake::start(&["SIMPLE"], |_, _| Reply::Echo).await;
        let both = client(&[&standby, &active], |_| {});
        assert_eq!(echo(&both, ONCE, "a").await.unwrap(), "a");
        assert_eq!(echo(&both, ONCE, "b").await.unwrap(), "b");
        assert_eq!(standby.seen(), ["once 0 0"]);
        assert_eq!(active.seen(), ["once 0 1", "once 1 0"]);
        let none = client(&[&standby, &standby], |options| options.retry_max = Duration::from_millis(50));
        let message = echo(&none, ONCE, "c").await.unwrap_err().to_string();
        assert!(message.starts_with("no echo server took once within"), "{message}");
        assert!(message.ends_with("StandbyException: because"), "{message}");
    });
}

#[test]
fn only_repeatable_calls_are_sent_again_after_a_loss() {
    run(async {
        let server = Fake::start(&["SIMPLE"], |_, retry| if retry == 0 { Reply::Close } else { Reply::Echo }).await;
        let client = client(&[&server], |_| {});
        assert_eq!(echo(&client, AGAIN, "a").await.unwrap(), "a");
        let calls: Vec<_> = server.seen().into_iter().filter(|line| line.starts_with("again")).collect();
        assert_eq!(calls, ["again 0 0", "again 0 1"], "the id stays, so that the server can know the call");
        let error = echo(&client, ONCE, "b").await.unwrap_err();
        assert!(matches!(&error, Error::Lost { method: "once", reason, .. } if reason.contains("closed")), "{error}");
    });
}

#[test]
fn exceptions_are_typed_and_fatal_ones_end_every_call() {
    run(async {
        let class = "org.apache.hadoop.yarn.exceptions.ApplicationNotFoundException";
        let server = Fake::start(&["SIMPLE"], |connection, _| match connection {
            0 => Reply::Exception("org.apache.hadoop.yarn.exceptions.ApplicationNotFoundException"),
            _ => Reply::Fatal("org.apache.hadoop.security.AccessControlException"),
        })
        .await;
        let first = client(&[&server], |_| {});
        let error = echo(&first, AGAIN, "a").await.unwrap_err();
        assert_eq!(error.meaning(), Some(Meaning::NoApplication));
        assert!(matches!(&error, Error::Server { exception, .. } if exception.class == class), "{error}");
        let second = client(&[&server], |_| {});
        let (a, b) = tokio::join!(echo(&second, AGAIN, "a"), echo(&second, AGAIN, "b"));
        assert_eq!(a.unwrap_err().meaning(), Some(Meaning::Denied));
        assert_eq!(b.unwrap_err().meaning(), Some(Meaning::Denied));
    });
}

#[test]
fn a_login_that_isnt_offered_is_refused_by_name() {
    run(async {
        let server = Fake::start(&["TOKEN", "KERBEROS"], |_, _| Reply::Echo).await;
        let message = echo(&client(&[&server], |_| {}), AGAIN, "a").await.unwrap_err().to_string();
        let expected = "refuses the login by SIMPLE: the server allows only TOKEN, KERBEROS: \
                        hadoop.security.authentication has to be kerberos here, too";
        assert!(message.ends_with(expected), "{message}");
    });
}

#[test]
fn a_server_without_tokens_is_not_taken_for_one_that_knows_ours() {
    run(async {
        let server = Fake::start(&[], |_, _| Reply::Echo).await;
        let token = crate::token::Token {
            identifier: vec![1],
            password: vec![2],
            kind: "K".to_owned(),
            service: String::new(),
        };
        let client = Client::new(ECHO, vec![server.address.clone()], Auth::Token(token), Options::default());
        let message = echo(&client, AGAIN, "a").await.unwrap_err().to_string();
        assert!(message.ends_with("the server doesn't prove who it is"), "{message}");
    });
}

#[test]
fn an_idle_connection_is_closed_and_made_again() {
    run(async {
        let server = Fake::start(&["SIMPLE"], |_, _| Reply::Echo).await;
        let client = client(&[&server], |options| options.idle_max = Duration::from_millis(20));
        assert_eq!(echo(&client, ONCE, "a").await.unwrap(), "a");
        server.wait_for("0 ended").await;
        assert_eq!(echo(&client, ONCE, "b").await.unwrap(), "b");
        drop(client);
        server.wait_for("1 ended").await;
    });
}

#[test]
fn a_client_outlives_the_runtime_of_its_connection() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let server = runtime.block_on(Fake::start(&["SIMPLE"], |_, _| Reply::Echo));
    let client = client(&[&server], |_| {});
    assert_eq!(run(echo(&client, ONCE, "a")).unwrap(), "a");
    assert_eq!(run(echo(&client, ONCE, "b")).unwrap(), "b");
}

#[test]
fn nobody_at_the_address_is_said_after_the_last_try() {
    run(async {
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string();
        let fake = Fake { address: free, seen: Arc::default() };
        let client = client(&[&fake], |options| options.retry_max = Duration::from_millis(30));
        let error = echo(&client, ONCE, "a").await.unwrap_err();
        assert!(matches!(&error, Error::Unavailable { last, .. } if last.contains("refused")), "{error}");
        assert!(error.is_transient() && error.to_string().starts_with("no echo server took "), "{error}");
    });
}
