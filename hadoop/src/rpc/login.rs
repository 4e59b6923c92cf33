//! Opens a connection: the preamble, the login, and the context that names user and protocol.

use super::frame::{CALL_CONTEXT, Frames, NO_RETRY, Unreadable, encode, encode_sasl, encode_sealed, take_header};
use super::sealer::Sealer;
use super::{Options, Protocol};
use crate::conf::Configuration;
use crate::digest::{self, Response};
use crate::error::{Error, ServerException};
use crate::kerberos::{Login, Mechanism};
use crate::proto::common::rpc_sasl_proto::{SaslAuth, SaslState};
use crate::proto::common::{IpcConnectionContextProto, RpcSaslProto, UserInformationProto};
use crate::token::{Token, TokenFile};
use prost::Message;
use std::thread;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// What each connection begins with: magic, version, service class, and that the login is negotiated (SASL).
const PREAMBLE: [u8; 7] = *b"hrpc\x09\x00\xdf";

/// How much of the time for connecting each step may wait for a KDC: so it is known who was too slow.
const ASIDE_SHARE: f64 = 0.75;

/// How one proves who one is.
#[derive(Clone, Debug)]
pub enum Auth {
    /// By saying so: the name of a user. For clusters without security.
    Simple {
        /// The user.
        user: String,
    },
    /// By a token; the server knows the user from it.
    Token(Token),
    /// By the token that a file has when a connection is made.
    TokenIn(TokenFile),
    /// By Kerberos; the server proves who it is, too.
    Kerberos(Login),
}

impl Auth {
    /// What the cluster wants of who has no token: a login by Kerberos if it is secured
    /// (`hadoop.security.authentication`), else the name of the user.
    ///
    /// # Errors
    /// When there is no such login, or the user has no name.
    pub fn of(conf: &Configuration) -> Result<Auth, Error> {
        match conf.get_or("hadoop.security.authentication", "simple")?.as_str() {
            "simple" => Ok(Auth::Simple { user: conf.user()? }),
            _ => Login::find(conf).map(Auth::Kerberos),
        }
    }

    /// The user, unless the token says who that is.
    pub fn user(&self) -> Option<&str> {
        match self {
            Auth::Simple { user } => Some(user),
            Auth::Kerberos(login) => Some(login.user()),
            Auth::Token(_) | Auth::TokenIn(_) => None,
        }
    }

    pub(super) fn method(&self) -> &'static str {
        match self {
            Auth::Simple { .. } => "SIMPLE",
            Auth::Token(_) | Auth::TokenIn(_) => "TOKEN",
            Auth::Kerberos(_) => "KERBEROS",
        }
    }
}

/// Who opens a connection, and what for.
pub(super) struct Opening<'a> {
    pub(super) server: &'a str,
    pub(super) protocol: Protocol,
    pub(super) client: &'a [u8],
    pub(super) auth: &'a Auth,
    pub(super) options: &'a Options,
}

impl Opening<'_> {
    /// Logs in and sends the context. Returns what messages have to be sealed with from now on; `frames` opens its own.
    pub(super) async fn run<R, W>(&self, frames: &mut Frames<R>, writer: &mut W) -> Result<Option<Sealer>, Error>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let sent = |result: std::io::Result<()>| result.map_err(|error| self.failed(error.to_string()));
        sent(writer.write_all(&PREAMBLE).await)?;
        let mut negotiation = Negotiation::Begun;
        let mut next = Some(message(SaslState::Negotiate, None, None));
        while let Some(step) = next {
            sent(writer.write_all(&encode_sasl(&step)).await)?;
            if matches!(negotiation, Negotiation::Told) {
                break;
            }
            let answer = self.receive(frames).await?;
            (negotiation, next) = negotiation.step(answer, self).await?;
        }
        let mut sealer = negotiation.sealers().map(|(sealer, opener)| {
            frames.open_with(opener);
            sealer
        });
        let context = self.context();
        let context = match &mut sealer {
            Some(sealer) => encode_sealed(sealer, &context).map_err(|error| self.failed(error))?,
            None => context,
        };
        sent(writer.write_all(&context).await)?;
        Ok(sealer)
    }

    /// The protocol, and the user unless that is known from the login.
    fn context(&self) -> Vec<u8> {
        let user_info = match self.auth {
            Auth::Simple { user } => Some(UserInformationProto { effective_user: Some(user.clone()), real_user: None }),
            Auth::Token(_) | Auth::TokenIn(_) | Auth::Kerberos(_) => None,
        };
        let context = IpcConnectionContextProto { user_info, protocol: Some(self.protocol.name.to_owned()) };
        encode(CALL_CONTEXT, NO_RETRY, self.client, None, Some(&context))
    }

    async fn receive<R: AsyncRead + Unpin>(&self, frames: &mut Frames<R>) -> Result<RpcSaslProto, Error> {
        let unreadable = |error: Unreadable| match error {
            Unreadable::Ended(reason) => {
                Error::Connect { server: self.server.to_owned(), reason: format!("{reason} during the login") }
            }
            Unreadable::Garbled(message) => Error::Garbled { server: self.server.to_owned(), message },
        };
        let mut frame = frames.next().await.map_err(unreadable)?;
        let header = take_header(&mut frame).map_err(unreadable)?;
        if let (Some(class), message) = (&header.exception_class_name, header.error_msg.as_deref()) {
            let exception = ServerException::new(class, message.unwrap_or_default());
            return Err(self.failed(exception.to_string()));
        }
        RpcSaslProto::decode_length_delimited(frame)
            .map_err(|error| unreadable(Unreadable::Garbled(format!("a step of the login: {error}"))))
    }

    fn failed(&self, message: String) -> Error {
        Error::Login { server: self.server.to_owned(), method: self.auth.method(), message }
    }
}

