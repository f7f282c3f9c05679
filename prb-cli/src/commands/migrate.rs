//! `prb migrate`.

use super::{opened, told};
use crate::{args::MigrateCommand, config::Config, migrate, v3::ConfigError};
use std::io::{self, Write};

/// Carries out a migration command.
pub fn migrate(
    config: &Config,
    command: MigrateCommand,
    out: &mut dyn Write,
) -> Result<(), Box<dyn std::error::Error>> {
    let inventory = opened(config).map_err(ConfigError::from)?;
    let (taken, dry_run, output) = match command {
        MigrateCommand::V2 { identity, database, dry_run, output } => {
            let taken = migrate::from_v2(&inventory, &config.keyring(), &identity, &database, dry_run)?;
            (taken, dry_run, output)
        }
        MigrateCommand::V3 { url, dry_run, output } => {
            (migrate::from_v3(&inventory, &url, dry_run)?, dry_run, output)
        }
    };
    told(out, output, &taken.affected)?;
    if output.json {
        return Ok(());
    }
    let say = |out: &mut dyn Write| -> io::Result<()> {
        taken.remaining.iter().try_for_each(|step| writeln!(out, "to do: {step}"))?;
        if dry_run {
            writeln!(out, "nothing is changed (--dry-run)")?;
        }
        Ok(())
    };
    Ok(say(out)?)
}
