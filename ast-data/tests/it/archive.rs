//! Malicious and damaged archives: only the requested files are written, complete and to their places.

use std::fs;
use std::io::Write;
use std::path::Path;

use ast_core::data::PublishedFile;
use ast_data::extract;
use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Builder, EntryType, Header};

const WANTED: [PublishedFile; 2] = [
    PublishedFile { path: "data/a.bin", bytes: 1000, sha256: "" },
    PublishedFile { path: "data/b.bin", bytes: 3, sha256: "" },
];

fn content(path: &str) -> Vec<u8> {
    if path.ends_with("a.bin") { (0..1000u32).map(|i| i as u8).collect() } else { b"abc".to_vec() }
}

fn packed(build: impl FnOnce(&mut Builder<GzEncoder<Vec<u8>>>)) -> Vec<u8> {
    let mut builder = Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    build(&mut builder);
    builder.into_inner().unwrap().finish().unwrap()
}

fn add(builder: &mut Builder<GzEncoder<Vec<u8>>>, path: &str, kind: EntryType, content: &[u8]) {
    let mut header = Header::new_ustar();
    // `set_path` would refuse the invalid paths under test.
    header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
    header.set_entry_type(kind);
    header.set_size(content.len() as u64);
    if matches!(kind, EntryType::Symlink | EntryType::Link) {
        header.set_link_name("/etc/passwd").unwrap();
    }
    header.set_mode(0o644);
    header.set_cksum();
    builder.append(&header, content).unwrap();
}

fn good(builder: &mut Builder<GzEncoder<Vec<u8>>>) {
    for PublishedFile { path, .. } in WANTED {
        add(builder, path, EntryType::Regular, &content(path));
    }
}

/// Extracts an archive. Returns the result and all files in the folder afterwards.
fn unpack(archive: &[u8]) -> (Result<(), String>, Vec<String>) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("it.tar.gz");
    fs::write(&file, archive).unwrap();
    let target = dir.path().join("deep/inside");
    let outcome = extract(&file, &WANTED, &target).map_err(|error| error.to_string());
    let mut found = Vec::new();
    list(dir.path(), dir.path(), &mut found);
    found.retain(|path| path != "it.tar.gz");
    for path in &found {
        let path = dir.path().join(path);
        assert!(path.is_file() && !path.is_symlink());
        assert_eq!(fs::read(&path).unwrap(), content(path.to_str().unwrap()), "complete or absent");
    }
    if let Err(message) = &outcome {
        assert!(message.contains("it.tar.gz"), "{message}");
    }
    (outcome, found)
}

fn list(root: &Path, dir: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            list(root, &entry, found);
        } else {
            found.push(entry.strip_prefix(root).unwrap().to_str().unwrap().to_string());
        }
    }
    found.sort();
}

const BOTH: [&str; 2] = ["deep/inside/data/a.bin", "deep/inside/data/b.bin"];

#[test]
fn a_good_archive_is_extracted() {
    assert_eq!(unpack(&packed(good)), (Ok(()), BOTH.map(String::from).to_vec()));
}

#[test]
fn other_members_are_ignored() {
    let odd = [
        ("../../escaped", EntryType::Regular),
        ("/tmp/absolute-escape-of-a-test", EntryType::Regular),
        ("data/../../up", EntryType::Regular),
        ("data/link", EntryType::Symlink),
        ("data/hard", EntryType::Link),
        ("data/pipe", EntryType::Fifo),
        ("data/disk", EntryType::Block),
        ("data/tty", EntryType::Char),
        ("data", EntryType::Directory),
        ("readme.html", EntryType::Regular),
        ("", EntryType::Regular),
    ];
    for (path, kind) in odd {
        let archive = packed(|builder| {
            add(builder, path, kind, if kind == EntryType::Regular { b"evil" } else { b"" });
            good(builder);
        });
        assert_eq!(unpack(&archive), (Ok(()), BOTH.map(String::from).to_vec()), "{path} {kind:?}");
    }
    assert!(!Path::new("/tmp/absolute-escape-of-a-test").exists());
}

