//! Files that only their owner may read.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};
use tracing::warn;
use zeroize::Zeroizing;

/// Reads a secret and changes nothing. Permissions that let others read it are told.
pub(crate) fn read(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let file = File::open(path)?;
    if let Some(mode) = open_to_others(&file) {
        tell(path, mode, false);
    }
    bytes(&file)
}

/// Reads a secret that this program made if `is_ours` says so of it: permissions that let others read it are told, and
/// taken away if it is.
pub(crate) fn read_and_mend(
    path: &Path,
    is_ours: impl FnOnce(&[u8]) -> bool,
) -> io::Result<Zeroizing<Vec<u8>>> {
    let file = File::open(path)?;
    let bytes = bytes(&file)?;
    if let Some(mode) = open_to_others(&file) {
        let mended = is_ours(&bytes) && close_to_others(&file).is_ok();
        tell(path, mode, mended);
    }
    Ok(bytes)
}

fn bytes(file: &File) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(LARGEST));
    file.take(LARGEST as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > LARGEST {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("it is larger than {LARGEST} bytes")));
    }
    Ok(bytes)
}

/// Writes a secret to a file that is not there yet, whole or not at all.
pub(crate) fn create(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let beside = beside(path);
    let written = write(&beside, bytes).and_then(|()| place(&beside, path));
    let removed = fs::remove_file(&beside);
    written.and(removed.or_else(|error| if beside.exists() { Err(error) } else { Ok(()) }))
}

/// Never over a file that is there, as far as the file system can do that.
fn place(beside: &Path, path: &Path) -> io::Result<()> {
    match fs::hard_link(beside, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
        // Some have no hard links.
        Err(_) if !path.exists() => fs::rename(beside, path),
        outcome => outcome,
    }
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}", uuid::Uuid::new_v4().simple()));
    path.with_file_name(name)
}

fn tell(path: &Path, mode: u32, mended: bool) {
    let (path, mode) = (path.display(), format_args!("{mode:o}"));
    if mended {
        warn!(%path, %mode, "a secret could be read by others on this machine; consider it known to them");
    } else {
        warn!(
            %path,
            %mode,
            "a secret can be read by others on this machine; consider it known to them, and take that permission away (chmod 600)"
        );
    }
}

/// The permissions of a file, if others may read or write it.
#[cfg(unix)]
fn open_to_others(file: &File) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt as _;
    let metadata = file.metadata().ok().filter(fs::Metadata::is_file)?;
    let mode = metadata.permissions().mode() & 0o777;
    (mode & 0o077 != 0).then_some(mode)
}

#[cfg(unix)]
fn close_to_others(file: &File) -> io::Result<()> {
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))
}

#[cfg(not(unix))]
fn open_to_others(_: &File) -> Option<u32> {
    None
}

#[cfg(not(unix))]
fn close_to_others(_: &File) -> io::Result<()> {
    Ok(())
}

/// Of any such file, bytes. An RSA identity has about 2,000.
const LARGEST: usize = 64 * 1024;
