//! Ways to log in, and what works then.

use super::{changed_conf, files_as, keytab_options, realm};
use crate::files::{content, read, write};
use crate::support::hdfs;
use crate::yarn::harness::{flinkrs, run, said};
use flinkrs_core::fs::FileSystem;
use flinkrs_tests::hadoop::Cluster;
use std::path::Path;

/// The cluster is shown to who has tickets and to who has keys, however connections are protected.
pub(crate) fn by_ticket_cache_and_keytab(cluster: &mut Cluster) {
    let shown = said(cluster, &["yarn-session", "-q"]).ok().out;
    assert!(shown.contains("2 nodes,"), "{shown}");
    let options = keytab_options(&realm().unwrap().keytab("ann"), "ann");
    for protection in ["authentication", "integrity", "privacy"] {
        let conf = changed_conf(cluster, protection, "hadoop.rpc.protection", protection);
        let by_tickets = run(flinkrs(cluster, &["yarn-session", "-q"]).env("HADOOP_CONF_DIR", &conf)).ok();
        assert_eq!(by_tickets.out, shown, "{protection}");
        let mut by_keys = flinkrs(cluster, &["yarn-session", "-q", &options[0], &options[1]]);
        let by_keys = run(by_keys.env("HADOOP_CONF_DIR", &conf).env("KRB5CCNAME", "FILE:/no/tickets")).ok();
        assert_eq!(by_keys.out, shown, "{protection}");
    }
}

/// Files belong to whoever has proven who that is; `HADOOP_USER_NAME` says nothing.
pub(crate) fn files_are_files(cluster: &mut Cluster) {
    let (by_tickets, by_keys) = (hdfs(cluster), files_as(cluster, "ann", "ann"));
    let (path, all) = (Path::new("hdfs:///user/ann/files/a"), content(3_000_000));
    for (writer, reader) in [(&by_tickets, &by_keys), (&by_keys, &by_tickets)] {
        write(writer, path, &all);
        assert_eq!(reader.details(path).unwrap().owner, "ann");
        for offset in [0, 1_000_000, 2_999_999] {
            assert!(read(reader, path, offset) == all[offset as usize..], "from {offset}");
        }
        assert_eq!(reader.home(), writer.home());
        assert!(reader.home().ends_with("user/ann"), "{}", reader.home().display());
        reader.remove(Path::new("/user/ann/files")).unwrap();
        assert!(!writer.exists(path).unwrap());
    }
    write(&by_tickets, path, b"hers");
    by_tickets.set_permission(path, 0o600).unwrap();
    let eve = files_as(cluster, "eve", "eve");
    let denied = eve.open(path, 0).err().unwrap().to_string();
    assert!(denied.contains("user=eve"), "{denied}");
    by_tickets.remove(Path::new("/user/ann/files")).unwrap();
}
