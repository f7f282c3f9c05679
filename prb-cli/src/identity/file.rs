//! Files that only their owner may read.

use super::IdentityError;
use std::{
    fs,
    io::{self, Read, Write},
    path::Path,
};
use zeroize::Zeroizing;

/// Longest file that is read, bytes.
const MAX_BYTES: u64 = 4096;

/// The text of a file that nobody else can read; none if there is no such file.
pub(super) fn read(path: &Path) -> Result<Option<Zeroizing<String>>, IdentityError> {
    let io = |cause| IdentityError::Io { path: path.to_owned(), cause };
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(cause) => return Err(io(cause)),
    };
    check_mode(path, &file)?;
    // Room for all of it from the start: a string that grows leaves copies behind.
    let mut text = Zeroizing::new(String::with_capacity(MAX_BYTES as usize + 1));
    file.take(MAX_BYTES).read_to_string(&mut text).map_err(io)?;
    Ok(Some(text))
}

/// Writes a file that only its owner can read: durably, and whole or not at all, for an identity that is lost or torn
/// takes every secret sealed with it along. A file that is there already stays unless it is to be replaced.
pub(super) fn write(path: &Path, content: &[u8], replace: bool) -> io::Result<()> {
    let draft = path.with_extension(format!("draft-{}", std::process::id()));
    let _ = fs::remove_file(&draft); // of a process with this number that was killed
    let placed = write_draft(&draft, content)
        .and_then(|()| if replace { fs::rename(&draft, path) } else { place(&draft, path) });
    if placed.is_err() {
        // It may hold a key.
        let _ = fs::remove_file(&draft);
    }
    placed?;
    sync_folder(path)
}

fn write_draft(draft: &Path, content: &[u8]) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let mut file = options.open(draft)?;
    file.write_all(content)?;
    file.sync_all()
}

/// Gives a draft its name, unless something has it.
fn place(draft: &Path, path: &Path) -> io::Result<()> {
    match fs::hard_link(draft, path) {
        Ok(()) => fs::remove_file(draft),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
        Err(_) => place_without_links(draft, path),
    }
}

/// The same on a file system without links: the name is taken first, so that nothing is replaced.
pub(super) fn place_without_links(draft: &Path, path: &Path) -> io::Result<()> {
    fs::OpenOptions::new().write(true).create_new(true).open(path)?;
    fs::rename(draft, path).inspect_err(|_| drop(fs::remove_file(path)))
}

/// Gives a file the name of another one, which it replaces.
pub(super) fn replace(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)?;
    sync_folder(to)
}

/// Makes a new name in the folder of `path` survive a loss of power.
#[cfg(unix)]
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    fs::File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_path: &Path) -> io::Result<()> {
    Ok(())
}

/// Descriptors and pipes (`/dev/fd/3`) belong to whoever made them; a file must be its owner's alone.
#[cfg(unix)]
fn check_mode(path: &Path, file: &fs::File) -> Result<(), IdentityError> {
    use std::os::unix::fs::PermissionsExt;
    let metadata = file.metadata().map_err(|cause| IdentityError::Io { path: path.to_owned(), cause })?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 == 0 || !metadata.is_file() {
        Ok(())
    } else {
        Err(IdentityError::Open { path: path.to_owned(), mode })
    }
}

#[cfg(not(unix))]
fn check_mode(_path: &Path, _file: &fs::File) -> Result<(), IdentityError> {
    Ok(())
}
