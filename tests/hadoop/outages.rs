//! HDFS while its daemons die: two DataNodes, of which one is killed, and a NameNode that is started again.

use crate::files::{content, read, write};
use crate::support::{conf, hdfs, wait_until};
use flinkrs_connectors::{FileInput, TextInput};
use flinkrs_core::fs::FileSystem;
use flinkrs_core::source::InputFormat;
use flinkrs_hdfs::HdfsFileSystem;
use flinkrs_tests::hadoop::{Cluster, Daemon};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

/// Bytes of a block: small, so that a file has many.
const BLOCK_BYTES: usize = 8 << 20;

/// Bytes of the packets in which a file is sent.
const PACKET_BYTES: usize = 126 * 512;

/// Those of which one is killed.
const NODES: [Daemon; 2] = [Daemon::DataNode, Daemon::DataNode2];

/// For how long DataNodes wait for a writer that says nothing; Hadoop's default is 60 s.
const SILENCE: Duration = Duration::from_secs(25);

fn two_nodes() -> Cluster {
    let more = [
        ("hdfs-site.xml", "dfs.replication", "2"),
        ("hdfs-site.xml", "dfs.blocksize", "8m"),
        ("hdfs-site.xml", "dfs.client.block.write.replace-datanode-on-failure.enable", "false"),
        ("hdfs-site.xml", "dfs.client.socket-timeout", "25000"),
    ];
    Cluster::start(&[Daemon::NameNode, Daemon::DataNode, Daemon::DataNode2], &more).unwrap()
}

/// A DataNode is killed while a file is read: either of the two, and one after the other; then one has wrong bytes.
pub(crate) fn reads_outlive_data_nodes(_: &mut Cluster) {
    let mut cluster = two_nodes();
    splits_are_where_the_blocks_are(&cluster);
    NODES.into_iter().for_each(|victim| a_read_goes_on(&mut cluster, victim));
    a_read_loses_both_in_turn(&mut cluster);
    wrong_bytes_are_left_out(&cluster);
}

/// A DataNode is killed while a file is written: either of the two, within a block, between two, and at the end.
pub(crate) fn writes_outlive_data_nodes(_: &mut Cluster) {
    let mut cluster = two_nodes();
    for loss in &LOSSES {
        NODES.into_iter().for_each(|victim| a_write_goes_on(&mut cluster, victim, loss));
    }
    NODES.into_iter().for_each(|victim| a_close_goes_on(&mut cluster, victim));
}

/// A writer that goes on without a DataNode, and has nothing to write for a while, isn't taken for dead by the other.
pub(crate) fn a_silent_writer_is_kept(_: &mut Cluster) {
    let mut cluster = two_nodes();
    let files = hdfs(&cluster);
    let (path, all) = (Path::new("/outages/silent"), content(8_000_000));
    // The NameNode doesn't know yet, and gives the first block to both.
    cluster.kill(Daemon::DataNode).unwrap();
    let mut file = files.create(path).unwrap();
    let blocks = || {
        let log = std::fs::read_to_string(cluster.folder().join("logs/namenode.log")).unwrap();
        let is_one = |line: &&str| line.contains("BLOCK* allocate") && line.contains("/outages/silent");
        log.lines().filter(is_one).map(str::to_owned).collect::<Vec<_>>()
    };
    let is_on_one = |block: &String| !block.contains(", 127.0.0.1:");
    // What is lost on the way is noticed when more is written.
    let mut written = 0;
    wait_until("a block without it", || {
        file.write_all(&all[written..written + 20_000]).and_then(|()| file.flush()).unwrap();
        written += 20_000;
        blocks().last().is_some_and(is_on_one)
    });
    let before = blocks();
    sleep(SILENCE + Duration::from_secs(10));
    file.write_all(&all[written..]).and_then(|()| file.close()).unwrap();
    assert_eq!(blocks(), before);
    assert!(read(&files, path, 0) == all);
}

