//! Broken files of every kind that is read: an error with its place, never a panic, never without end.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::cifar10::CifarError;
use crate::cifar10::{Batch, RECORD};
use crate::pickle::{Nonsense, parse};

/// Written by Python 3.13 with numpy 2.4: two images, labels 3 and 9, pixel `i` of image `r` is `(7 i + 13 r) mod 256`.
const PICKLES: [&[u8]; 4] = [
    include_bytes!("../tests/data/protocol-2.pickle"),
    include_bytes!("../tests/data/protocol-3.pickle"),
    include_bytes!("../tests/data/protocol-4.pickle"),
    include_bytes!("../tests/data/protocol-5.pickle"),
];

fn expected() -> Batch {
    let pixel = |r: usize| (0..RECORD - 1).map(move |i| ((7 * i + 13 * r) % 256) as u8);
    Batch { labels: vec![3, 9], pixels: [0, 1].into_iter().flat_map(pixel).collect() }
}

fn pickle(bytes: &[u8]) -> Result<Batch, CifarError> {
    let mut batch = Batch::default();
    batch.add_pickle(Path::new("some/batch"), bytes, 2).map(|()| batch)
}

/// As Python 2's cPickle wrote the published files: protocol 2, strings for bytes.
fn python_2(labels: &[u8], code: &str, data: &[u8], shape: [u16; 2], fortran: bool) -> Vec<u8> {
    let string = |text: &str| [&[b'U', text.len() as u8], text.as_bytes()].concat();
    let mut out = b"\x80\x02}q\x01(".to_vec();
    out.extend(string("labels"));
    out.extend(b"q\x02]q\x03(");
    out.extend(labels.iter().flat_map(|label| [b'K', *label]));
    out.extend(b"e");
    out.extend(string("data"));
    out.extend(
        b"q\x04cnumpy.core.multiarray\n_reconstruct\nq\x05cnumpy\nndarray\nq\x06K\x00\x85U\x01b\x87Rq\x07(K\x01",
    );
    out.extend(shape.into_iter().flat_map(|side| [vec![b'M'], side.to_le_bytes().to_vec()].concat()));
    out.extend(b"\x86cnumpy\ndtype\nq\x08");
    out.extend(string(code));
    out.extend(b"K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb");
    out.push(if fortran { 0x88 } else { 0x89 });
    out.push(b'T');
    out.extend((data.len() as u32).to_le_bytes());
    out.extend(data);
    out.extend(b"tbu.");
    out
}

#[test]
fn every_way_that_python_has_written_it_reads_the_same() {
    for bytes in PICKLES {
        assert_eq!(pickle(bytes).unwrap(), expected());
    }
    let Batch { labels, pixels } = expected();
    assert_eq!(pickle(&python_2(&labels, "u1", &pixels, [2, 3072], false)).unwrap(), expected());
}

/// An error that names the file and a place in it.
fn refused(bytes: &[u8], what: &str) {
    match pickle(bytes) {
        Err(CifarError::Pickle { file, offset, reason }) => {
            assert!(
                file.ends_with("batch") && offset <= bytes.len() && !reason.is_empty(),
                "{what}: {offset} {reason}"
            );
        }
        other => panic!("{what}: {:?}", other.map(|batch| batch.labels)),
    }
}

