//! What two workers say before frames: who they are, and that both know the job's secret.
//!
//! ```text
//! dialer   → Hello                      magic, version, job, peer, nonce
//! acceptor → Hello
//! dialer   → HMAC-SHA256(secret, "dialer"   | both hellos)
//! acceptor → verdict | HMAC-SHA256(secret, "acceptor" | both hellos | verdict)
//! ```
//!
//! The dialer proves itself first: the acceptor gives nothing that was made with the secret to a stranger. The nonces
//! make every proof a new one, the roles in them keep one side's proof from being sent back to it.

use crate::network::remote::PeerId;
use crate::network::remote::frame::Malformed;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

const MAGIC: [u8; 4] = *b"FLKX";

/// The version of everything that crosses a connection.
const VERSION: u16 = 1;

const HELLO_BYTES: usize = 64;
const PROOF_BYTES: usize = 32;

/// What this side is, and its secret.
#[derive(Clone)]
pub(crate) struct Identity {
    pub(crate) job: u128,
    pub(crate) me: PeerId,
    pub(crate) secret: Vec<u8>,
}

/// What an acceptor says of a connection from a peer that it knows now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// This is the connection between the two.
    Accepted = 1,
    /// There is one already, or one in the other direction goes first.
    Duplicate = 2,
}

type Hello = [u8; HELLO_BYTES];

/// One side of a handshake: takes bytes, gives bytes, and ends with a peer or an error.
pub(crate) struct Handshake {
    identity: Identity,
    role: Role,
    mine: Hello,
    theirs: Option<Hello>,
    input: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Dialer,
    Acceptor,
}

/// What follows from the bytes that have come.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing yet.
    Wait,
    /// These bytes are to be sent, then more come.
    Send(Vec<u8>),
    /// At the acceptor: the peer is who it says; call [`Handshake::answer`].
    Proven(PeerId),
    /// At the dialer: the peer is who it says, and has decided.
    Decided(PeerId, Verdict),
}

impl Handshake {
    /// The dialer's side, and what it sends first.
    pub(crate) fn dial(identity: Identity, nonce: [u8; 32]) -> (Handshake, Vec<u8>) {
        let mine = hello(&identity, nonce);
        (Handshake::new(identity, Role::Dialer, mine), mine.to_vec())
    }

    /// The acceptor's side.
    pub(crate) fn accept(identity: Identity, nonce: [u8; 32]) -> Handshake {
        let mine = hello(&identity, nonce);
        Handshake::new(identity, Role::Acceptor, mine)
    }

    fn new(identity: Identity, role: Role, mine: Hello) -> Handshake {
        Handshake { identity, role, mine, theirs: None, input: Vec::new() }
    }

    /// How many bytes to read at most: what follows a handshake are frames.
    pub(crate) fn wants(&self) -> usize {
        let whole = match (self.role, self.theirs) {
            (_, None) => HELLO_BYTES,
            (Role::Dialer, Some(_)) => 1 + PROOF_BYTES,
            (Role::Acceptor, Some(_)) => PROOF_BYTES,
        };
        whole - self.input.len()
    }

    /// Takes at most [`Handshake::wants`] bytes.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Result<Step, Malformed> {
        assert!(bytes.len() <= self.wants(), "no more is read than is wanted");
        self.input.extend_from_slice(bytes);
        if self.wants() > 0 {
            return Ok(Step::Wait);
        }
        let input = std::mem::take(&mut self.input);
        match (self.role, self.theirs) {
            (role, None) => {
                let theirs: Hello = input.try_into().map_err(|_| Malformed("a hello of another length".to_owned()))?;
                let answer = match role {
                    Role::Acceptor => self.mine.to_vec(),
                    Role::Dialer => self.proof("dialer", &self.mine, &theirs, &[]).finalize().into_bytes().to_vec(),
                };
                // An acceptor of another version says which it is, by its hello, before it hangs up.
                self.check_hello(&theirs)?;
                self.theirs = Some(theirs);
                Ok(Step::Send(answer))
            }
            (Role::Acceptor, Some(theirs)) => {
                self.verify("dialer", &theirs, &self.mine, &[], &input)?;
                Ok(Step::Proven(peer_of(&theirs)))
            }
            (Role::Dialer, Some(theirs)) => {
                self.verify("acceptor", &self.mine, &theirs, &input[..1], &input[1..])?;
                let verdict = match input[0] {
                    1 => Verdict::Accepted,
                    2 => Verdict::Duplicate,
                    other => return Err(Malformed(format!("an unknown verdict {other}"))),
                };
                Ok(Step::Decided(peer_of(&theirs), verdict))
            }
        }
    }

    /// At the acceptor: the last bytes to send.
    pub(crate) fn answer(&self, verdict: Verdict) -> Vec<u8> {
        let theirs = self.theirs.expect("the peer has proven itself");
        let verdict = [verdict as u8];
        let proof = self.proof("acceptor", &theirs, &self.mine, &verdict).finalize().into_bytes();
        [&verdict[..], &proof[..]].concat()
    }

    /// Whether a peer that hangs up now does so because of what this side, which has dialed, has said.
    pub(crate) fn is_judged(&self) -> bool {
        self.role == Role::Dialer && self.theirs.is_some()
    }

    /// What to send to a dialer whose hello was refused: the own hello, from which it can tell why.
    pub(crate) fn parting(&self) -> Option<Vec<u8>> {
        (self.role == Role::Acceptor && self.theirs.is_none()).then(|| self.mine.to_vec())
    }

    fn proof(&self, role: &str, dialer: &Hello, acceptor: &Hello, verdict: &[u8]) -> Hmac<Sha256> {
        let mut mac =
            <Hmac<Sha256> as KeyInit>::new_from_slice(&self.identity.secret).expect("HMAC takes keys of any length");
        for part in [role.as_bytes(), dialer, acceptor, verdict] {
            mac.update(part);
        }
        mac
    }

    /// Compares in constant time.
    fn verify(
        &self,
        role: &str,
        dialer: &Hello,
        acceptor: &Hello,
        verdict: &[u8],
        proof: &[u8],
    ) -> Result<(), Malformed> {
        let expected = self.proof(role, dialer, acceptor, verdict);
        expected.verify_slice(proof).map_err(|_| Malformed("the peer doesn't know this job's secret".to_owned()))
    }

    fn check_hello(&self, theirs: &Hello) -> Result<(), Malformed> {
        if theirs[..4] != MAGIC {
            return Err(Malformed("not a worker of flinkrs".to_owned()));
        }
        let version = u16::from_le_bytes([theirs[4], theirs[5]]);
        if version != VERSION {
            return Err(Malformed(format!("the peer speaks version {version} of the protocol, this worker {VERSION}")));
        }
        if theirs[6..8] != [0, 0] {
            return Err(Malformed("a hello with unknown flags".to_owned()));
        }
        if theirs[8..24] != self.identity.job.to_le_bytes() {
            return Err(Malformed("the peer belongs to another job".to_owned()));
        }
        if theirs[32..] == self.mine[32..] || peer_of(theirs) == self.identity.me {
            return Err(Malformed("the peer has this worker's own id".to_owned()));
        }
        Ok(())
    }
}

