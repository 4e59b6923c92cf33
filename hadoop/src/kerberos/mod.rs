//! Kerberos: as whom servers are asked that want to know for certain, and what they prove in turn.
//!
//! | module | what lives there |
//! |---|---|
//! | `gssapi` | MIT's library, loaded when it is first needed |
//! | `mechanism` | its SASL mechanism (RFC 4752), and messages that it protects |
//! | `principal` | who servers have to be |

mod gssapi;
mod mechanism;
mod principal;

pub(crate) use mechanism::{Half, Mechanism};
pub use principal::Principals;
pub(crate) use principal::{NAME_NODE, RESOURCE_MANAGER};

use crate::conf::Configuration;
use crate::error::{Error, Result};
use gssapi::{Credential, Failure, Store};
use std::path::Path;

/// The variable with the path of a keytab, for programs that processes of the engine start.
pub const KEYTAB: &str = "FLINKRS_KERBEROS_KEYTAB";

/// The variable with the principal whose keys the keytab has.
pub const PRINCIPAL: &str = "FLINKRS_KERBEROS_PRINCIPAL";

/// The variable that is `false` when the user's ticket cache doesn't count.
pub const TICKET_CACHE: &str = "FLINKRS_KERBEROS_TICKET_CACHE";

/// What helps who has no ticket.
pub const REMEDY: &str =
    "get one with `kinit`, or set security.kerberos.login.keytab and security.kerberos.login.principal";

/// What MIT's library says when there is nothing to log in with: KRB5_FCC_NOFILE, KRB5_CC_NOTFOUND, KRB5_KT_NOTFOUND,
/// KG_EMPTY_CCACHE.
const NO_CREDENTIALS: [i32; 4] = [-1_765_328_189, -1_765_328_243, -1_765_328_203, 39_756_044];

/// A user who can prove who that is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    principal: String,
    keytab: Option<Keytab>,
}

/// Where a user's keys lie, and where the tickets that they bring are kept: in this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keytab {
    /// The file.
    pub path: String,
    /// The cache, as MIT's library names it.
    pub cache: String,
}

impl Login {
    /// By the keytab that the environment names, or else by the tickets in the user's cache (`KRB5CCNAME`). No server
    /// is asked.
    ///
    /// # Errors
    /// When there is neither, the tickets have expired, or MIT's library isn't installed; the message says what to do.
    pub fn find(conf: &Configuration) -> Result<Login> {
        match (conf.variable(KEYTAB), conf.variable(PRINCIPAL)) {
            (Some(path), Some(principal)) => Login::of_keytab(path, principal),
            (None, None) if conf.variable(TICKET_CACHE).as_deref() == Some("false") => Err(Error::configuration(
                "the cluster wants a login by Kerberos, and security.kerberos.login.use-ticket-cache is false: set \
                 security.kerberos.login.keytab and security.kerberos.login.principal",
            )),
            (None, None) => Login::of_ticket_cache(),
            _ => Err(Error::configuration(
                "security.kerberos.login.keytab and security.kerberos.login.principal are set together or not at all",
            )),
        }
    }

    fn of_keytab(path: String, principal: String) -> Result<Login> {
        // MIT's library would only say that there are no credentials, and when it is asked for a ticket.
        std::fs::File::open(&path).map_err(|error| Error::file("read keytab", Path::new(&path), error))?;
        let cache = format!("MEMORY:flinkrs-{principal}");
        Ok(Login { principal, keytab: Some(Keytab { path, cache }) })
    }

    fn of_ticket_cache() -> Result<Login> {
        let described = Credential::acquire(None, None).and_then(|credential| credential.describe());
        let expired = || Error::configuration(format!("the Kerberos ticket in the cache has expired: {REMEDY}"));
        match described {
            Ok((_, 0)) => Err(expired()),
            Ok((principal, _)) => Ok(Login { principal, keytab: None }),
            Err(failure) if failure.is_expired => Err(expired()),
            Err(failure) if failure.code == 0 => Err(Error::configuration(failure.text)),
            Err(failure) => {
                Err(Error::configuration(format!("there is no Kerberos ticket ({}): {REMEDY}", failure.text)))
            }
        }
    }

    /// Who that is for Kerberos, such as `ann@EXAMPLE.COM`.
    pub fn principal(&self) -> &str {
        &self.principal
    }