/// The NameNode is killed and started again in the middle of reading and writing.
pub(crate) fn a_name_node_is_waited_for(_: &mut Cluster) {
    let mut cluster = two_nodes();
    the_name_node_is_away(&mut cluster);
    an_end_is_told_again(&mut cluster);
}

/// The hosts of each split are those of its block.
fn splits_are_where_the_blocks_are(cluster: &Cluster) {
    let files = hdfs(cluster);
    let path = files.home().join("blocks");
    write(&files, &path, &content(5 * BLOCK_BYTES + 1000));
    let blocks = files.blocks(&files.status(&path).unwrap()).unwrap();
    assert_eq!(blocks.len(), 6);
    assert!(blocks.iter().all(|block| block.hosts.len() == 2), "{blocks:?}");
    flinkrs_hdfs::register();
    let input = TextInput::new(FileInput::new(&path).split_bytes(5 << 20));
    let splits = input.splits(1).unwrap();
    assert_eq!(splits.len(), 11);
    for (split, _) in &splits {
        let block = &blocks[split.offset as usize / BLOCK_BYTES];
        assert!(split.offset >= block.offset && split.offset + split.length <= block.offset + block.bytes);
        // The NameNode lists them in any order.
        let sorted = |hosts: &[String]| BTreeSet::from_iter(hosts.to_vec());
        assert_eq!(sorted(&input.hosts(split)), sorted(&block.hosts));
    }
    assert!(blocks[0].hosts.contains(&"127.0.0.1".to_owned()) && blocks[0].hosts.contains(&"localhost".to_owned()));
}

/// A file is read in blocks, and in pieces: of the second reader less is expected than it takes.
fn read_both_ways(files: &HdfsFileSystem, path: &Path) -> [Box<dyn Read + Send>; 2] {
    [u64::MAX, 1000].map(|bytes| files.open_part(path, 0, bytes).unwrap())
}

fn a_read_goes_on(cluster: &mut Cluster, victim: Daemon) {
    let files = hdfs(cluster);
    let (path, all) = (Path::new("/outages/read"), content(20 * BLOCK_BYTES));
    write(&files, path, &all);
    let mut readers = read_both_ways(&files, path).map(|file| (file, vec![0; 3 * BLOCK_BYTES + 12_345]));
    readers.iter_mut().for_each(|(file, found)| file.read_exact(found).unwrap());
    cluster.kill(victim).unwrap();
    for (file, found) in &mut readers {
        file.read_to_end(found).unwrap();
        assert!(*found == all);
    }
    // Also one that begins now.
    assert!(read(&files, path, 0) == all);
    cluster.start_daemon(victim).unwrap();
}

/// Each DataNode is killed once while a file is read, the second when the first is there again.
fn a_read_loses_both_in_turn(cluster: &mut Cluster) {
    let files = hdfs(cluster);
    let (path, all) = (Path::new("/outages/in-turn"), content(20 * BLOCK_BYTES));
    write(&files, path, &all);
    let mut file = files.open(path, 0).unwrap();
    let mut found = Vec::new();
    for victim in NODES {
        let begun = found.len();
        found.resize(begun + 8 * BLOCK_BYTES + 12_345, 0);
        file.read_exact(&mut found[begun..begun + 12_345]).unwrap();
        cluster.kill(victim).unwrap();
        file.read_exact(&mut found[begun + 12_345..]).unwrap();
        cluster.start_daemon(victim).unwrap();
    }
    file.read_to_end(&mut found).unwrap();
    assert!(found == all);
}

