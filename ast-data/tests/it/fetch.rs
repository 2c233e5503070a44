//! Downloads from a local server with all kinds of faults.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ast_core::data::Download;
use ast_data::{FetchError, FetchOptions, fetch};
use sha2::{Digest, Sha256};

const SIZE: usize = 300_000;

fn content() -> Vec<u8> {
    (0..SIZE as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

fn hex(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

/// A request: its first line, and the first byte of its range.
#[derive(Debug, Clone, PartialEq)]
struct Asked {
    line: String,
    from: Option<usize>,
}

/// A server whose answer to its n-th request is `answer(n, request, stream)`.
struct Server {
    url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    fn new(mut answer: impl FnMut(usize, &Asked, &mut TcpStream) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = asked.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut asked = Asked { line: String::new(), from: None };
                for line in BufReader::new(stream.try_clone().unwrap()).lines() {
                    let Ok(line) = line else { break };
                    if asked.line.is_empty() {
                        asked.line.clone_from(&line);
                    }
                    let lower = line.to_lowercase();
                    if let Some(range) = lower.strip_prefix("range: bytes=") {
                        asked.from = range.trim_end_matches('-').parse().ok();
                    }
                    if line.is_empty() {
                        break;
                    }
                }
                let number = log.lock().unwrap().len();
                log.lock().unwrap().push(asked.clone());
                answer(number, &asked, &mut stream);
            }
        });
        Self { url, asked }
    }

    fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

fn send(stream: &mut TcpStream, head: &str, body: &[u8]) {
    // The client may have closed the connection.
    let _ = stream.write_all(format!("HTTP/1.1 {head}\r\nConnection: close\r\n\r\n").as_bytes());
    let _ = stream.write_all(body);
}

/// Answers like a correct server, with ranges.
fn good(asked: &Asked, stream: &mut TcpStream) {
    let all = content();
    match asked.from {
        None => send(stream, &format!("200 OK\r\nContent-Length: {SIZE}"), &all),
        Some(from) => {
            let (length, last) = (SIZE - from, SIZE - 1);
            let head =
                format!("206 Partial Content\r\nContent-Length: {length}\r\nContent-Range: bytes {from}-{last}/{SIZE}");
            send(stream, &head, &all[from..]);
        }
    }
}

/// Promises all bytes and sends the first `n`.
fn cut_off(n: usize, stream: &mut TcpStream) {
    send(stream, &format!("200 OK\r\nContent-Length: {SIZE}"), &content()[..n]);
}

fn options() -> FetchOptions {
    let (pause, stall) = (Duration::from_millis(5), Duration::from_millis(300));
    FetchOptions { attempts: 4, pause, stall, ..FetchOptions::default() }
}

fn pinned(url: &str) -> Download {
    let [sha256, url] = [hex(&content()), format!("{url}/data.bin")].map(|text| &*text.leak());
    Download { path: "data.bin", bytes: SIZE as u64, sha256, url, members: &[] }
}

struct Outcome {
    result: Result<PathBuf, FetchError>,
    asked: Vec<Asked>,
    dir: tempfile::TempDir,
}

impl Outcome {
    /// Asserts that the file is complete and no partial file is left.
    fn arrived(&self) {
        assert!(self.result.is_ok(), "{:?}", self.result);
        assert_eq!(fs::read(self.dir.path().join("data.bin")).unwrap(), content());
        assert!(!self.part().exists());
    }

    /// Asserts that there is no file and that the error contains these words.
    fn failed(&self, words: &[&str]) {
        let message = self.result.as_ref().unwrap_err().to_string();
        assert!(words.iter().all(|word| message.contains(word)), "{message}");
        assert!(!self.dir.path().join("data.bin").exists());
    }

    fn part(&self) -> PathBuf {
        self.dir.path().join("data.bin.part")
    }

    fn requests(&self) -> usize {
        self.asked.len()
    }
}

fn run_in(dir: tempfile::TempDir, server: &Server, options: &FetchOptions) -> Outcome {
    let result = fetch(&pinned(&server.url), dir.path(), options, &mut |_| ());
    Outcome { result, asked: server.asked(), dir }
}

fn run(answer: impl FnMut(usize, &Asked, &mut TcpStream) + Send + 'static) -> Outcome {
    run_in(tempfile::tempdir().unwrap(), &Server::new(answer), &options())
}

/// Runs with a partial file `part` left by an earlier attempt.
fn run_with(part: &[u8], answer: impl FnMut(usize, &Asked, &mut TcpStream) + Send + 'static) -> Outcome {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("data.bin.part"), part).unwrap();
    run_in(dir, &Server::new(answer), &options())
}

#[test]
fn b01_a_good_server() {
    let mut seen = Vec::new();
    let server = Server::new(|_, asked, stream| good(asked, stream));
    let dir = tempfile::tempdir().unwrap();
    fetch(&pinned(&server.url), dir.path(), &options(), &mut |have| seen.push(have)).unwrap();
    assert_eq!(fs::read(dir.path().join("data.bin")).unwrap(), content());
    assert!(seen.is_sorted() && seen.last() == Some(&(SIZE as u64)), "{seen:?}");
}

#[test]
fn b02_an_existing_file_is_not_downloaded_again() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("data.bin"), content()).unwrap();
    let outcome = run_in(dir, &Server::new(|_, asked, stream| good(asked, stream)), &options());
    outcome.arrived();
    assert_eq!(outcome.requests(), 0);
}

