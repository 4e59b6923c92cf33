//! Who servers have to be: a client tells its secrets to nobody else.

use crate::conf::Configuration;
use crate::error::Result;
use std::collections::BTreeMap;
use std::net::ToSocketAddrs;

/// The keys by which the configuration says who a kind of server is.
pub(crate) const NAME_NODE: &str = "dfs.namenode.kerberos.principal";
pub(crate) const RESOURCE_MANAGER: &str = "yarn.resourcemanager.principal";

/// What stands for the server's host in the principal of servers on many hosts.
const HOST: &str = "_HOST";

/// What is added to a key for a pattern in which `*` and `?` stand for anything.
const PATTERN: &str = ".pattern";

/// Who servers have to be.
#[derive(Clone, Debug, Default)]
pub struct Principals(BTreeMap<String, String>);

impl Principals {
    /// Those that a configuration names.
    pub fn from_configuration(conf: &Configuration) -> Result<Principals> {
        let mut found = BTreeMap::new();
        for key in
            [NAME_NODE, RESOURCE_MANAGER].map(|key| [key.to_owned(), format!("{key}{PATTERN}")]).into_iter().flatten()
        {
            if let Some(value) = conf.get(&key)?.filter(|value| !value.is_empty()) {
                found.insert(key, value);
            }
        }
        Ok(Principals(found))
    }

    /// The principal of the server at `address` (`host:port`), which says that it is `service/host`. Looks its name
    /// up, which may take a while.
    ///
    /// Errors when that isn't the one that the configuration names under `key`, or it names none.
    pub(crate) fn of_server(&self, key: &str, service: &str, host: &str, address: &str) -> Result<String, String> {
        let offered = format!("{service}/{host}");
        let realm = self.0.get(key).and_then(|named| named.split_once('@')).map(|(_, realm)| realm);
        let whole = realm.map_or_else(|| offered.clone(), |realm| format!("{offered}@{realm}"));
        if let Some(pattern) = self.0.get(&format!("{key}{PATTERN}")) {
            let (name, of_realm) = pattern.split_once('@').unwrap_or((pattern, "*"));
            return match matches(name, &offered) && realm.is_none_or(|realm| matches(of_realm, realm)) {
                true => Ok(whole),
                false => Err(format!("the server says that it is {whole}, and {key}{PATTERN} is {pattern}")),
            };
        }
        let Some(named) = self.0.get(key) else {
            return Err(format!("the configuration doesn't set {key}, and so not who the server has to be"));
        };
        let name = named.split('@').next().unwrap_or_default();
        let expected = match name.split_once('/') {
            Some((service, HOST)) => hosts(address).into_iter().map(|host| format!("{service}/{host}")).collect(),
            _ => vec![name.to_owned()],
        };
        if !expected.contains(&offered) {
            let expected = expected.join(" or ");
            return Err(format!("the server says that it is {offered}, and {key} ({named}) stands for {expected}"));
        }
        Ok(whole)
    }

    /// The principal of whichever server is at one of these addresses, for who only tells its name to others.
    pub(crate) fn named(&self, key: &str, address: &str) -> Option<String> {
        let host = address.rsplit_once(':').map_or(address, |(host, _)| host).to_ascii_lowercase();
        self.0.get(key).map(|named| named.replace(&format!("/{HOST}"), &format!("/{host}")))
    }
}

/// What the host at an address is called: as it is there, and as the system calls it by its IP address.
fn hosts(address: &str) -> Vec<String> {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host).to_ascii_lowercase();
    let ip = address.to_socket_addrs().ok().and_then(|mut found| found.next());
    let known = ip.and_then(|ip| dns_lookup::lookup_addr(&ip.ip()).ok()).map(|name| name.to_ascii_lowercase());
    let mut hosts = vec![host];
    hosts.extend(known.filter(|name| *name != hosts[0]));
    hosts
}

/// Whether a text is what a pattern stands for.
fn matches(pattern: &str, text: &str) -> bool {
    let mut rest = pattern.chars();
    match rest.next() {
        None => text.is_empty(),
        Some('*') => (0..=text.len()).any(|at| text.is_char_boundary(at) && matches(rest.as_str(), &text[at..])),
        Some(c) => text
            .chars()
            .next()
            .is_some_and(|first| (c == '?' || c == first) && matches(rest.as_str(), &text[first.len_utf8()..])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn principals(key: &str, value: &str) -> Principals {
        let mut conf = Configuration::default();
        conf.set(key, value);
        Principals::from_configuration(&conf).unwrap()
    }

    #[test]
    fn a_server_has_to_be_who_the_configuration_says() {
        let named = principals(NAME_NODE, "nn/_HOST@A.B");
        let at = |principals: &Principals, host: &str| principals.of_server(NAME_NODE, "nn", host, "nn1.Example:8020");
        assert_eq!(at(&named, "nn1.example"), Ok("nn/nn1.example@A.B".to_owned()));
        let wrong = at(&named, "other").unwrap_err();
        let expected = "the server says that it is nn/other, and dfs.namenode.kerberos.principal (nn/_HOST@A.B) stands \
                        for nn/nn1.example";
        assert_eq!(wrong, expected);
        assert!(named.of_server(NAME_NODE, "dn", "nn1.example", "nn1.example:8020").is_err());
        assert_eq!(at(&principals(NAME_NODE, "nn/fixed"), "fixed"), Ok("nn/fixed".to_owned()));
        let none = at(&Principals::default(), "nn1.example").unwrap_err();
        assert!(none.contains("doesn't set dfs.namenode.kerberos.principal"), "{none}");
    }

    #[test]
    fn an_address_is_also_what_the_system_calls_it() {
        let named = principals(RESOURCE_MANAGER, "rm/_HOST@A");
        let found = named.of_server(RESOURCE_MANAGER, "rm", "localhost", "127.0.0.1:8032");
        assert_eq!(found, Ok("rm/localhost@A".to_owned()));
        assert_eq!(named.named(RESOURCE_MANAGER, "rm1:8032").as_deref(), Some("rm/rm1@A"));
    }

    #[test]
    fn patterns_stand_for_many() {
        let by_pattern = principals("dfs.namenode.kerberos.principal.pattern", "nn/*.a.b@*");
        let offered = |host| by_pattern.of_server(NAME_NODE, "nn", host, "x:1");
        assert_eq!(offered("x.a.b"), Ok("nn/x.a.b".to_owned()));
        assert!(offered("x.c.b").unwrap_err().contains("is nn/*.a.b@*"));
        assert!(matches("nn/*@A", "nn/x.y@A") && matches("*", "") && matches("n?/*", "nn/") && !matches("a*b", "ab c"));
    }
}
