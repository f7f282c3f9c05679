//! The identity, and migration to it.

use super::OutputArgs;
use clap::Subcommand;
use std::path::PathBuf;

/// Identity commands.
#[derive(Clone, Debug, Subcommand)]
pub enum IdentityCommand {
    /// Show which identity it is, and which secrets it opens.
    Show(OutputArgs),
    /// Copy it to a file that is not there yet. Whoever has the copy (and its passphrase) and the data directory has the secrets.
    Backup {
        /// The file, with mode 0600 afterwards.
        file: PathBuf,
    },
    /// Put a copy back. Only one that opens the secrets of the inventory is taken, and only where the present one does not.
    Restore {
        /// The copy; nobody but its owner may be able to read it.
        file: PathBuf,
    },
    /// Protect it with another passphrase, which is asked for on the terminal. `prb run` needs it at every start.
    ChangePassphrase {
        /// File whose first line is the new passphrase.
        #[arg(long, value_name = "FILE")]
        new_passphrase_file: Option<PathBuf>,
        /// Protect it with none.
        #[arg(long, conflicts_with = "new_passphrase_file")]
        none: bool,
    },
    /// Make another identity and encrypt every secret with it; copies of the old one are of no use afterwards.
    Rotate {
        /// Give up secrets that do not open. `prb operator set NAME --secret` gives each of them again.
        #[arg(long)]
        lose_secrets: bool,
    },
}

/// Where to migrate from.
#[derive(Clone, Debug, Subcommand)]
pub enum MigrateCommand {
    /// From the files of a stopped PRB v2: identity and database of its lifecycle manager. Secrets come along.
    V2 {
        /// Its identity, for example /var/data/keys/id/LIFECYCLE.
        #[arg(long, value_name = "FILE")]
        identity: PathBuf,
        /// Its database, for example /var/data/local.db.
        #[arg(long, value_name = "FILE")]
        database: PathBuf,
        /// Only show what would be done.
        #[arg(long)]
        dry_run: bool,
        /// Output.
        #[command(flatten)]
        output: OutputArgs,
    },
    /// From the management address of a running PRB v3. It does not give secrets away: add the operators first, under any
    /// names, and pools find theirs by its account.
    V3 {
        /// For example http://10.0.0.5:3001.
        url: String,
        /// Only show what would be done.
        #[arg(long)]
        dry_run: bool,
        /// Output.
        #[command(flatten)]
        output: OutputArgs,
    },
}
