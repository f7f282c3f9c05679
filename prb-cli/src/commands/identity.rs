//! `prb identity`.

use super::{CommandError, opened};
use crate::{
    args::IdentityCommand,
    config::Config,
    identity::{Keyring, Shown},
};
use serde_json::json;
use std::io::{self, Write};

/// Carries out an identity command.
pub fn identity(config: &Config, command: IdentityCommand, out: &mut dyn Write) -> Result<(), CommandError> {
    let (inventory, keyring) = (opened(config)?, config.keyring());
    match command {
        IdentityCommand::Show(output) => {
            let shown = keyring.show(&inventory.snapshot()?.operators)?;
            if output.json {
                let Shown { fingerprint, protected, opens, unusable } = shown;
                let file = keyring.file().display().to_string();
                let view = json!({
                    "fingerprint": fingerprint, "file": file, "protected": protected, "opens": opens, "unusable": unusable,
                });
                writeln!(out, "{view}")?;
            } else {
                say(out, &keyring, &shown)?;
            }
        }
        IdentityCommand::Backup { file } => {
            let shown = keyring.backup(&inventory, &file)?;
            writeln!(out, "identity {} copied to {}", shown.fingerprint, file.display())?;
            if !shown.protected {
                writeln!(out, "no passphrase protects it: keep the copy as safe as the secrets themselves")?;
            }
        }
        IdentityCommand::Restore { file } => {
            let shown = keyring.restore(&inventory, &file)?;
            writeln!(out, "identity {} restored from {}", shown.fingerprint, file.display())?;
            say(out, &keyring, &shown)?;
        }
        IdentityCommand::ChangePassphrase { new_passphrase_file, none } => {
            let shown = keyring.change_passphrase(&inventory, !none, new_passphrase_file.as_deref())?;
            say(out, &keyring, &shown)?;
            writeln!(out, "copies that were made before still open with what protected them")?;
        }
        IdentityCommand::Rotate { lose_secrets } => {
            let rotated = keyring.rotate(&inventory, lose_secrets)?;
            writeln!(out, "identity {} now seals {} secrets", rotated.fingerprint, rotated.sealed)?;
            for name in rotated.lost {
                writeln!(
                    out,
                    "the secret of {name} is given up; give it again with `prb operator set {name} --secret`"
                )?;
            }
            writeln!(
                out,
                "copies of the old one are of no use any more: make one of this with `prb identity backup FILE`"
            )?;
        }
    }
    Ok(())
}

fn say(out: &mut dyn Write, keyring: &Keyring, shown: &Shown) -> io::Result<()> {
    let protected =
        if shown.protected { "protected by a passphrase" } else { "not protected by a passphrase" };
    writeln!(out, "identity {} in {}, {protected}", shown.fingerprint, keyring.file().display())?;
    writeln!(out, "it opens the secrets of {} operators", shown.opens)?;
    shown.unusable.iter().try_for_each(|name| {
        writeln!(
            out,
            "it does not open the secret of {name}; give it again with `prb operator set {name} --secret`"
        )
    })
}
