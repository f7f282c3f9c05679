//! Shell completions and manual pages, made from the command line itself.

use crate::args::Cli;
use clap::CommandFactory;
use clap_complete::Shell;
use std::{
    io::{self, Write},
    path::Path,
};

/// Writes the completions of a shell.
pub fn completions(shell: Shell, out: &mut dyn Write) -> io::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "prb", &mut script);
    out.write_all(&script)
}

/// Writes a page for each command into a folder, which is made if need be.
pub fn pages(folder: &Path) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    clap_mangen::generate_to(Cli::command(), folder)
}
