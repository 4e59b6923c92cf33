//! Times and limits of calls.

use crate::conf::Configuration;
use crate::digest::Protection;
use crate::error::{Error, Result};
use crate::kerberos::Principals;
use std::time::Duration;

/// Times and limits of calls. The defaults are Hadoop's, where it has them.
#[derive(Clone, Debug)]
pub struct Options {
    /// For connecting and logging in.
    pub connect_timeout: Duration,
    /// For the answer to one call, once connected.
    pub call_timeout: Duration,
    /// How long a call is tried again, by how its first try began.
    pub retry_max: Duration,
    /// The pause after all servers have failed once; it doubles from then on.
    pub retry_pause: Duration,
    /// The longest pause.
    pub retry_pause_max: Duration,
    /// How often a server is pinged while it owes answers, so that a dead connection is noticed.
    pub ping_interval: Duration,
    /// A connection without calls is closed after this.
    pub idle_max: Duration,
    /// The longest message of a server, in bytes.
    pub response_bytes_max: usize,
    /// How messages may be protected, best first. Not where the user is only named.
    pub protections: Vec<Protection>,
    /// Who servers have to be that prove it by Kerberos.
    pub principals: Principals,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            connect_timeout: Duration::from_secs(20),
            call_timeout: Duration::from_secs(120),
            retry_max: Duration::from_secs(900),
            retry_pause: Duration::from_millis(100),
            retry_pause_max: Duration::from_secs(5),
            ping_interval: Duration::from_secs(60),
            idle_max: Duration::from_secs(10),
            response_bytes_max: 128 << 20,
            protections: vec![Protection::Auth],
            principals: Principals::default(),
        }
    }
}

impl Options {
    /// What a Hadoop configuration says. A time of 0, by which Hadoop means "never", counts as the default: every wait
    /// ends.
    pub fn from_configuration(conf: &Configuration) -> Result<Options> {
        let default = Options::default();
        let time = |key: &str, default: Duration| {
            Ok::<_, Error>(Some(conf.time(key, default)?).filter(|time| !time.is_zero()).unwrap_or(default))
        };
        let bytes = conf.number("ipc.maximum.response.length", default.response_bytes_max as u64)?;
        Ok(Options {
            connect_timeout: time("ipc.client.connect.timeout", default.connect_timeout)?,
            call_timeout: time("ipc.client.rpc-timeout.ms", default.call_timeout)?,
            retry_max: time("yarn.resourcemanager.connect.max-wait.ms", default.retry_max)?,
            ping_interval: time("ipc.ping.interval", default.ping_interval)?,
            idle_max: time("ipc.client.connection.maxidletime", default.idle_max)?,
            response_bytes_max: usize::try_from(bytes).unwrap_or(usize::MAX).min(i32::MAX as usize),
            protections: protections(conf)?,
            principals: Principals::from_configuration(conf)?,
            ..default
        })
    }

    /// The pause after try number `retry` (from 0) of a call to one of `servers`: none before each was asked once, then
    /// doubling, and up to a quarter less, so that clients don't come all at once.
    pub(super) fn retry_delay(&self, retry: u32, servers: u32) -> Duration {
        if !(retry + 1).is_multiple_of(servers) {
            return Duration::ZERO;
        }
        let round = (retry / servers).min(16);
        let pause = self.retry_pause.saturating_mul(1 << round).min(self.retry_pause_max);
        let mut random = [0];
        // Without randomness the pause is just not varied.
        let _ = getrandom::fill(&mut random);
        pause - pause.mul_f64(f64::from(random[0]) / 1024.0)
    }
}

fn protections(conf: &Configuration) -> Result<Vec<Protection>> {
    let key = "hadoop.rpc.protection";
    let names = conf.list(key)?;
    let protection = |name: &String| match name.to_ascii_lowercase().as_str() {
        "authentication" => Ok(Protection::Auth),
        "integrity" => Ok(Protection::Integrity),
        "privacy" => Ok(Protection::Privacy),
        _ => Err(Error::configuration(format!("{key} names '{name}'; there are authentication, integrity, privacy"))),
    };
    let found: Vec<Protection> = names.iter().map(protection).collect::<Result<_>>()?;
    Ok(if found.is_empty() { vec![Protection::Auth] } else { found })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_sets_times_and_protection() {
        let mut conf = Configuration::default();
        conf.set("ipc.client.rpc-timeout.ms", "0");
        conf.set("ipc.client.connect.timeout", "3s");
        conf.set("hadoop.rpc.protection", "privacy,integrity");
        let options = Options::from_configuration(&conf).unwrap();
        assert_eq!(options.call_timeout, Options::default().call_timeout);
        assert_eq!(options.connect_timeout, Duration::from_secs(3));
        assert_eq!(options.protections, [Protection::Privacy, Protection::Integrity]);
        conf.set("hadoop.rpc.protection", "none");
        assert!(Options::from_configuration(&conf).is_err());
    }

    #[test]
    fn pauses_come_after_each_round_and_double() {
        let options = Options::default();
        let ms = |retry, servers| options.retry_delay(retry, servers).as_millis();
        assert_eq!((ms(0, 2), ms(2, 2)), (0, 0));
        assert!((75..=100).contains(&ms(1, 2)) && (150..=200).contains(&ms(3, 2)));
        assert!((3750..=5000).contains(&ms(40, 1)));
    }
}
