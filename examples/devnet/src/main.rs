//! `prb-devnet`: see `prb-devnet --help`.

mod cmd;

use clap::Parser;
use std::{io::Write, process::ExitCode};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    prb_cli::prefer_small_pages();
    let cli = cmd::Cli::parse();
    let done = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(cmd::run(cli)));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Closed standard error is nobody's loss.
            let _ = writeln!(std::io::stderr(), "prb-devnet: {error:#}");
            ExitCode::FAILURE
        }
    }
}