/// How far a login is.
enum Negotiation {
    /// The server says what it offers.
    Begun,
    /// The server has been told the user, and doesn't answer that.
    Told,
    /// A token's password was proven to the server; it proves that it has it as well.
    Digest(Response),
    /// Kerberos goes step by step.
    Kerberos(Box<Mechanism>),
}

impl Negotiation {
    /// How far it is then, and what to answer; nothing when the server has let us in.
    async fn step(
        self,
        from: RpcSaslProto,
        opening: &Opening<'_>,
    ) -> Result<(Negotiation, Option<RpcSaslProto>), Error> {
        match (from.state(), self) {
            (SaslState::Negotiate, Negotiation::Begun) => {
                let (after, answer) = opening.begin(&from.auths).await?;
                Ok((after, Some(answer)))
            }
            (SaslState::Challenge, Negotiation::Kerberos(mechanism)) => {
                let (mechanism, token) = opening.advance(mechanism, from.token.unwrap_or_default()).await?;
                Ok((Negotiation::Kerberos(mechanism), Some(message(SaslState::Response, None, Some(token)))))
            }
            (SaslState::Success, after) => match after.is_proof_of_server(&from, opening.auth) {
                true => Ok((after, None)),
                false => Err(opening.failed("the server doesn't prove who it is".to_owned())),
            },
            (state, _) => Err(opening.failed(format!("the step {} was not expected", state.as_str_name()))),
        }
    }

    /// Whether the server's last word leaves nothing to prove.
    fn is_proof_of_server(&self, last: &RpcSaslProto, auth: &Auth) -> bool {
        match self {
            Negotiation::Digest(response) => response.is_proof_of_server(last.token.as_deref().unwrap_or_default()),
            Negotiation::Kerberos(mechanism) => mechanism.is_done(),
            // The server knows no other way than SIMPLE.
            Negotiation::Begun | Negotiation::Told => matches!(auth, Auth::Simple { .. }),
        }
    }

    /// What seals messages, and what opens those of the server; `None` without protection.
    fn sealers(self) -> Option<(Sealer, Sealer)> {
        match self {
            Negotiation::Begun | Negotiation::Told => None,
            Negotiation::Digest(response) => response
                .sealers()
                .map(|(sealer, opener)| (Sealer::Digest(Box::new(sealer)), Sealer::Digest(Box::new(opener)))),
            Negotiation::Kerberos(mechanism) => {
                mechanism.into_halves().map(|(sealer, opener)| (Sealer::Kerberos(sealer), Sealer::Kerberos(opener)))
            }
        }
    }
}

