//! Quotes paths and arguments in commands that the user copies into a shell.

use std::ffi::OsStr;
use std::path::Path;

/// The path as one word of a POSIX shell, unquoted if nothing in it is special.
pub(crate) fn quoted(path: &Path) -> String {
    // A leading dash would be read as an option.
    let option = path.as_os_str().as_encoded_bytes().starts_with(b"-");
    if option { word(Path::new(".").join(path).as_os_str()) } else { word(path.as_os_str()) }
}

/// Any argument as one word of a POSIX shell.
pub(crate) fn word(text: &OsStr) -> String {
    let bytes = text.as_encoded_bytes();
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"_@%+=:,./-".contains(byte);
    match text.to_str() {
        Some(text) if !text.is_empty() && bytes.iter().all(plain) => text.to_string(),
        Some(text) if !text.chars().any(char::is_control) => format!("'{}'", text.replace('\'', r"'\''")),
        // Line breaks and bytes that are not text do not survive copying.
        _ => {
            let escaped: String = bytes.iter().map(|byte| format!("\\x{byte:02x}")).collect();
            format!("$'{escaped}'")
        }
    }
}

/// A command line of this program, to be repeated: with its name, wherever it is.
pub(crate) fn command_line(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> String {
    let own = arguments.into_iter().skip(1).map(|text| word(text.as_ref()));
    std::iter::once("ast".to_string()).chain(own).collect::<Vec<_>>().join(" ")
}

#[cfg(all(test, unix))]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::process::Command;

    use super::*;

    #[test]
    fn a_plain_path_is_not_quoted() {
        assert_eq!(quoted(Path::new("runs/0001-cifar10-ast")), "runs/0001-cifar10-ast");
    }

    #[test]
    fn a_shell_reads_back_every_path() {
        for path in [
            "",
            "a b",
            "it's",
            "\"$(x)\" `y` \\ ~ #!*?[]{}|&;<>()",
            "-rf",
            "- x",
            "\u{e9}\u{4e2d}",
            "line\nbreak\t",
            "~",
        ]
        .map(str::as_bytes)
        .into_iter()
        .chain([&b"\xff'"[..]])
        {
            let path = Path::new(OsStr::from_bytes(path));
            let script = format!("printf %s {}", quoted(path));
            let read = Command::new("bash").args(["-c", &script]).output().unwrap();
            let expected =
                if path.as_os_str().as_bytes().starts_with(b"-") { Path::new("./").join(path) } else { path.into() };
            assert_eq!(OsStr::from_bytes(&read.stdout), expected.as_os_str(), "{script}");
        }
    }
}