#[test]
fn broken_pickles_are_refused_with_their_place() {
    let begin = Instant::now();
    let mut cases = 0;
    let mut check = |bytes: &[u8], what: &str| {
        refused(bytes, what);
        cases += 1;
    };
    let pixels = expected().pixels;
    let good = |labels: &[u8]| python_2(labels, "u1", &pixels, [2, 3072], false);
    // Cut anywhere outside the pixels, and at some places within.
    for bytes in PICKLES.into_iter().map(<[u8]>::to_vec).chain([good(&[3, 9])]) {
        let cuts = (0..330).chain(bytes.len() - 100..bytes.len()).chain((400..bytes.len() - 100).step_by(997));
        for cut in cuts {
            check(&bytes[..cut], "cut");
        }
        check(&[&bytes[..], &[0]].concat(), "something behind it");
        check(&[&bytes[..], &bytes[..]].concat(), "twice");
    }
    // What is in it.
    for labels in [&[][..], &[3], &[3, 9, 1], &[3, 10], &[255, 0]] {
        check(&good(labels), "labels");
    }
    for code in ["i1", "u2", "f4", "O", "", "V1", "S1"] {
        check(&python_2(&[3, 9], code, &pixels, [2, 3072], false), "type");
    }
    for shape in [[0, 0], [1, 6144], [3072, 2], [3, 3072], [2, 3071], [65535, 65535]] {
        check(&python_2(&[3, 9], "u1", &pixels, shape, false), "shape");
    }
    check(&python_2(&[3, 9], "u1", &pixels, [2, 3072], true), "Fortran's order");
    for length in [0, 1, 6143] {
        check(&python_2(&[3, 9], "u1", &pixels[..length], [2, 3072], false), "fewer bytes than the shape says");
    }
    // Other things than pickles.
    for other in
        [&b""[..], b"<html>404 not found</html>", b"\x1f\x8b\x08\x00\x00\x00", b"PK\x03\x04", b"\x89PNG\r\n", &[0; 512]]
    {
        check(other, "no pickle");
    }
    // Programs.
    for program in [
        &b"cos\nsystem\n(S'true'\ntR."[..],
        b"\x80\x02cos\nsystem\nU\x04true\x85R.",
        b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93.",
        b"\x80\x02c__builtin__\neval\n.",
        b"\x80\x02ccopy_reg\n_reconstructor\n.",
        b"\x80\x02i.",
        b"\x80\x02o.",
        b"\x80\x02P0\n.",
        b"\x80\x02\x81.",
        b"\x80\x02\x82\x01.",
    ] {
        check(program, "a program");
    }
    // Lengths that no file has, and machines without a floor.
    for machine in [
        &b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\xff."[..],
        b"\x80\x04\x8e\x00\x00\x00\x00\x00\x00\x00\x10.",
        b"\x80\x05\x96\xff\xff\xff\xff\xff\xff\xff\x7f.",
        b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\xff.",
        b"\x80\x02T\xff\xff\xff\xff.",
        b"\x80\x02X\xff\xff\xff\x7f.",
        b"\x80\x03B\xff\xff\xff\xff.",
        b"\x80\x02\x8a\xff.",
        b"\x80\x02\x8a\x09\x01\x01\x01\x01\x01\x01\x01\x01\x01.",
        b"\x80\x02.",
        b"\x80\x02t.",
        b"\x80\x02e.",
        b"\x80\x02u.",
        b"\x80\x02a.",
        b"\x80\x02s.",
        b"\x80\x02R.",
        b"\x80\x02b.",
        b"\x80\x02q\x00.",
        b"\x80\x02h\x00.",
        b"\x80\x02j\xff\xff\xff\xff.",
        b"\x80\x02]q\x00h\x00.",
        b"\x80\x02}q\x00(h\x00h\x00u.",
        b"\x80\x02K\x01(\x85.",
        b"\x80\x02(K\x01.",
        b"\x80\x02K\x01K\x02.",
        b"\x80\x02}(K\x01u.",
        b"\x80\x02NN\x86NR.",
        b"\x80\x02]Nb.",
        b"\x80\x02NNa.",
        b"\x80\x01N.",
        b"\x80\x06N.",
        b"\x80\x02}.",
        b"\x80\x02].",
        b"\x80\x02N.",
        b"\x80\x02cnumpy\nndarray",
        b"\x80\x02c",
        b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00aX\x04\x00\x00\x00utf8\x86R.",
        b"\x80\x02c_codecs\nencode\nX\x03\x00\x00\x00\xe2\x82\xacX\x06\x00\x00\x00latin1\x86R.",
        b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00\xffX\x06\x00\x00\x00latin1\x86R.",
    ] {
        check(machine, "a machine");
    }
    // Nested without end, repeated without end.
    for unit in [&b"\x85"[..], b"(", b"]", b")", b"N", b"}", b"q\x00"] {
        check(&[&b"\x80\x02]"[..], &unit.repeat(3 << 20)].concat(), "without end");
    }
    assert!(cases >= 2000, "{cases}");
    assert!(begin.elapsed() < Duration::from_secs(60), "{:?}", begin.elapsed());
}

/// Every byte of every small file outside the pixels, with every bit flipped in turn: an error, or two images.
#[test]
fn flipped_bits_are_refused_or_read() {
    let mut cases = 0;
    for bytes in PICKLES {
        for place in (0..330).chain(bytes.len() - 100..bytes.len()) {
            for bit in 0..8 {
                let mut flipped = bytes.to_vec();
                flipped[place] ^= 1 << bit;
                match pickle(&flipped) {
                    Ok(batch) => assert_eq!((batch.labels.len(), batch.pixels.len()), (2, 2 * (RECORD - 1))),
                    Err(error) => assert!(error.to_string().starts_with("some/batch: at byte "), "{error}"),
                }
                cases += 1;
            }
        }
    }
    assert!(cases >= 13_000, "{cases}");
}

#[test]
fn labels_out_of_range_are_found_in_every_record() {
    let good: Vec<u8> = (0..5 * RECORD).map(|i| if i % RECORD == 0 { 7 } else { 255 }).collect();
    for record in 0..5 {
        for label in [10, 11, 100, 127, 128, 255] {
            let mut bytes = good.clone();
            bytes[record * RECORD] = label;
            match Batch::default().add_binary(Path::new("f"), &bytes) {
                Err(CifarError::Label { offset, found, .. }) => assert_eq!((offset, found), (record * RECORD, label)),
                other => panic!("{other:?}"),
            }
        }
    }
}

