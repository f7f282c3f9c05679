//! `prb inventory`.

use super::{CommandError, opened, told};
use crate::{
    args::InventoryCommand,
    bulk::{self, BulkError, Format},
    config::Config,
    inventory::{InventoryError, apply},
};
use std::{fs, io::Write};

/// Carries out an inventory command.
pub fn inventory(
    config: &Config,
    command: InventoryCommand,
    out: &mut dyn Write,
) -> Result<(), CommandError> {
    let inventory = opened(config)?;
    match command {
        InventoryCommand::Import { file, dry_run, output } => {
            let rows = bulk::read(&file)?;
            let affected = if dry_run {
                let mut snapshot = inventory.snapshot()?;
                let changes = rows.changes(&snapshot)?;
                apply(&mut snapshot, &changes).map_err(|refused| InventoryError::from(refused).into())
            } else {
                inventory.change(|snapshot| Ok::<_, CommandError>(rows.changes(snapshot)?))
            };
            let affected = affected.map_err(|error| match error {
                CommandError::Inventory(error) => {
                    rows.refused(error).map_or_else(CommandError::from, CommandError::from)
                }
                other => other,
            })?;
            told(out, output, &affected)?;
            if !output.json {
                let changed = affected.iter().filter(|one| one.changed()).count();
                let would = if dry_run { "would be changed; nothing is (--dry-run)" } else { "changed" };
                writeln!(out, "{changed} of {} {would}", affected.len())?;
            }
        }
        InventoryCommand::Export { file } => {
            let format = file.as_deref().map_or(Ok(Format::Yaml), Format::of)?;
            let text = bulk::write(&inventory.snapshot()?, format)?;
            match file {
                None => out.write_all(text.as_bytes())?,
                Some(path) => {
                    fs::write(&path, text)
                        .map_err(|cause| BulkError::NotWritten { path: path.clone(), cause })?;
                    writeln!(out, "written to {}", path.display())?;
                }
            }
        }
    }
    Ok(())
}