#[test]
fn a_wanted_member_that_is_not_a_file_is_refused() {
    for kind in
        [EntryType::Symlink, EntryType::Link, EntryType::Fifo, EntryType::Block, EntryType::Char, EntryType::Directory]
    {
        let (outcome, found) = unpack(&packed(|builder| add(builder, "data/a.bin", kind, b"")));
        assert!(outcome.unwrap_err().contains("data/a.bin: it is not a file"), "{kind:?}");
        assert!(found.is_empty());
    }
}

#[test]
fn a_member_of_another_size_or_missing_or_twice_is_refused() {
    for size in [0, 1, 999, 1001, 100_000] {
        let (outcome, _) = unpack(&packed(|builder| add(builder, "data/a.bin", EntryType::Regular, &vec![0; size])));
        assert!(outcome.unwrap_err().contains(&format!("{size} bytes instead of 1000")));
    }
    let (outcome, _) = unpack(&packed(|builder| add(builder, "data/b.bin", EntryType::Regular, b"abc")));
    assert!(outcome.unwrap_err().contains("data/a.bin: it is missing"));
    let (outcome, _) = unpack(&packed(|builder| {
        good(builder);
        good(builder);
    }));
    assert!(outcome.unwrap_err().contains("it occurs twice"));
}

/// A name in a PAX header is used like any other, also if there are two names.
#[test]
fn names_in_pax_headers_are_used() {
    let archive = packed(|builder| {
        builder.append_pax_extensions([("path", "data/a.bin".as_bytes())]).unwrap();
        add(builder, "innocent", EntryType::Regular, &content("a.bin"));
        builder.append_pax_extensions([("path", "../../escaped".as_bytes())]).unwrap();
        add(builder, "data/b.bin", EntryType::Regular, b"abc");
    });
    let (outcome, found) = unpack(&archive);
    assert!(outcome.unwrap_err().contains("data/b.bin: it is missing"));
    assert_eq!(found, BOTH[..1]);
}

#[test]
fn a_bomb_is_not_unpacked() {
    let bomb = packed(|builder| {
        add(builder, "bomb", EntryType::Regular, &vec![0; 300 << 20]);
        good(builder);
    });
    assert!(bomb.len() < 3 << 20);
    let (outcome, found) = unpack(&bomb);
    assert!(outcome.is_err() && found.is_empty());
    // A member that claims a larger size than it has.
    let mut header = Header::new_ustar();
    header.set_path("data/a.bin").unwrap();
    header.set_entry_type(EntryType::Regular);
    header.set_size(1000);
    header.set_cksum();
    let mut out = GzEncoder::new(Vec::new(), Compression::fast());
    out.write_all(header.as_bytes()).unwrap();
    out.write_all(&[1; 500]).unwrap();
    let (outcome, found) = unpack(&out.finish().unwrap());
    assert!(outcome.is_err() && found.is_empty(), "{outcome:?}");
}

#[test]
fn cut_and_flipped_archives_are_refused_or_read() {
    let whole = packed(good);
    for cut in 0..whole.len() {
        // The archive ends with a checksum. If only that is cut off, all files can still be extracted.
        let (outcome, found) = unpack(&whole[..cut]);
        assert!(outcome.is_err() || found == BOTH, "{cut}");
    }
    for place in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[place] ^= 0x10;
        drop(unpack_any(&flipped));
    }
    for other in [&b""[..], b"<html></html>", b"\x1f\x8b", &[0; 2000]] {
        assert!(unpack(other).0.is_err());
    }
    assert_eq!(unpack(&[&whole[..], b"behind it"].concat()).0, Ok(()), "trailing bytes are ignored");
}

/// Checks only that there is a result: a damaged file may have changed content. In use, the SHA-256 is checked before.
fn unpack_any(archive: &[u8]) -> Result<(), String> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("it.tar.gz");
    fs::write(&file, archive).unwrap();
    extract(&file, &WANTED, &dir.path().join("target")).map_err(|error| error.to_string())
}