/// A DataNode has a wrong byte in each of its whole blocks, with the checksums of the right ones.
fn wrong_bytes_are_left_out(cluster: &Cluster) {
    let files = hdfs(cluster);
    let (path, all) = (Path::new("/outages/wrong"), content(4 * BLOCK_BYTES));
    write(&files, path, &all);
    let replicas = replicas(cluster, NODES[0], BLOCK_BYTES);
    assert!(replicas.len() >= 4);
    for replica in replicas {
        let file = File::options().read(true).write(true).open(replica).unwrap();
        let mut byte = [0];
        file.read_exact_at(&mut byte, 3_000_000).unwrap();
        file.write_all_at(&[!byte[0]], 3_000_000).unwrap();
    }
    for mut file in read_both_ways(&files, path) {
        let mut found = Vec::new();
        file.read_to_end(&mut found).unwrap();
        assert!(found == all);
    }
}

/// A file that is written when a DataNode dies.
struct Loss {
    name: &'static str,
    block_bytes: usize,
    /// Bytes that are handed over before the DataNode dies, and after that.
    before: usize,
    after: usize,
}

const LOSSES: [Loss; 3] = [
    Loss { name: "within", block_bytes: BLOCK_BYTES, before: 2 * BLOCK_BYTES + 3_000_000, after: 7 * BLOCK_BYTES + 77 },
    Loss { name: "between", block_bytes: BLOCK_BYTES, before: 3 * BLOCK_BYTES, after: 3 * BLOCK_BYTES },
    // Of these blocks only the end is still there.
    Loss { name: "long", block_bytes: 8 * BLOCK_BYTES, before: 40_000_001, after: 40_000_000 },
];

fn with_blocks_of(cluster: &Cluster, bytes: usize) -> HdfsFileSystem {
    let mut settings = conf(cluster);
    settings.set("dfs.blocksize", &bytes.to_string());
    HdfsFileSystem::new(&settings, "").unwrap()
}

fn a_write_goes_on(cluster: &mut Cluster, victim: Daemon, loss: &Loss) {
    let files = with_blocks_of(cluster, loss.block_bytes);
    let folder = PathBuf::from(format!("/outages/{}-{}", loss.name, victim.name()));
    let (path, on_both) = (folder.join("begun"), folder.join("on-both"));
    let all = content(loss.before + loss.after);
    let (head, rest) = all.split_at(loss.before);
    write(&files, &on_both, &all[..3_000_003]);
    let mut file = files.create(&path).unwrap();
    head.chunks(50_000).for_each(|piece| file.write_all(piece).unwrap());
    cluster.kill(victim).unwrap();
    rest.chunks(50_000).for_each(|piece| file.write_all(piece).unwrap());
    file.close().unwrap();
    assert!(read(&files, &path, 0) == all, "{}", path.display());
    // A file that is added to while the DataNode of its last block is away, and one that begins then.
    let late = folder.join("late");
    write(&files, &late, &all[..BLOCK_BYTES + 5]);
    for (path, begun) in [(&on_both, 3_000_003), (&late, BLOCK_BYTES + 5)] {
        let mut file = files.append(path).unwrap();
        file.write_all(&all[begun..3 * BLOCK_BYTES]).unwrap();
        file.close().unwrap();
        assert!(read(&files, path, 0) == all[..3 * BLOCK_BYTES], "{}", path.display());
    }
    cluster.start_daemon(victim).unwrap();
}

/// A file is closed while a DataNode of its last block is silent, and then dies.
fn a_close_goes_on(cluster: &mut Cluster, victim: Daemon) {
    // Of these blocks only the end is still there.
    let files = with_blocks_of(cluster, 8 * BLOCK_BYTES);
    let path = PathBuf::from(format!("/outages/closed-{}", victim.name()));
    let packets = if victim == NODES[0] { 500 } else { 501 };
    let all = content(packets * PACKET_BYTES);
    let mut file = files.create(&path).unwrap();
    file.write_all(&all).and_then(|()| file.flush()).unwrap();
    wait_until("the replicas", || NODES.iter().all(|node| has_replica(cluster, *node, "rbw", all.len())));
    cluster.signal(victim, "STOP").unwrap();
    let closing = std::thread::spawn(move || file.close());
    sleep(Duration::from_millis(500));
    cluster.kill(victim).unwrap();
    closing.join().unwrap().unwrap();
    assert!(read(&files, &path, 0) == all, "{}", path.display());
    cluster.start_daemon(victim).unwrap();
}