impl Opening<'_> {
    /// Begins with one of the ways that the server offers.
    async fn begin(&self, offered: &[SaslAuth]) -> Result<(Negotiation, RpcSaslProto), Error> {
        let mut chosen = choose(offered, self.auth.method()).ok_or_else(|| self.refused(offered))?;
        let challenge = chosen.challenge.take().unwrap_or_default();
        let initiate = |token| message(SaslState::Initiate, Some(chosen.clone()), token);
        match self.auth {
            Auth::Simple { .. } => Ok((Negotiation::Told, initiate(None))),
            Auth::Token(token) => self.begin_by_token(token, &challenge, chosen),
            Auth::TokenIn(file) => self.begin_by_token(&file.read()?, &challenge, chosen),
            Auth::Kerberos(login) => {
                let (login, key) = (login.clone(), self.protocol.principal);
                let (principals, address) = (self.options.principals.clone(), self.server.to_owned());
                let (service, host) = (chosen.protocol().to_owned(), chosen.server_id().to_owned());
                let new = move || {
                    let server = principals.of_server(key, &service, &host, &address)?;
                    Mechanism::new(&login, &server).map(Box::new)
                };
                let (mechanism, token) = self.advance(self.aside(new).await?, challenge).await?;
                Ok((Negotiation::Kerberos(mechanism), initiate(Some(token))))
            }
        }
    }

    fn begin_by_token(
        &self,
        token: &Token,
        challenge: &[u8],
        chosen: SaslAuth,
    ) -> Result<(Negotiation, RpcSaslProto), Error> {
        let response = self.answer(challenge, token, &chosen)?;
        let answer = response.text.clone().into_bytes();
        Ok((Negotiation::Digest(response), message(SaslState::Initiate, Some(chosen), Some(answer))))
    }

    async fn advance(&self, mut mechanism: Box<Mechanism>, said: Vec<u8>) -> Result<(Box<Mechanism>, Vec<u8>), Error> {
        let protections = self.options.protections.clone();
        let step = move || mechanism.step(&said, &protections).map(|token| (mechanism, token));
        self.aside(step).await
    }

    /// Does what may wait for the KDC or for names, on a thread where it may.
    async fn aside<T: Send + 'static>(
        &self,
        what: impl FnOnce() -> Result<T, String> + Send + 'static,
    ) -> Result<T, Error> {
        let (sender, done) = oneshot::channel();
        // A thread that nobody waits for: one of the runtime's would keep the process from ending.
        let started = thread::Builder::new().name("kerberos".to_owned()).spawn(move || {
            // Nobody waits any more when it has taken too long.
            let _ = sender.send(what());
        });
        let failed = |message| Error::Kerberos { server: self.server.to_owned(), message };
        started.map_err(|error| failed(format!("no thread: {error}")))?;
        let waited = self.options.connect_timeout.mul_f64(ASIDE_SHARE);
        match timeout(waited, done).await {
            Ok(Ok(done)) => done.map_err(failed),
            Ok(Err(_)) => Err(failed("the thread has panicked".to_owned())),
            Err(_) => {
                let seconds = waited.as_secs_f64();
                Err(failed(format!("the KDC that krb5.conf (KRB5_CONFIG) names doesn't answer within {seconds} s")))
            }
        }
    }

    fn answer(&self, challenge: &[u8], token: &Token, method: &SaslAuth) -> Result<Response, Error> {
        let mut random = [0; 24];
        getrandom::fill(&mut random).map_err(|error| self.failed(format!("no randomness: {error}")))?;
        let login = digest::Login {
            user: &digest::Login::encode(&token.identifier),
            password: &digest::Login::encode(&token.password),
            protocol: method.protocol(),
            server: method.server_id(),
            client_nonce: &digest::Login::encode(&random),
        };
        login.respond(challenge, &self.options.protections).map_err(|message| self.failed(message))
    }

    fn refused(&self, offered: &[SaslAuth]) -> Error {
        let offered: Vec<&str> = offered.iter().map(|auth| auth.method.as_str()).collect();
        let hint = match (self.auth, offered.contains(&"KERBEROS")) {
            (Auth::Simple { .. }, true) => ": hadoop.security.authentication has to be kerberos here, too",
            _ => "",
        };
        self.failed(format!("the server allows only {}{hint}", offered.join(", ")))
    }
}

fn choose(offered: &[SaslAuth], method: &str) -> Option<SaslAuth> {
    let mechanism = |auth: &SaslAuth| match method {
        "TOKEN" => auth.mechanism == "DIGEST-MD5",
        "KERBEROS" => auth.mechanism == "GSSAPI",
        _ => true,
    };
    offered.iter().find(|auth| auth.method == method && mechanism(auth)).cloned()
}

fn message(state: SaslState, auth: Option<SaslAuth>, token: Option<Vec<u8>>) -> RpcSaslProto {
    RpcSaslProto { version: Some(0), state: state as i32, token, auths: auth.into_iter().collect() }
}
