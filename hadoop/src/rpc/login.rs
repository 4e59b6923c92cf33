//! Opens a connection: the preamble, the login, and the context that names user and protocol.

use super::frame::{CALL_CONTEXT, Frames, NO_RETRY, Unreadable, encode, encode_sasl, encode_sealed, take_header};
use crate::digest::{Login, Protection, Response, Sealer};
use crate::error::{Error, ServerException};
use crate::proto::common::rpc_sasl_proto::{SaslAuth, SaslState};
use crate::proto::common::{IpcConnectionContextProto, RpcSaslProto, UserInformationProto};
use crate::token::Token;
use prost::Message;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

/// What each connection begins with: magic, version, service class, and that the login is negotiated (SASL).
const PREAMBLE: [u8; 7] = *b"hrpc\x09\x00\xdf";

/// How one proves who one is.
///
/// Kerberos would be a third way: a `KERBEROS` method is chosen in `Negotiation`, and its mechanism (GSSAPI) answers
/// the challenges in place of DIGEST-MD5. It isn't there yet; a server that offers nothing else is refused with a
/// message that says so.
#[derive(Clone, Debug)]
pub enum Auth {
    /// By saying so: the name of a user. For clusters without security.
    Simple {
        /// The user.
        user: String,
    },
    /// By a token; the server knows the user from it.
    Token(Token),
}

impl Auth {
    pub(super) fn method(&self) -> &'static str {
        match self {
            Auth::Simple { .. } => "SIMPLE",
            Auth::Token(_) => "TOKEN",
        }
    }
}

/// Who opens a connection, and what for.
pub(super) struct Opening<'a> {
    pub(super) server: &'a str,
    pub(super) protocol: &'a str,
    pub(super) client: &'a [u8],
    pub(super) auth: &'a Auth,
    pub(super) protections: &'a [Protection],
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
        let mut negotiation = Negotiation::default();
        let mut next = Some(message(SaslState::Negotiate, None, None));
        while let Some(step) = next {
            sent(writer.write_all(&encode_sasl(&step)).await)?;
            if negotiation.is_done {
                break;
            }
            let answer = self.receive(frames).await?;
            next = negotiation.step(answer, self)?;
        }
        let sealers = negotiation.response.as_ref().and_then(Response::sealers);
        let mut sealer = sealers.map(|(sealer, opener)| {
            frames.open_with(opener);
            sealer
        });
        let context = self.context();
        let context = match &mut sealer {
            Some(sealer) => encode_sealed(sealer, &context),
            None => context,
        };
        sent(writer.write_all(&context).await)?;
        Ok(sealer)
    }

    /// The protocol, and the user unless the token says who that is.
    fn context(&self) -> Vec<u8> {
        let user_info = match self.auth {
            Auth::Simple { user } => Some(UserInformationProto { effective_user: Some(user.clone()), real_user: None }),
            Auth::Token(_) => None,
        };
        let context = IpcConnectionContextProto { user_info, protocol: Some(self.protocol.to_owned()) };
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
#[derive(Default)]
struct Negotiation {
    response: Option<Response>,
    is_done: bool,
}

impl Negotiation {
    /// What to answer, or `None` when the server has let us in.
    fn step(&mut self, from: RpcSaslProto, opening: &Opening<'_>) -> Result<Option<RpcSaslProto>, Error> {
        match (from.state(), opening.auth) {
            (SaslState::Negotiate, Auth::Simple { .. }) => {
                let method = choose(&from.auths, "SIMPLE").ok_or_else(|| self.refused(&from.auths, opening))?;
                // The server doesn't answer this.
                self.is_done = true;
                Ok(Some(message(SaslState::Initiate, Some(method), None)))
            }
            (SaslState::Negotiate, Auth::Token(token)) => {
                let mut method = choose(&from.auths, "TOKEN").ok_or_else(|| self.refused(&from.auths, opening))?;
                let challenge = method.challenge.take().unwrap_or_default();
                let answer = self.answer(&challenge, token, &method, opening)?;
                Ok(Some(message(SaslState::Initiate, Some(method), Some(answer))))
            }
            (SaslState::Success, auth) => {
                let proven = match (&self.response, auth) {
                    (Some(response), _) => response.is_proof_of_server(from.token.as_deref().unwrap_or_default()),
                    // The server knows no other way than SIMPLE.
                    (None, auth) => matches!(auth, Auth::Simple { .. }),
                };
                let message = "the server doesn't prove that it knows the token";
                proven.then_some(None).ok_or_else(|| opening.failed(message.to_owned()))
            }
            (state, _) => Err(opening.failed(format!("the step {} was not expected", state.as_str_name()))),
        }
    }

    fn answer(
        &mut self,
        challenge: &[u8],
        token: &Token,
        method: &SaslAuth,
        opening: &Opening<'_>,
    ) -> Result<Vec<u8>, Error> {
        let mut random = [0; 24];
        getrandom::fill(&mut random).map_err(|error| opening.failed(format!("no randomness: {error}")))?;
        let login = Login {
            user: &Login::encode(&token.identifier),
            password: &Login::encode(&token.password),
            protocol: method.protocol.as_deref().unwrap_or_default(),
            server: method.server_id.as_deref().unwrap_or_default(),
            client_nonce: &Login::encode(&random),
        };
        let response = login.respond(challenge, opening.protections).map_err(|message| opening.failed(message))?;
        Ok(self.response.insert(response).text.clone().into_bytes())
    }

    fn refused(&self, offered: &[SaslAuth], opening: &Opening<'_>) -> Error {
        let offered: Vec<&str> = offered.iter().map(|auth| auth.method.as_str()).collect();
        let hint = if offered.contains(&"KERBEROS") { " (Kerberos isn't supported yet)" } else { "" };
        opening.failed(format!("the server allows only {}{hint}", offered.join(", ")))
    }
}

fn choose(offered: &[SaslAuth], method: &str) -> Option<SaslAuth> {
    let usable = |auth: &&SaslAuth| auth.method == method && (method != "TOKEN" || auth.mechanism == "DIGEST-MD5");
    offered.iter().find(usable).cloned()
}

fn message(state: SaslState, auth: Option<SaslAuth>, token: Option<Vec<u8>>) -> RpcSaslProto {
    RpcSaslProto { version: Some(0), state: state as i32, token, auths: auth.into_iter().collect() }
}