/// A file's last block is ended, and the NameNode, which doesn't answer to that, dies before it knows.
fn an_end_is_told_again(cluster: &mut Cluster) {
    // Of these blocks only the end is still there.
    let files = with_blocks_of(cluster, 8 * BLOCK_BYTES);
    let (path, all) = (Path::new("/away/ended"), content(30_000_000));
    let mut file = files.create(path).unwrap();
    file.write_all(&all).and_then(|()| file.flush()).unwrap();
    cluster.signal(Daemon::NameNode, "STOP").unwrap();
    let closing = std::thread::spawn(move || file.close());
    let is_ended = |node: &Daemon| has_replica(cluster, *node, "finalized", all.len());
    wait_until("the end of the block", || NODES.iter().all(is_ended));
    sleep(Duration::from_millis(500));
    cluster.kill(Daemon::NameNode).unwrap();
    cluster.start_daemon(Daemon::NameNode).unwrap();
    closing.join().unwrap().unwrap();
    assert!(read(&files, path, 0) == all);
}

/// Whether a DataNode has a block of this length on disk, in its folder `rbw` or `finalized`.
fn has_replica(cluster: &Cluster, node: Daemon, state: &str, bytes: usize) -> bool {
    let is_there = |path: &PathBuf| path.components().any(|part| part.as_os_str() == state);
    replicas(cluster, node, bytes).iter().any(is_there)
}

/// The files of this length that a DataNode has on disk.
fn replicas(cluster: &Cluster, node: Daemon, bytes: usize) -> Vec<PathBuf> {
    let mut folders = vec![cluster.folder().join("data").join(node.name())];
    let mut replicas = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            // One that has gone meanwhile is none.
            match entry.metadata() {
                Ok(found) if found.is_dir() => folders.push(entry.path()),
                Ok(found) if found.len() == bytes as u64 => replicas.push(entry.path()),
                _ => {}
            }
        }
    }
    replicas
}

/// The NameNode is killed and started again while a file is read, another written, and others are named.
fn the_name_node_is_away(cluster: &mut Cluster) {
    let files = hdfs(cluster);
    let all = content(12 * BLOCK_BYTES);
    write(&files, Path::new("/away/in"), &all);
    let mut source = files.open(Path::new("/away/in"), 0).unwrap();
    let mut target = files.create(Path::new("/away/out")).unwrap();
    let mut found = vec![0; BLOCK_BYTES + 1];
    source.read_exact(&mut found).unwrap();
    target.write_all(&found).unwrap();
    cluster.kill(Daemon::NameNode).unwrap();
    std::thread::scope(|scope| {
        let copying = scope.spawn(|| {
            let mut rest = Vec::new();
            source.read_to_end(&mut rest).unwrap();
            rest.chunks(60_000).for_each(|piece| target.write_all(piece).unwrap());
            found.extend(rest);
            target.close().unwrap();
        });
        let naming = scope.spawn(|| {
            files.create_dir(Path::new("/away/folder")).unwrap();
            files.rename(Path::new("/away/folder"), Path::new("/away/renamed")).unwrap();
        });
        sleep(Duration::from_secs(3));
        cluster.start_daemon(Daemon::NameNode).unwrap();
        [copying, naming].into_iter().for_each(|thread| thread.join().unwrap());
    });
    assert!(found == all && read(&files, Path::new("/away/out"), 0) == all);
    assert!(files.exists(Path::new("/away/renamed")).unwrap());
    wait_until("the DataNodes' reports", || files.blocks(&files.status(Path::new("/away/out")).unwrap()).is_ok());
}
