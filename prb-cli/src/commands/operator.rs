//! `prb operator`.

use super::{CommandError, opened, shown, told};
use crate::{
    account,
    args::OperatorCommand,
    config::Config,
    identity::Identity,
    inventory::{Change, Inventory, InventoryError, Operator, OperatorSet, apply},
    secret::Sealed,
};
use prb_chain::keys::{BadKey, Signer};
use prb_core::id::AccountId;
use serde_json::{Value, json};
use std::io::{self, BufRead, IsTerminal, Write};
use zeroize::Zeroizing;

/// Carries out an operator command.
pub fn operator(config: &Config, command: OperatorCommand, out: &mut dyn Write) -> Result<(), CommandError> {
    let inventory = opened(config)?;
    match command {
        OperatorCommand::Add { name, proxied, output } => {
            let proxied = proxied.as_deref().map(account::parse).transpose()?;
            let operator = |account, secret| {
                Change::AddOperator(Operator { name: name.clone(), account, proxied, secret })
            };
            would_do(&inventory, operator(AccountId::default(), Sealed::lost()))?;
            let secret = read_secret(&name)?;
            let (identity, _locked) = config.keyring().open_to_seal(&inventory)?;
            let (account, secret) = seal(&identity, &name, &secret)?;
            told(out, output, &inventory.apply(&[operator(account, secret)])?)?;
        }
        OperatorCommand::Set { name, secret, proxied, not_proxied, output } => {
            let proxied = proxied.as_deref().map(account::parse).transpose()?;
            let proxied = proxied.map(Some).or(not_proxied.then_some(None));
            let set = |key| Change::SetOperator(name.clone(), OperatorSet { key, proxied });
            would_do(&inventory, set(None))?;
            let secret = secret.then(|| read_secret(&name)).transpose()?;
            // Also without a secret: a rotation in between would bring the old one back.
            let (identity, _locked) = config.keyring().open_to_seal(&inventory)?;
            let key = secret.map(|secret| seal(&identity, &name, &secret)).transpose()?;
            told(out, output, &inventory.apply(&[set(key)])?)?;
        }
        OperatorCommand::List(output) => {
            let operators = inventory.snapshot()?.operators;
            if output.json {
                let rows: Vec<Value> = operators.iter().map(Operator::view).collect();
                writeln!(out, "{}", json!(rows))?;
            } else {
                for operator in operators {
                    let proxied =
                        operator.proxied.map(|account| format!("  for {account}")).unwrap_or_default();
                    let lost = if operator.secret.is_lost() { "  its secret was given up" } else { "" };
                    writeln!(out, "{}  {}{proxied}{lost}", operator.name, operator.account)?;
                }
            }
        }
        OperatorCommand::Show { name, output } => {
            let snapshot = inventory.snapshot()?;
            let operator = snapshot.operator(&name).ok_or_else(|| super::missing("operator", &name))?;
            let pools = snapshot.pools.iter().filter(|pool| pool.operator.as_ref() == Some(&name));
            let mut view = operator.view();
            view["pools"] = pools.map(|pool| pool.pid).collect();
            shown(out, output, &view)?;
        }
        OperatorCommand::Remove { name, output } => {
            told(out, output, &inventory.apply(&[Change::RemoveOperator(name)])?)?;
        }
    }
    Ok(())
}

/// Nobody should type a secret to learn that it is not wanted.
fn would_do(inventory: &Inventory, change: Change) -> Result<(), CommandError> {
    apply(&mut inventory.snapshot()?, &[change])
        .map(drop)
        .map_err(|refused| InventoryError::from(refused).into())
}

/// The account of a secret, and the secret sealed for the operator `name`.
pub fn seal(identity: &Identity, name: &str, secret: &str) -> Result<(AccountId, Sealed), CommandError> {
    let account = Signer::from_text(secret)?.account();
    Ok((account, Sealed::seal(identity, name, secret.trim().as_bytes())?))
}

/// Longest secret read from standard input, bytes.
const MAX_SECRET: u64 = 4096;

fn read_secret(name: &str) -> Result<Zeroizing<String>, CommandError> {
    let stdin = io::stdin();
    if stdin.is_terminal() {
        let prompt = format!("Secret of {name} (mnemonic, 0x seed, //URI or 128 hex digits): ");
        return Ok(Zeroizing::new(rpassword::prompt_password(prompt)?));
    }
    // Room for all of it from the start: a string that grows leaves copies behind.
    let mut line = Zeroizing::new(String::with_capacity(MAX_SECRET as usize + 1));
    io::Read::take(stdin.lock(), MAX_SECRET).read_line(&mut line)?;
    match line.trim() {
        "" => Err(CommandError::NoSecret(BadKey::Text)),
        secret => Ok(Zeroizing::new(secret.to_owned())),
    }
}
