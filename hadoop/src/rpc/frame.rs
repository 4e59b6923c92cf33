//! Frames of Hadoop IPC version 9: four bytes of length, then messages that each begin with their own.

use super::sealer::Sealer;
use crate::proto::common::rpc_request_header_proto::OperationProto;
use crate::proto::common::rpc_sasl_proto::SaslState;
use crate::proto::common::{RequestHeaderProto, RpcKindProto, RpcRequestHeaderProto};
use crate::proto::common::{RpcResponseHeaderProto, RpcSaslProto};
use prost::Message;
use prost::bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

/// The call ids that aren't calls.
pub(super) const CALL_CONTEXT: i32 = -3;
pub(super) const CALL_PING: i32 = -4;
pub(super) const CALL_SASL: i32 = -33;

/// The retry count of what isn't a call.
pub(super) const NO_RETRY: i32 = -1;

/// How much is read from a socket at once, at least.
const READ_BYTES: usize = 16 << 10;

/// What a connection's bytes can be instead of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// The connection ended, or the operating system ended it; says how.
    Ended(String),
    /// The bytes aren't what they should be.
    Garbled(String),
}

/// A request, a ping (neither method nor body), or a step of the login (a body without method).
pub(super) fn encode(
    call: i32,
    retry: i32,
    client: &[u8],
    method: Option<&RequestHeaderProto>,
    body: Option<&impl Message>,
) -> Vec<u8> {
    let header = RpcRequestHeaderProto {
        rpc_kind: Some(RpcKindProto::RpcProtocolBuffer as i32),
        rpc_op: Some(OperationProto::RpcFinalPacket as i32),
        call_id: call,
        client_id: client.to_vec(),
        retry_count: Some(retry),
    };
    let mut frame = vec![0; 4];
    let enough = "a vector grows";
    header.encode_length_delimited(&mut frame).expect(enough);
    if let Some(method) = method {
        method.encode_length_delimited(&mut frame).expect(enough);
    }
    if let Some(body) = body {
        body.encode_length_delimited(&mut frame).expect(enough);
    }
    let length = (frame.len() - 4) as u32;
    frame[..4].copy_from_slice(&length.to_be_bytes());
    frame
}

/// A step of the login, or a sealed message.
pub(super) fn encode_sasl(message: &RpcSaslProto) -> Vec<u8> {
    encode(CALL_SASL, NO_RETRY, &[], None, Some(message))
}

/// A frame inside a message of the login protocol, sealed.
pub(super) fn encode_sealed(sealer: &mut Sealer, frame: &[u8]) -> Result<Vec<u8>, String> {
    let token = Some(sealer.seal(frame)?);
    Ok(encode_sasl(&RpcSaslProto { version: None, state: SaslState::Wrap as i32, token, auths: Vec::new() }))
}

/// Takes the first whole frame off `buffer`, without its length; `None` when more has to be read.
pub(super) fn take_frame(buffer: &mut BytesMut, bytes_max: usize) -> Result<Option<Bytes>, Unreadable> {
    let Some(length) = buffer.first_chunk::<4>() else { return Ok(None) };
    let length = u32::from_be_bytes(*length) as usize;
    if length > bytes_max {
        let message = format!("a message of {length} bytes; ipc.maximum.response.length allows {bytes_max}");
        return Err(Unreadable::Garbled(message));
    }
    if buffer.len() - 4 < length {
        return Ok(None);
    }
    buffer.advance(4);
    Ok(Some(buffer.split_to(length).freeze()))
}

/// The header of a response; what remains of `frame` is the answer itself.
pub(super) fn take_header(frame: &mut Bytes) -> Result<RpcResponseHeaderProto, Unreadable> {
    RpcResponseHeaderProto::decode_length_delimited(frame)
        .map_err(|error| Unreadable::Garbled(format!("a response without a header: {error}")))
}

/// The frames of a connection, opened if they are sealed.
pub(super) struct Frames<R> {
    stream: R,
    received: BytesMut,
    bytes_max: usize,
    sealed: Option<Sealed>,
}

/// What is needed once messages are sealed: their content is a stream of frames of its own.
struct Sealed {
    opener: Sealer,
    opened: BytesMut,
    /// Takes the header off, and returns the call id in it.
    take_call: fn(&mut Bytes) -> Result<i32, Unreadable>,
}

impl<R: AsyncRead + Unpin> Frames<R> {
    /// Frames of at most `bytes_max` bytes. Memory is used for what has come, whatever a length promises.
    pub(super) fn new(stream: R, bytes_max: usize) -> Frames<R> {
        Frames { stream, received: BytesMut::new(), bytes_max, sealed: None }
    }

    /// From now on frames are sealed.
    pub(super) fn open_with(&mut self, opener: Sealer) {
        let take_call = |frame: &mut Bytes| Ok(take_header(frame)?.call_id as i32);
        self.sealed = Some(Sealed { opener, opened: BytesMut::new(), take_call });
    }