#[test]
fn b03_a_wrong_file_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("data.bin"), &content()[..99]).unwrap();
    run_in(dir, &Server::new(|_, asked, stream| good(asked, stream)), &options()).arrived();
}

#[test]
fn b04_not_found() {
    let outcome = run(|_, _, stream| send(stream, "404 Not Found\r\nContent-Length: 0", b""));
    outcome.failed(&["answers 404", "data.bin"]);
    assert_eq!(outcome.requests(), 1, "the error is permanent, so there is no second request");
}

#[test]
fn b05_forbidden() {
    run(|_, _, stream| send(stream, "403 Forbidden\r\nContent-Length: 0", b"")).failed(&["answers 403"]);
}

#[test]
fn b06_unavailable_at_first() {
    let outcome = run(|number, asked, stream| match number {
        0 | 1 => send(stream, "503 Service Unavailable\r\nContent-Length: 0", b""),
        _ => good(asked, stream),
    });
    outcome.arrived();
    assert_eq!(outcome.requests(), 3);
}

#[test]
fn b07_unavailable_permanently() {
    let outcome = run(|_, _, stream| send(stream, "500 Internal Server Error\r\nContent-Length: 0", b""));
    outcome.failed(&["answers 500", "try again later"]);
    assert_eq!(outcome.requests(), 4, "the number of attempts is limited");
}

#[test]
fn b08_too_many_requests_at_first() {
    run(|number, asked, stream| match number {
        0 => send(stream, "429 Too Many Requests\r\nContent-Length: 0", b""),
        _ => good(asked, stream),
    })
    .arrived();
}

#[test]
fn b09_closed_without_an_answer() {
    run(|number, asked, stream| {
        if number > 0 {
            good(asked, stream)
        }
    })
    .arrived();
}

#[test]
fn b10_closed_in_the_middle_and_resumed() {
    let outcome = run(|number, asked, stream| if number == 0 { cut_off(100_000, stream) } else { good(asked, stream) });
    outcome.arrived();
    let from = outcome.asked[1].from.expect("the second request asks for the rest");
    assert!(from > 0 && from <= 100_000, "{from}");
}

#[test]
fn b11_closed_in_the_middle_every_time() {
    let outcome = run(|_, _, stream| cut_off(1000, stream));
    outcome.failed(&["try again later"]);
    assert_eq!(fs::read(outcome.part()).unwrap(), content()[..1000], "the downloaded part is kept");
}

#[test]
fn b12_stalled() {
    let outcome = run(|number, asked, stream| match number {
        0 => {
            cut_off(5000, stream);
            std::thread::sleep(Duration::from_millis(900));
        }
        _ => good(asked, stream),
    });
    outcome.arrived();
}

#[test]
fn b13_never_an_answer() {
    let outcome = run(|_, _, _| std::thread::sleep(Duration::from_millis(500)));
    outcome.failed(&["try again later"]);
}

#[test]
fn b14_slow_but_alive() {
    run(|_, _, stream| {
        send(stream, &format!("200 OK\r\nContent-Length: {SIZE}"), b"");
        for piece in content().chunks(SIZE / 6 + 1) {
            std::thread::sleep(Duration::from_millis(80));
            stream.write_all(piece).unwrap();
        }
    })
    .arrived();
}

#[test]
fn b15_no_length() {
    run(|_, _, stream| send(stream, "200 OK", &content())).arrived();
}

