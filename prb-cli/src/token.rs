//! Tokens in files.

use prb_core::fault::remedy;
use prb_store::server::{BadToken, Token};
use std::{fs, io, io::Read, path::Path};

/// Longest token file, bytes.
const MAX_TOKEN: u64 = 4096;

/// Why there is no token in a file.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file cannot be read.
    #[error("{}; {}", .0, remedy(.0))]
    Unreadable(#[from] io::Error),
    /// It holds something else.
    #[error(transparent)]
    Bad(#[from] BadToken),
}

/// The token that is all of a file, but for space around it.
pub fn token_in(path: &Path) -> Result<Token, TokenError> {
    Ok(Token::new(&text_in(path)?)?)
}

/// The same, whatever it is.
pub(crate) fn text_in(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    fs::File::open(path)?.take(MAX_TOKEN).read_to_string(&mut text)?;
    Ok(text.trim().to_owned())
}
