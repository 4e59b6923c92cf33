//! HDFS as a file system: the calls, and what they say when they fail.

use crate::support::{conf, hdfs, hdfs_as};
use flinkrs_core::Error;
use flinkrs_core::fs::{FileSystem, OutputFile};
use flinkrs_hdfs::{HdfsFileSystem, Upload};
use flinkrs_tests::hadoop::Cluster;
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

/// Bytes that are the same in every run, and different at each place.
pub(crate) fn content(bytes: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut out = Vec::with_capacity(bytes + 8);
    while out.len() < bytes {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        out.extend_from_slice(&(state ^ (state >> 29)).to_le_bytes());
    }
    out.truncate(bytes);
    out
}

pub(crate) fn write(files: &dyn FileSystem, path: &Path, bytes: &[u8]) {
    put(files.create(path).unwrap(), bytes);
}

fn put(mut file: Box<dyn OutputFile>, bytes: &[u8]) {
    bytes.chunks(100_000).for_each(|piece| file.write_all(piece).unwrap());
    file.close().unwrap();
}

pub(crate) fn read(files: &dyn FileSystem, path: &Path, offset: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    files.open(path, offset).unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

fn kind(error: &Error) -> ErrorKind {
    match error {
        Error::Io { source, .. } => source.kind(),
        other => panic!("{other:?} is no error of input or output"),
    }
}

/// Files are written, read from anywhere, added to, listed, renamed and removed, under all ways to name them.
pub(crate) fn files_are_files(cluster: &mut Cluster) {
    let files = hdfs(cluster);
    let (folder, all) = (PathBuf::from("hdfs:///files/one"), content(3_000_000));
    files.remove(Path::new("/files")).unwrap();
    let (a, b) = (folder.join("a"), folder.join("b"));
    write(&files, &a, &all);
    assert_eq!(files.status(&a).unwrap().bytes, all.len() as u64);
    for offset in [0, 1, 511, 512, 65_536, 2_999_999, 3_000_000] {
        assert!(read(&files, &a, offset) == all[offset as usize..], "from {offset}");
    }
    put(files.append(&a).unwrap(), b"more");
    put(files.append(&b).unwrap(), b"new");
    assert!(read(&files, &a, 0) == [&all[..], b"more"].concat());
    files.create_dir(&folder.join("c/d")).unwrap();
    let names = |folder: &Path| files.list(folder).unwrap().iter().map(|f| f.path.clone()).collect::<Vec<_>>();
    assert_eq!(names(&folder), [a.clone(), b.clone(), folder.join("c")]);
    let home = files.home();
    let authority = home.to_str().unwrap().trim_start_matches("hdfs://").split('/').next().unwrap();
    let full = PathBuf::from(format!("hdfs://{authority}/files/one"));
    assert_eq!(names(&full)[1], full.join("b"));
    assert_eq!(names(Path::new("/files/one"))[1], Path::new("/files/one/b"));
    // A rename replaces a file, and takes a folder along.
    files.rename(&b, &a).unwrap();
    assert_eq!(read(&files, &full.join("a"), 0), b"new");
    assert!(!files.exists(&b).unwrap());
    files.rename(&folder, Path::new("hdfs:///files/two")).unwrap();
    assert_eq!(names(Path::new("hdfs:///files/two")).len(), 2);
    write(&files, Path::new("hdfs:///files/two/a"), b"");
    assert_eq!(read(&files, Path::new("hdfs:///files/two/a"), 0), b"");
    files.sync(Path::new("hdfs:///files/two/a")).unwrap();
    files.remove(Path::new("/files")).unwrap();
    files.remove(Path::new("/files")).unwrap();
    assert!(!files.exists(Path::new("hdfs:///files/two")).unwrap());
}

/// A program is put where containers take it from, with its own replication and permissions.
pub(crate) fn programs_are_staged(cluster: &mut Cluster) {
    hdfs(cluster).create_dir(Path::new("/user")).unwrap();
    hdfs(cluster).set_permission(Path::new("/user"), 0o777).unwrap();
    let files = hdfs_as(cluster, "ann");
    let local = cluster.folder().join("tmp/program");
    std::fs::write(&local, content(1_500_000)).unwrap();
    let target = files.home().join(".flinkrs/job/program");
    let before = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as u64;
    let how = Upload { replication: Some(3), permission: Some(0o755) };
    let staged = files.upload(&local, &target, &how).unwrap();
    assert_eq!((staged.path.as_path(), staged.bytes, staged.permission), (target.as_path(), 1_500_000, 0o755));
    assert_eq!((staged.replication, staged.owner.as_str()), (3, "ann"));
    assert!(staged.modified_ms >= before && staged.modified_ms < before + 60_000);
    assert!(read(&files, &target, 0) == std::fs::read(&local).unwrap());
    assert_eq!(files.details(&target).unwrap(), staged);
    let plain = files.upload(&local, &target, &Upload::default()).unwrap();
    assert_eq!((plain.replication, plain.permission), (1, 0o644));
    // A relative path is one in the user's folder.
    assert!(files.exists(Path::new(".flinkrs/job/program")).unwrap());
    files.remove(&files.home()).unwrap();
}

/// What can't be done is said, with the path, why, and what helps.
pub(crate) fn failures_are_said(cluster: &mut Cluster) {
    let files = hdfs(cluster);
    let missing = Path::new("hdfs:///nowhere/file");
    for error in [files.status(missing).err(), files.open(missing, 0).err(), files.list(missing).err()] {
        let error = error.unwrap();
        assert_eq!(kind(&error), ErrorKind::NotFound);
        assert!(error.to_string().ends_with("hdfs:///nowhere/file: there is no such file or folder"), "{error}");
    }
    assert_eq!(kind(&files.rename(missing, Path::new("hdfs:///x")).unwrap_err()), ErrorKind::NotFound);
    files.create_dir(Path::new("/private")).unwrap();
    files.set_permission(Path::new("/private"), 0o700).unwrap();
    let other = hdfs_as(cluster, "eve");
    let denied = other.create(Path::new("/private/file")).err().unwrap();
    assert_eq!(kind(&denied), ErrorKind::PermissionDenied);
    assert!(denied.to_string().contains("user=eve, access="), "{denied}");
    let mut conf = conf(cluster);
    conf.set("fs.defaultFS", "file:///");
    let none = HdfsFileSystem::new(&conf, "").unwrap_err();
    assert!(none.to_string().starts_with("fs.defaultFS is 'file:///'") && none.exit_code() == 2, "{none}");
    // Nobody listens there.
    let away = HdfsFileSystem::new(&conf, "127.0.0.1:1").unwrap().status(Path::new("/")).unwrap_err();
    assert_eq!(kind(&away), ErrorKind::TimedOut);
    assert!(away.to_string().contains("no NameNode of 127.0.0.1:1 answers within 20 s"), "{away}");
}