#[test]
fn b16_in_chunks() {
    run(|_, _, stream| {
        send(stream, "200 OK\r\nTransfer-Encoding: chunked", b"");
        for piece in content().chunks(40_000) {
            stream.write_all(format!("{:x}\r\n", piece.len()).as_bytes()).unwrap();
            stream.write_all(piece).unwrap();
            stream.write_all(b"\r\n").unwrap();
        }
        stream.write_all(b"0\r\n\r\n").unwrap();
    })
    .arrived();
}

#[test]
fn b17_another_length() {
    for length in [SIZE - 1, SIZE + 1, 0, 10 * SIZE] {
        let outcome = run(move |_, _, stream| send(stream, &format!("200 OK\r\nContent-Length: {length}"), &content()));
        outcome.failed(&[&format!("{length} bytes instead of {SIZE}")]);
        assert_eq!(outcome.requests(), 1);
    }
}

#[test]
fn b18_too_many_bytes_without_a_length() {
    let outcome = run(|_, _, stream| send(stream, "200 OK", &[content(), vec![0; 500_000]].concat()));
    outcome.failed(&["more than 300000 bytes"]);
    assert!(fs::metadata(outcome.part()).unwrap().len() <= SIZE as u64, "it must not fill the disk");
}

#[test]
fn b19_an_empty_body() {
    run(|_, _, stream| send(stream, "200 OK", b"")).failed(&["ends after 0 of"]);
}

#[test]
fn b20_a_web_page() {
    let html = b"<html>please log in</html>";
    let outcome = run(|_, _, stream| send(stream, "200 OK\r\nContent-Type: text/html; charset=utf-8", html));
    outcome.failed(&["a web page"]);
    assert_eq!(outcome.requests(), 1);
}

#[test]
fn b21_right_length_wrong_content() {
    let outcome = run(|_, _, stream| send(stream, &format!("200 OK\r\nContent-Length: {SIZE}"), &vec![7; SIZE]));
    outcome.failed(&["SHA-256"]);
    assert!(!outcome.part().exists(), "a wrong file is not resumed");
    assert_eq!(outcome.requests(), 1);
}

#[test]
fn b22_compressed_without_request() {
    let head = "200 OK\r\nContent-Encoding: gzip";
    run(move |_, _, stream| send(stream, head, &content())).failed(&["compressed data"]);
}

#[test]
fn b23_a_range_is_ignored() {
    let outcome = run_with(&content()[..50_000], |_, _, stream| {
        send(stream, &format!("200 OK\r\nContent-Length: {SIZE}"), &content());
    });
    outcome.arrived();
    assert_eq!((outcome.requests(), outcome.asked[0].from), (1, Some(50_000)));
}

#[test]
fn b24_another_range_than_requested() {
    let outcome = run_with(&content()[..50_000], |_, asked, stream| match asked.from {
        Some(_) => {
            let head = format!("206 Partial Content\r\nContent-Range: bytes 10-{}/{SIZE}", SIZE - 1);
            send(stream, &head, &content()[10..]);
        }
        None => good(asked, stream),
    });
    outcome.arrived();
    assert_eq!(outcome.asked[1].from, None, "the next attempt starts from the beginning");
}

#[test]
fn b25_the_file_changes_between_two_parts() {
    // The partial file is from an older version of the file. The parts do not match, so the download starts again.
    let outcome = run_with(&[9; 50_000], |_, asked, stream| good(asked, stream));
    outcome.arrived();
    assert_eq!((outcome.asked[0].from, outcome.asked[1].from), (Some(50_000), None));
}

#[test]
fn b26_an_impossible_range() {
    let outcome = run_with(&content()[..50_000], |_, asked, stream| match asked.from {
        Some(_) => send(stream, "416 Range Not Satisfiable\r\nContent-Length: 0", b""),
        None => good(asked, stream),
    });
    outcome.arrived();
}

#[test]
fn b27_the_partial_file_is_complete() {
    let outcome = run_with(&content(), |_, asked, stream| good(asked, stream));
    outcome.arrived();
    assert_eq!(outcome.requests(), 0);
}

#[test]
fn b28_the_partial_file_is_too_long() {
    run_with(&[content(), vec![1]].concat(), |_, asked, stream| good(asked, stream)).arrived();
}

