//! Where an archive lies: a folder, or below a URL.

use super::{ArchiveError, http::Web};
use crate::tls::ClientTls;
use bytes::Bytes;
use std::{
    fs::File,
    io::{ErrorKind, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

/// Where an archive lies. Clones share connections.
#[derive(Clone, Debug)]
pub struct Place(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Folder(PathBuf),
    Web(Arc<Web>),
}

impl Place {
    /// The place that `text` names: a URL with http:// or https://, else a folder.
    pub fn parse(text: &str) -> Result<Self, ArchiveError> {
        Self::parse_with(text, None)
    }

    /// The same; servers at https:// must be vouched for by `tls`, or where that is none, by whom the system believes.
    pub fn parse_with(text: &str, tls: Option<ClientTls>) -> Result<Self, ArchiveError> {
        if text.contains("://") {
            return Ok(Self(Kind::Web(Arc::new(Web::parse(text, tls)?))));
        }
        Ok(Self::folder(text))
    }

    /// A folder.
    pub fn folder(path: impl AsRef<Path>) -> Self {
        Self(Kind::Folder(path.as_ref().to_owned()))
    }

    /// The folder, none if it is elsewhere.
    pub fn as_folder(&self) -> Option<&Path> {
        match &self.0 {
            Kind::Folder(path) => Some(path),
            Kind::Web(_) => None,
        }
    }

    /// Its name, for errors and logs.
    pub fn name(&self) -> String {
        match &self.0 {
            Kind::Folder(path) => path.display().to_string(),
            Kind::Web(web) => web.name().to_owned(),
        }
    }

    /// A file of at most `cap` bytes, none if there is no such file. Trouble on the way is waited out for a while.
    pub(super) async fn get(&self, name: &str, cap: usize) -> Result<Option<Bytes>, ArchiveError> {
        match &self.0 {
            Kind::Web(web) => web.get(name, cap).await,
            Kind::Folder(folder) => {
                let (folder, name) = (folder.clone(), name.to_owned());
                let read = tokio::task::spawn_blocking(move || read(&folder, &name, cap));
                read.await.map_err(|error| ArchiveError::Backend(error.to_string()))?
            }
        }
    }

    /// Whether asking again may bring other bytes.
    pub(super) fn is_far(&self) -> bool {
        matches!(self.0, Kind::Web(_))
    }
}

fn read(folder: &Path, name: &str, cap: usize) -> Result<Option<Bytes>, ArchiveError> {
    let path = folder.join(name);
    let failed = |cause| ArchiveError::Io { path: path.display().to_string(), cause };
    let file = match File::open(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        file => file.map_err(failed)?,
    };
    let mut bytes = Vec::new();
    file.take(cap as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > cap {
        let (place, name) = (folder.display().to_string(), name.to_owned());
        return Err(ArchiveError::TooLarge { place, name, cap });
    }
    Ok(Some(bytes.into()))
}