    /// The same for a server's end.
    #[cfg(test)]
    pub(super) fn open_requests_with(&mut self, opener: Sealer) {
        let take_call = |frame: &mut Bytes| Ok(RpcRequestHeaderProto::decode_length_delimited(frame).unwrap().call_id);
        self.sealed = Some(Sealed { opener, opened: BytesMut::new(), take_call });
    }

    /// The next frame. May be dropped while it waits; nothing is lost.
    pub(super) async fn next(&mut self) -> Result<Bytes, Unreadable> {
        loop {
            if let Some(sealed) = &mut self.sealed
                && let Some(frame) = take_frame(&mut sealed.opened, self.bytes_max)?
            {
                return Ok(frame);
            }
            if let Some(frame) = take_frame(&mut self.received, self.bytes_max)? {
                match &mut self.sealed {
                    None => return Ok(frame),
                    Some(sealed) => sealed.take(frame)?,
                }
                continue;
            }
            self.received.reserve(READ_BYTES);
            match self.stream.read_buf(&mut self.received).await {
                Ok(0) if self.received.is_empty() => return Err(Unreadable::Ended("closed by the server".to_owned())),
                Ok(0) => return Err(Unreadable::Ended("closed by the server inside a message".to_owned())),
                Ok(_) => {}
                Err(error) => return Err(Unreadable::Ended(error.to_string())),
            }
        }
    }
}

impl Sealed {
    fn take(&mut self, mut frame: Bytes) -> Result<(), Unreadable> {
        let garbled = |what: String| Unreadable::Garbled(what);
        let call = (self.take_call)(&mut frame)?;
        if call != CALL_SASL {
            return Err(garbled(format!("response {call} is not protected, as was agreed")));
        }
        let message = RpcSaslProto::decode_length_delimited(frame)
            .map_err(|error| garbled(format!("a protected message: {error}")))?;
        let token = message.token.unwrap_or_default();
        self.opened.extend_from_slice(&self.opener.open(&token).map_err(garbled)?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn block_on<F: Future>(future: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    #[test]
    fn a_request_is_what_hadoop_reads() {
        let method = RequestHeaderProto {
            method_name: "m".to_owned(),
            declaring_class_protocol_name: "p".to_owned(),
            client_protocol_version: 1,
        };
        let body = RequestHeaderProto::default();
        let frame = encode(5, 0, &[7; 2], Some(&method), Some(&body));
        // rpcKind 2, rpcOp 0, callId zigzag(5), clientId, retryCount zigzag(0)
        let header = [12, 8, 2, 16, 0, 24, 10, 34, 2, 7, 7, 40, 0];
        assert_eq!(frame[..4], [0, 0, 0, 29]);
        assert_eq!(frame[4..17], header);
        assert_eq!(frame[17..26], [8, 10, 1, b'm', 18, 1, b'p', 24, 1]);
        assert_eq!(frame[26..], [6, 10, 0, 18, 0, 24, 0][..], "required fields are written even when empty");
        let ping = encode(CALL_PING, NO_RETRY, &[], None, None::<&RequestHeaderProto>);
        assert_eq!(ping, [0, 0, 0, 11, 10, 8, 2, 16, 0, 24, 7, 34, 0, 40, 1]);
    }

    #[test]
    fn a_length_over_the_limit_is_an_error_before_anything_is_reserved() {
        let mut frames = Frames::new(&[0x7f, 0xff, 0xff, 0xff, 0][..], 1000);
        let message = "a message of 2147483647 bytes; ipc.maximum.response.length allows 1000".to_owned();
        assert_eq!(block_on(frames.next()), Err(Unreadable::Garbled(message)));
        let mut frames = Frames::new(&[0, 0, 3, 0xe8, 1, 2, 3][..], 1000);
        let ended = Unreadable::Ended("closed by the server inside a message".to_owned());
        assert_eq!(block_on(frames.next()), Err(ended));
        assert!(frames.received.capacity() <= 2 * READ_BYTES);
    }

    proptest! {
        #[test]
        fn frames_come_out_as_they_went_in(bodies: Vec<Vec<u8>>, cuts in proptest::collection::vec(1usize..40, 1..20)) {
            let mut stream = Vec::new();
            for body in &bodies {
                stream.extend_from_slice(&(body.len() as u32).to_be_bytes());
                stream.extend_from_slice(body);
            }
            let (mut buffer, mut found, mut at, mut cut) = (BytesMut::new(), Vec::new(), 0, cuts.iter().cycle());
            while at < stream.len() {
                let end = stream.len().min(at + cut.next().unwrap());
                buffer.extend_from_slice(&stream[at..end]);
                at = end;
                while let Some(frame) = take_frame(&mut buffer, 1 << 20).unwrap() {
                    found.push(frame.to_vec());
                }
            }
            prop_assert_eq!(found, bodies);
            prop_assert!(buffer.is_empty());
        }

        #[test]
        fn any_bytes_end_in_an_error(bytes: Vec<u8>) {
            let mut frames = Frames::new(&bytes[..], 64);
            block_on(async {
                while let Ok(mut frame) = frames.next().await {
                    let _ = take_header(&mut frame);
                }
            });
        }
    }
}