    /// The user's name: the principal up to its first `/` or `@`. Rules such as those of
    /// `hadoop.security.auth_to_local` are the servers'.
    pub fn user(&self) -> &str {
        self.principal.split(['/', '@']).next().unwrap_or_default()
    }

    /// The user's keys, unless it is the tickets of a cache that count.
    pub fn keytab(&self) -> Option<&Keytab> {
        self.keytab.as_ref()
    }

    /// For one connection: so tickets that were got meanwhile count.
    fn acquire(&self) -> Result<Credential, Failure> {
        match &self.keytab {
            Some(Keytab { path, cache }) => {
                Credential::acquire(Some(&self.principal), Some(Store { keytab: path, cache }))
            }
            None => Credential::acquire(None, None),
        }
    }

    /// What is wrong, and what to do.
    fn explain(&self, failure: &Failure) -> String {
        match &self.keytab {
            Some(Keytab { path, .. }) if NO_CREDENTIALS.contains(&failure.code) => {
                format!("keytab {path} has no keys of {}", self.principal)
            }
            Some(Keytab { path, .. }) => {
                let remedy = format!("keytab {path} has to have the keys of {}", self.principal);
                explain(failure.code, &failure.text, &remedy)
            }
            None => explain(failure.code, &failure.text, REMEDY),
        }
    }
}

/// A failure of MIT's library in one line: its words, and what to do where that is known from its number.
///
/// `remedy` is for who has no valid ticket.
pub fn explain(code: i32, text: &str, remedy: &str) -> String {
    let hint = match code {
        none if NO_CREDENTIALS.contains(&none) => remedy,
        // KRB5KRB_AP_ERR_TKT_EXPIRED, KRB5KDC_ERR_C_PRINCIPAL_UNKNOWN, PREAUTH_FAILED, KRB5KRB_AP_ERR_BAD_INTEGRITY
        -1_765_328_352 | -1_765_328_378 | -1_765_328_360 | -1_765_328_353 => remedy,
        // KRB5KDC_ERR_S_PRINCIPAL_UNKNOWN
        -1_765_328_377 => "the KDC doesn't know the server's principal",
        // KRB5KRB_AP_ERR_SKEW
        -1_765_328_347 => "the clocks of this machine and the KDC differ by more than 5 minutes: set them by NTP",
        // KRB5_REALM_UNKNOWN, KRB5_REALM_CANT_RESOLVE
        -1_765_328_230 | -1_765_328_229 => "krb5.conf (KRB5_CONFIG) has to name a KDC of the realm",
        // KRB5_KDC_UNREACH
        -1_765_328_228 => "is the KDC up that krb5.conf (KRB5_CONFIG) names?",
        _ => return text.to_owned(),
    };
    format!("{text}: {hint}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conf(variables: &[(&str, &str)]) -> Configuration {
        Configuration::empty(variables.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())))
    }

    #[test]
    fn half_a_login_is_refused() {
        let said = |variables: &[_]| Login::find(&conf(variables)).expect_err("it is no login").to_string();
        let half = said(&[(KEYTAB, "/k")]);
        assert!(half.contains("set together"), "{half}");
        assert_eq!(half, said(&[(PRINCIPAL, "ann@A")]));
        let none = said(&[(TICKET_CACHE, "false")]);
        assert!(none.contains("use-ticket-cache is false"), "{none}");
        let missing = said(&[(KEYTAB, "/no/such/keytab"), (PRINCIPAL, "ann@A")]);
        assert!(missing.starts_with("cannot read keytab /no/such/keytab: "), "{missing}");
    }

    #[test]
    fn a_user_is_the_first_part_of_a_principal() {
        let user = |principal: &str| Login { principal: principal.to_owned(), keytab: None }.user().to_owned();
        assert_eq!((user("ann@A.B").as_str(), user("nn/host@A").as_str(), user("eve").as_str()), ("ann", "nn", "eve"));
    }

    #[test]
    fn failures_say_what_helps() {
        let text = explain(-1_765_328_228, "Cannot contact any KDC for realm 'A'", "");
        assert!(text.starts_with("Cannot contact any KDC for realm 'A': is the KDC up"), "{text}");
        assert_eq!(explain(1, "other", "kinit"), "other");
    }
}