fn hello(identity: &Identity, nonce: [u8; 32]) -> Hello {
    let mut out = [0; HELLO_BYTES];
    out[..4].copy_from_slice(&MAGIC);
    out[4..6].copy_from_slice(&VERSION.to_le_bytes());
    out[8..24].copy_from_slice(&identity.job.to_le_bytes());
    out[24..32].copy_from_slice(&identity.me.0.to_le_bytes());
    out[32..].copy_from_slice(&nonce);
    out
}

fn peer_of(hello: &Hello) -> PeerId {
    let mut id = [0; 8];
    id.copy_from_slice(&hello[24..32]);
    PeerId(u64::from_le_bytes(id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn identity(me: u64, job: u128, secret: &[u8]) -> Identity {
        Identity { job, me: PeerId(me), secret: secret.to_vec() }
    }

    /// Lets two sides talk in pieces of so many bytes.
    fn talk(a: Identity, b: Identity, verdict: Verdict, piece: usize) -> Result<(PeerId, PeerId, Verdict), Malformed> {
        let (mut dialer, first) = Handshake::dial(a, [1; 32]);
        let mut acceptor = Handshake::accept(b, [2; 32]);
        let give = |side: &mut Handshake, bytes: &[u8]| {
            let mut step = Step::Wait;
            for piece in bytes.chunks(piece) {
                step = side.take(piece)?;
            }
            Ok(step)
        };
        let Step::Send(hello) = give(&mut acceptor, &first)? else { panic!("a hello") };
        let Step::Send(proof) = give(&mut dialer, &hello)? else { panic!("a proof") };
        let Step::Proven(dialed_by) = give(&mut acceptor, &proof)? else { panic!("a peer") };
        let Step::Decided(accepted_by, verdict) = give(&mut dialer, &acceptor.answer(verdict))? else {
            panic!("a verdict")
        };
        Ok((dialed_by, accepted_by, verdict))
    }

    #[test]
    fn two_that_share_a_secret_know_each_other() {
        for piece in [1, 7, 64] {
            for verdict in [Verdict::Accepted, Verdict::Duplicate] {
                let known = talk(identity(1, 9, b"s"), identity(2, 9, b"s"), verdict, piece);
                assert_eq!(known, Ok((PeerId(1), PeerId(2), verdict)));
            }
        }
    }

    #[test]
    fn another_secret_or_job_or_self_is_refused() {
        let talk = |b| talk(identity(1, 9, b"s"), b, Verdict::Accepted, 64).unwrap_err().0;
        assert!(talk(identity(2, 9, b"t")).contains("secret"));
        assert!(talk(identity(2, 8, b"s")).contains("another job"));
        assert!(talk(identity(1, 9, b"s")).contains("own id"));
    }

    #[test]
    fn another_version_is_named_on_both_sides() {
        let (mut dialer, mut first) = Handshake::dial(identity(1, 9, b"s"), [1; 32]);
        let mut acceptor = Handshake::accept(identity(2, 9, b"s"), [2; 32]);
        first[4] = 77;
        assert!(acceptor.take(&first).unwrap_err().0.contains("version 77"));
        let mut parting = acceptor.parting().unwrap();
        parting[4] = 78;
        assert!(dialer.take(&parting).unwrap_err().0.contains("version 78"));
    }

    #[test]
    fn a_verdict_can_not_be_changed_on_its_way() {
        let (mut dialer, first) = Handshake::dial(identity(1, 9, b"s"), [1; 32]);
        let mut acceptor = Handshake::accept(identity(2, 9, b"s"), [2; 32]);
        let Ok(Step::Send(hello)) = acceptor.take(&first) else { panic!("a hello") };
        let Ok(Step::Send(proof)) = dialer.take(&hello) else { panic!("a proof") };
        assert_eq!(acceptor.take(&proof), Ok(Step::Proven(PeerId(1))));
        let mut answer = acceptor.answer(Verdict::Accepted);
        answer[0] = Verdict::Duplicate as u8;
        assert!(dialer.take(&answer).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused_or_waited_for(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut acceptor = Handshake::accept(identity(2, 9, b"s"), [2; 32]);
            let wants = acceptor.wants();
            let step = acceptor.take(&bytes[..bytes.len().min(wants)]);
            prop_assert!(step == Ok(Step::Wait) || step.is_err());
        }
    }
}
