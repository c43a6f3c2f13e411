//! Starting other programs: one place that says what was called when it fails.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Runs to the end with our own output; a non-zero exit is an error that names the call.
pub fn run(command: &mut Command) -> Result<(), String> {
    let call = shown(command);
    let status = command
        .stdin(Stdio::null())
        .status()
        .map_err(|error| format!("{call}: {error}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{call}: {status}"))
    }
}

/// Runs to the end and answers with what it printed; a non-zero exit is an error with what it complained about.
pub fn read(command: &mut Command) -> Result<String, String> {
    let call = shown(command);
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{call}: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        let complaint = String::from_utf8_lossy(&output.stderr);
        Err(format!("{call}: {}\n{}", output.status, complaint.trim()))
    }
}

/// Where a program stands on the search path, if it does.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|candidate| is_executable(candidate))
}

/// Whether this process may install packages and must not run a database server itself.
pub fn is_root() -> bool {
    read(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata()
        .is_ok_and(|facts| facts.is_file() && facts.permissions().mode() & 0o111 != 0)
}

fn shown(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(
        command
            .get_args()
            .map(|argument| argument.to_string_lossy().into_owned()),
    );
    words.join(" ")
}
