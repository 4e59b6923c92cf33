//! Tokens for longer than one can be renewed: an ApplicationMaster that has its user's keys gets new ones in time.
//!
//! ```text
//! NameNode ─ new tokens ─▶ ApplicationMaster ─ its own token file
//!                                │           ─ launch contexts of new containers
//!                                └─ a file on HDFS ─▶ TaskExecutors ─ their token files ─▶ workers
//! ```
//!
//! Whoever has a token file uses what it has when a connection is made.

use crate::spec::{Common, KEYTAB, NewTokens};
use flinkrs_hadoop::conf::Configuration;
use flinkrs_hadoop::error::Result;
use flinkrs_hadoop::kerberos;
use flinkrs_hadoop::rpc::{Auth, Options};
use flinkrs_hadoop::token::{Credentials, Format, TOKEN_FILE, Token};
use flinkrs_hadoop::{NameNode, token_service};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// After so long an application gets its first tokens of its own: many end before.
pub const FIRST: Duration = Duration::from_secs(10);

/// New ones come after this part of the time for which tokens are good.
const SHARE: f64 = 0.75;

/// TaskExecutors look for them so many times in that time.
const LOOKS: u32 = 8;

/// When it has failed, it is tried again after so long, or sooner if tokens are short-lived.
pub const RETRY_MAX: Duration = Duration::from_secs(600);

/// Between two looks or tries, at least.
const PAUSE_MIN: Duration = Duration::from_secs(1);

/// The name under which the file on HDFS has how long its tokens are used, in ms.
const PERIOD: &str = "flinkrs.period";

/// Gets tokens by the user's keys.
pub struct Source {
    conf: Configuration,
    file_systems: Vec<String>,
    principal: String,
}

/// New tokens, and for how long they are used.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The tokens, by their services.
    pub tokens: BTreeMap<String, Token>,
    /// When the next ones come.
    pub period: Duration,
}

impl Source {
    /// By the keys in `folder`, the ApplicationMaster's.
    pub fn new(common: &Common, new: &NewTokens, folder: &Path) -> Source {
        let keytab = folder.join(KEYTAB).display().to_string();
        let login = [(kerberos::KEYTAB, keytab), (kerberos::PRINCIPAL, new.principal.clone())];
        let conf = common.hadoop_with(login.map(|(name, value)| (name.to_owned(), value)).to_vec());
        Source { conf, file_systems: new.file_systems.clone(), principal: new.principal.clone() }
    }

    fn name_node(&self, authority: &str) -> Result<NameNode> {
        NameNode::new(&self.conf, authority, Auth::of(&self.conf)?, Options::from_configuration(&self.conf)?)
    }

    /// Asks every NameNode for a token. It is its own user who may renew it, which is how one learns for how long a
    /// token is good.
    pub async fn get(&self) -> Result<Batch> {
        let (mut tokens, mut good) = (BTreeMap::new(), Duration::MAX);
        for authority in &self.file_systems {
            let name_node = self.name_node(authority)?;
            let Some(token) = name_node.delegation_token(&self.principal).await? else { continue };
            let until = Duration::from_millis(name_node.renew_delegation_token(&token).await?);
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            good = good.min(until.saturating_sub(now));
            let service = token_service(&self.conf, authority)?;
            tokens.insert(service.clone(), Token { service, ..token });
        }
        Ok(Batch { tokens, period: good.mul_f64(SHARE).max(PAUSE_MIN) })
    }

    /// Ends tokens that nobody needs any more; those that can't be ended by themselves, when they aren't renewed.
    pub async fn cancel(&self, batch: &Batch) {
        for authority in &self.file_systems {
            let service = token_service(&self.conf, authority).unwrap_or_default();
            if let (Some(token), Ok(name_node)) = (batch.tokens.get(&service), self.name_node(authority)) {
                let _ = name_node.cancel_delegation_token(token).await;
            }
        }
    }
}

impl Batch {
    /// When it is tried again to get the next ones.
    pub fn retry(&self) -> Duration {
        (self.period / LOOKS).clamp(PAUSE_MIN, RETRY_MAX)
    }

    /// The content of the file on HDFS.
    pub fn encode(&self) -> Vec<u8> {
        let period = (self.period.as_millis() as u64).to_be_bytes().to_vec();
        let secrets = BTreeMap::from([(PERIOD.to_owned(), period)]);
        Credentials { tokens: self.tokens.clone(), secrets }.encode(Format::Writable)
    }

    /// Reads such a file.
    ///
    /// # Errors
    /// When it is none.
    pub fn decode(bytes: &[u8]) -> Result<Batch> {
        let Credentials { tokens, secrets } = Credentials::decode(bytes)?;
        let period = secrets.get(PERIOD).and_then(|ms| ms.as_slice().try_into().ok()).map_or(0, u64::from_be_bytes);
        Ok(Batch { tokens, period: Duration::from_millis(period).max(PAUSE_MIN) })
    }

    /// When somebody looks again whether there are newer ones.
    pub fn next_look(&self) -> Duration {
        (self.period / LOOKS).max(PAUSE_MIN)
    }

    /// Puts them into this container's token file, in place of those that are there for the same servers.
    ///
    /// # Errors
    /// When the container has none, or it can't be replaced.
    pub fn store_here(&self) -> Result<()> {
        let Some(path) = std::env::var_os(TOKEN_FILE) else { return Ok(()) };
        let mut credentials = Credentials::load(Path::new(&path))?;
        credentials.tokens.extend(self.tokens.clone());
        credentials.replace(Path::new(&path), Format::Writable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_travels_with_its_period() {
        let token = Token { identifier: vec![1], password: vec![2], kind: "K".to_owned(), service: "h:1".to_owned() };
        let batch = Batch { tokens: [("h:1".to_owned(), token)].into(), period: Duration::from_secs(64_800) };
        let found = Batch::decode(&batch.encode()).expect("it was written");
        assert_eq!((&found.tokens, found.period), (&batch.tokens, batch.period));
        assert_eq!((found.next_look().as_secs(), found.retry()), (8_100, RETRY_MAX));
        let short = Batch { period: Duration::from_millis(10), ..batch };
        assert_eq!((short.next_look(), short.retry()), (PAUSE_MIN, PAUSE_MIN));
        assert!(Batch::decode(b"x").is_err());
    }
}
