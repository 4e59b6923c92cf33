//! A Kerberos realm for the tests: MIT's KDC as an ordinary process on loopback, with principals and their keytabs.
//!
//! ```text
//! FOLDER ─ krb5.conf       what clients read: KRB5_CONFIG
//!        ─ kdc.conf, principal…   the KDC's own
//!        ─ NAME.keytab     the keys of nn, dn, rm, nm, HTTP (services on localhost) and of the users ann, eve and old
//! ```

use super::daemon::Process;
use super::jars::{self, run, target_folder};
use super::sites::Ports;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The realm.
pub const REALM: &str = "FLINKRS.TEST";

/// The services, all on `localhost`.
const SERVICES: [&str; 5] = ["nn", "dn", "rm", "nm", "HTTP"];

/// The users; the keytab of the last one is from before his keys were changed.
const USERS: [&str; 3] = ["ann", "eve", OUTDATED];
const OUTDATED: &str = "old";

/// What to install, as Debian calls it.
const PACKAGES: [&str; 3] = ["krb5-kdc", "krb5-admin-server", "krb5-user"];

/// How long the KDC may take to start.
const START_MAX: Duration = Duration::from_secs(30);

/// The files of a realm.
#[derive(Clone, Debug)]
pub struct Realm(PathBuf);

/// A realm whose KDC runs. Dropping it ends the KDC.
pub struct Kdc {
    realm: Realm,
    _process: Process,
    _guard: TcpListener,
}

impl Kdc {
    /// Makes a realm and starts its KDC. Installs MIT's where it is missing and that is possible.
    pub fn start() -> Result<Kdc, String> {
        install()?;
        let (guard, base, _) = Ports::find()?;
        let folder = target_folder()?.join("hadoop").join(format!("kdc-{base}"));
        let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
        if folder.exists() {
            fs::remove_dir_all(&folder).map_err(failed)?;
        }
        fs::create_dir_all(&folder).map_err(failed)?;
        let realm = Realm(folder);
        let port = base + 1;
        realm.write(port).map_err(|error| format!("{}: {error}", realm.0.display()))?;
        let password = ["create", "-s", "-P", "of the database", "-r", REALM];
        run(realm.tool("kdb5_util").args(password))?;
        let services = SERVICES.map(|service| (service, format!("{service}/localhost")));
        for (name, principal) in services.into_iter().chain(USERS.map(|user| (user, user.to_owned()))) {
            let keytab = realm.keytab(name);
            let add = format!("addprinc -randkey {principal}");
            let export = format!("ktadd -norandkey -k {} {principal}", keytab.display());
            [add, export].iter().try_for_each(|line| run(realm.tool("kadmin.local").args(["-q", line])))?;
        }
        let change = format!("change_password -randkey {OUTDATED}");
        run(realm.tool("kadmin.local").args(["-q", &change]))?;
        let mut server = realm.tool("krb5kdc");
        let process = Process::start("krb5kdc", &realm.0.join("krb5kdc.log"), server.arg("-n"))?;
        let since = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if !process.is_alive() || since.elapsed() > START_MAX {
                return Err(format!("the KDC doesn't start; see {}", realm.0.display()));
            }
            sleep(Duration::from_millis(20));
        }
        Ok(Kdc { realm, _process: process, _guard: guard })
    }

    /// Its files.
    pub fn realm(&self) -> &Realm {
        &self.realm
    }
}

impl Realm {
    /// The realm whose files lie in this folder.
    pub fn at(folder: &Path) -> Realm {
        Realm(folder.to_path_buf())
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.0
    }

    /// What `KRB5_CONFIG` is set to.
    pub fn config(&self) -> PathBuf {
        self.0.join("krb5.conf")
    }

    /// The keys of a service or user.
    pub fn keytab(&self, name: &str) -> PathBuf {
        self.0.join(format!("{name}.keytab"))
    }

    /// Gets a ticket for a principal by the keys of `name`, for so many seconds, and puts it into a cache.
    pub fn kinit(&self, name: &str, principal: &str, cache: &Path, seconds: u32) -> Result<(), String> {
        let mut kinit = self.tool("kinit");
        kinit.arg("-l").arg(format!("{seconds}s")).arg("-c").arg(cache);
        run(kinit.arg("-kt").arg(self.keytab(name)).arg(principal))
    }

    /// Another `krb5.conf`, for the same realm with a KDC at another port.
    pub fn config_with_port(&self, name: &str, port: u16) -> Result<PathBuf, String> {
        let path = self.0.join(name);
        fs::write(&path, client_file(port)).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(path)
    }

    fn tool(&self, name: &str) -> Command {
        let mut command = Command::new(jars::find(name).unwrap_or_else(|| PathBuf::from(name)));
        command.env("KRB5_CONFIG", self.config()).env("KRB5_KDC_PROFILE", self.0.join("kdc.conf"));
        command.env_remove("KRB5CCNAME").current_dir(&self.0);
        command
    }

    fn write(&self, port: u16) -> std::io::Result<()> {
        fs::write(self.config(), client_file(port))?;
        let at = |name: &str| self.0.join(name).display().to_string();
        let server = format!(
            "[kdcdefaults]\n kdc_listen = \"\"\n kdc_tcp_listen = 127.0.0.1:{port}\n[realms]\n {REALM} = {{\n\
             \x20 database_name = {}\n  key_stash_file = {}\n  acl_file = {}\n  max_life = 1d\n }}\n\
             [logging]\n kdc = FILE:{}\n",
            at("principal"),
            at("stash"),
            at("acl"),
            at("kdc.log"),
        );
        fs::write(self.0.join("kdc.conf"), server)
    }
}

/// What clients have to know: everything here, nothing by DNS, no UDP.
fn client_file(port: u16) -> String {
    format!(
        "[libdefaults]\n default_realm = {REALM}\n dns_lookup_realm = false\n dns_lookup_kdc = false\n\
         \x20dns_canonicalize_hostname = false\n rdns = false\n udp_preference_limit = 1\n\
         [realms]\n {REALM} = {{\n  kdc = 127.0.0.1:{port}\n }}\n[domain_realm]\n localhost = {REALM}\n"
    )
}

fn install() -> Result<(), String> {
    if ["krb5kdc", "kdb5_util", "kadmin.local", "kinit"].iter().all(|tool| jars::find(tool).is_some()) {
        return Ok(());
    }
    jars::install("MIT's Kerberos is needed for a secured cluster", &PACKAGES)
}