/// Things that are no files under the names of files: they must not be waited for.
#[test]
#[cfg(unix)]
fn what_is_no_file_is_refused_at_once() {
    for version in ["cifar-10-batches-bin/test_batch.bin", "cifar-10-batches-py/test_batch"] {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(version);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        let first = file.with_file_name(if version.ends_with("bin") { "data_batch_1.bin" } else { "data_batch_1" });
        fs::write(&file, "present").unwrap();
        let error = || crate::cifar10::images(dir.path()).unwrap_err().to_string();
        assert!(error().contains("data_batch_1"));
        fs::create_dir(&first).unwrap();
        assert!(error().contains("not a file"), "{}", error());
        fs::remove_dir(&first).unwrap();
        std::os::unix::fs::symlink("nowhere", &first).unwrap();
        assert!(error().contains("data_batch_1"));
        fs::remove_file(&first).unwrap();
        std::os::unix::fs::symlink("/dev/zero", &first).unwrap();
        assert!(error().contains("not a file"), "{}", error());
        fs::remove_file(&first).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(&first).status().unwrap().success());
        assert!(error().contains("not a file"), "{}", error());
    }
}

/// Broken at random for so many seconds (AST_FUZZ_SECONDS, 1 unless told): pieces of good files flipped, cut, doubled and
/// crossed. The seed of a failure is in its message.
#[test]
fn fuzz() {
    let variable = |name, otherwise| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise);
    let (seconds, first) = (variable("AST_FUZZ_SECONDS", 1u64), variable("AST_FUZZ_SEED", 0u64));
    let begin = Instant::now();
    // Images of two pixels would do for the machine; these are the smallest that are read to their end.
    let corpus: Vec<Vec<u8>> = PICKLES.iter().map(|bytes| short(bytes)).collect();
    let (mut seed, mut whole) = (first, 0u64);
    while begin.elapsed() < Duration::from_secs(seconds) {
        for _ in 0..1000 {
            let bytes = mutate(&corpus, seed);
            let read = std::panic::catch_unwind(|| match parse(&bytes) {
                Ok(_) => true,
                Err(Nonsense { offset, .. }) => {
                    assert!(offset <= bytes.len());
                    drop(pickle(&bytes));
                    drop(Batch::default().add_binary(Path::new("f"), &bytes));
                    false
                }
            });
            whole += u64::from(read.unwrap_or_else(|_| panic!("seed {seed}: {bytes:02x?}")));
            seed += 1;
        }
    }
    println!("{} executions, {whole} of them whole", seed - first);
    assert!(whole > 0, "a fuzzer that never gets through does not look far");
}

/// A pickle with its pixels left out but for a few: the grammar is what is to be broken.
fn short(bytes: &[u8]) -> Vec<u8> {
    let pixels = expected().pixels;
    let at = |needle: &[u8]| bytes.windows(needle.len()).position(|window| window == needle);
    match at(&pixels[..8]) {
        Some(from) if at(&pixels[..100]).is_some() => {
            let mut out = [&bytes[..from + 4], &bytes[from + pixels.len()..]].concat();
            // Its length stands in the four or eight bytes before it.
            let declared = if bytes[from - 9] == 0x96 || bytes[from - 9] == 0x8e { from - 8 } else { from - 4 };
            out[declared..from].fill(0);
            out[declared] = 4;
            out
        }
        _ => bytes[..330].to_vec(),
    }
}

/// A file from the corpus after one to eight accidents that `seed` decides.
fn mutate(corpus: &[Vec<u8>], seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x1234_5678_9abc_def0;
    let mut below = |n: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % n.max(1) as u64) as usize
    };
    let mut bytes = corpus[below(corpus.len())].clone();
    const TELLING: [u8; 16] = *b"\x80\x8e\x94\x93\x85\x00\xff\x7f.(tRbuqh";
    for _ in 0..=below(8) {
        let (from, to) = (below(bytes.len()), below(bytes.len()));
        let (from, to) = (from.min(to), from.max(to));
        match below(7) {
            0 if !bytes.is_empty() => bytes[from] ^= 1 << below(8),
            1 if !bytes.is_empty() => bytes[from] = TELLING[below(16)],
            2 => bytes.insert(from, TELLING[below(16)]),
            3 => bytes.truncate(to),
            4 => drop(bytes.drain(from..to.min(from + 16))),
            5 => {
                let piece = bytes[from..to.min(from + 64)].to_vec();
                bytes.splice(from..from, piece);
            }
            _ => {
                let other = &corpus[below(corpus.len())];
                bytes.truncate(from);
                bytes.extend(&other[from.min(other.len())..]);
            }
        }
    }
    bytes
}
