//! The worker's folder: the sealed key and the checkpoints, which outlive the process.
//!
//! `runtime-data.seal` holds the SCALE bytes of the sealed key. A checkpoint is
//! `checkpoint.seal-<block, nine digits>`; it is complete once `<that name>.info.json` stands beside it.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use codec::{Decode, Encode};

use super::identity::Sealed;
use super::phactory::Phactory;

const SEALED_KEY: &str = "runtime-data.seal";
const CHECKPOINT: &str = "checkpoint.seal-";
const MARKER: &str = ".info.json";

/// A worker's folder and what is known to be in it.
pub struct Vault {
    dir: PathBuf,
    sealed: Option<Vec<u8>>,
    /// Block and bytes of each checkpoint on disk; the bytes are those the worker holds.
    checkpoints: BTreeMap<u32, Arc<[u8]>>,
}

impl Vault {
    /// Opens a folder, creating it if needed, and puts its contents into `phactory`.
    pub fn open(dir: &Path, phactory: &mut Phactory) -> io::Result<Self> {
        std::fs::create_dir_all(dir)?;
        let sealed = match std::fs::read(dir.join(SEALED_KEY)) {
            Ok(bytes) => Some(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let key = match &sealed {
            None => None,
            Some(bytes) => Some(Sealed::decode(&mut &bytes[..]).map_err(|error| {
                let text = format!("sealed key in {} can not be read: {error}", dir.display());
                io::Error::new(io::ErrorKind::InvalidData, text)
            })?),
        };
        let mut checkpoints = BTreeMap::new();
        for entry in std::fs::read_dir(dir)? {
            let name = entry?.file_name();
            let Some(name) = name.to_str() else { continue };
            let block = name.strip_prefix(CHECKPOINT).and_then(|block| block.parse().ok());
            if let Some(block) = block
                && dir.join(format!("{name}{MARKER}")).exists()
            {
                checkpoints.insert(block, std::fs::read(dir.join(name))?.into());
            }
        }
        phactory.put_back(key, checkpoints.clone());
        Ok(Self { dir: dir.to_owned(), sealed, checkpoints })
    }

    /// Brings the folder in line with `phactory`.
    pub fn save(&mut self, phactory: &Phactory) -> io::Result<()> {
        let sealed = phactory.sealed().map(Encode::encode);
        if sealed != self.sealed {
            match &sealed {
                Some(bytes) => write(&self.dir.join(SEALED_KEY), bytes)?,
                None => remove(&self.dir.join(SEALED_KEY))?,
            }
            self.sealed = sealed;
        }
        let wanted: BTreeMap<u32, Arc<[u8]>> = phactory.checkpoints().iter().cloned().collect();
        for (block, bytes) in &wanted {
            // A block can have another checkpoint than before, and of the same length.
            if !self.checkpoints.get(block).is_some_and(|known| Arc::ptr_eq(known, bytes)) {
                let name = self.file(*block);
                write(&name, bytes)?;
                write(&marker(&name), format!("{{\"block\":{block}}}").as_bytes())?;
            }
        }
        for block in self.checkpoints.keys().filter(|block| !wanted.contains_key(block)) {
            let name = self.file(*block);
            remove(&marker(&name))?;
            remove(&name)?;
        }
        self.checkpoints = wanted;
        Ok(())
    }

    fn file(&self, block: u32) -> PathBuf {
        self.dir.join(format!("{CHECKPOINT}{block:09}"))
    }
}

fn marker(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(MARKER);
    name.into()
}

/// Writes beside the file first, so that a crash never leaves half of it.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    std::fs::write(&beside, bytes)?;
    std::fs::rename(&beside, path)
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