#[test]
fn b29_a_chain_of_redirects() {
    for target in ["/elsewhere/data.bin", "elsewhere", "//HOST/data"] {
        let outcome = run(move |number, asked, stream| match number {
            0 => {
                let host = stream.local_addr().unwrap().to_string();
                let target = target.replace("HOST", &host);
                send(stream, &format!("302 Found\r\nLocation: {target}\r\nContent-Length: 0"), b"");
            }
            _ => good(asked, stream),
        });
        outcome.arrived();
        let expected = match target {
            "elsewhere" => "GET /elsewhere ",
            "//HOST/data" => "GET /data ",
            _ => "GET /elsewhere/data.bin ",
        };
        assert!(outcome.asked[1].line.starts_with(expected), "{:?}", outcome.asked);
    }
}

#[test]
fn b30_circular_redirects() {
    let outcome =
        run(|_, _, stream| send(stream, "301 Moved Permanently\r\nLocation: /round\r\nContent-Length: 0", b""));
    outcome.failed(&["more than 5 times"]);
    assert_eq!(outcome.requests(), 6);
}

#[test]
fn b31_a_redirect_to_an_insecure_address() {
    for target in ["http://example.com/data.bin", "ftp://127.0.0.1/data.bin", "file:///etc/passwd"] {
        let outcome = run(move |_, _, stream| {
            send(stream, &format!("302 Found\r\nLocation: {target}\r\nContent-Length: 0"), b"")
        });
        outcome.failed(&["only https", target]);
    }
}

#[test]
fn b32_a_redirect_without_an_address() {
    run(|_, _, stream| send(stream, "302 Found\r\nContent-Length: 0", b"")).failed(&["without an address"]);
}

#[test]
fn b33_no_server() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let dir = tempfile::tempdir().unwrap();
    let error = fetch(&pinned(&url), dir.path(), &options(), &mut |_| ()).unwrap_err();
    assert!(matches!(error, FetchError::Unreachable { .. }), "{error}");
}

#[test]
fn b34_plain_http_to_another_machine() {
    let dir = tempfile::tempdir().unwrap();
    let error = fetch(&pinned("http://example.com"), dir.path(), &options(), &mut |_| ()).unwrap_err();
    assert!(matches!(error, FetchError::NotAllowed(_)), "{error}");
}

#[test]
fn b35_offline() {
    let server = Server::new(|_, asked, stream| good(asked, stream));
    let options = FetchOptions { offline: true, ..options() };
    let outcome = run_in(tempfile::tempdir().unwrap(), &server, &options);
    outcome.failed(&["AST_OFFLINE", "put it there"]);
    assert_eq!(outcome.requests(), 0);
}

#[test]
fn b36_mirrors_are_tried_before_the_publisher() {
    let mirrors = [
        Server::new(|_, _, stream| send(stream, "404 Not Found\r\nContent-Length: 0", b"")),
        Server::new(|_, _, stream| send(stream, &format!("200 OK\r\nContent-Length: {SIZE}"), &vec![1; SIZE])),
    ];
    let publisher = Server::new(|_, asked, stream| good(asked, stream));
    let names = mirrors.iter().map(|mirror| format!("{}/some/folder/", mirror.url)).collect();
    let outcome = run_in(tempfile::tempdir().unwrap(), &publisher, &FetchOptions { mirrors: names, ..options() });
    outcome.arrived();
    assert!(mirrors.iter().all(|mirror| mirror.asked()[0].line == "GET /some/folder/data.bin HTTP/1.1"));
    assert_eq!(outcome.requests(), 1);
}

#[test]
fn b37_two_downloads_at_once() {
    let server = Arc::new(Server::new(|_, asked, stream| {
        std::thread::sleep(Duration::from_millis(200));
        good(asked, stream);
    }));
    let dir = tempfile::tempdir().unwrap();
    let outcomes: Vec<bool> = std::thread::scope(|scope| {
        let one = || fetch(&pinned(&server.url), dir.path(), &options(), &mut |_| ());
        let all: Vec<_> = (0..2).map(|_| scope.spawn(one)).collect();
        let all = all.into_iter().map(|thread| thread.join().unwrap());
        all.map(|outcome| match outcome {
            Ok(_) => true,
            Err(FetchError::Busy(_)) => false,
            Err(error) => panic!("{error}"),
        })
        .collect()
    });
    assert!(outcomes.contains(&true));
    assert_eq!(fs::read(dir.path().join("data.bin")).unwrap(), content());
}

#[test]
fn b38_the_folder_cannot_be_created() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let server = Server::new(|_, asked, stream| good(asked, stream));
    let error = fetch(&pinned(&server.url), &file.join("below"), &options(), &mut |_| ()).unwrap_err();
    assert!(matches!(error, FetchError::Disk { .. }), "{error}");
    assert_eq!(Path::new(&file).metadata().unwrap().len(), 0);
}
