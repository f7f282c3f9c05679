//! `prb config`: the command line of PRB v3's `prb-config`.

use super::{CommandError, opened};
use crate::{
    args::{AccountType, ConfigCommand},
    config::Config,
    v3::{self, Command, ConfigError, OperatorFields, Pid, PoolFields, SecretType, WorkerFields},
};
use serde_json::json;
use std::io::Write;
use zeroize::Zeroizing;

/// Carries out a command of `prb-config`. The answer is printed as v3 does: pretty JSON, nothing for removals and for a pool that
/// is not there, an object with a message for an error.
pub fn config(config: &Config, command: ConfigCommand, out: &mut dyn Write) -> Result<(), ConfigError> {
    // What is none of v3's is `prb check` by then.
    let Some(command) = translated(command) else { return Ok(()) };
    let inventory = opened(config)?;
    let io = |error| ConfigError::from(CommandError::Io(error));
    let removal = matches!(command, Command::RemovePool(_) | Command::RemoveWorker { .. });
    match v3::run(&inventory, &config.keyring(), &command) {
        Ok(Some(answer)) if !removal => writeln!(out, "{answer:#}").map_err(io),
        Ok(_) => Ok(()),
        Err(cause) => {
            writeln!(out, "{:#}", json!({ "message": cause.to_string(), "backtrace": "" })).map_err(io)?;
            Err(cause)
        }
    }
}

/// The command of v3, if it is one.
fn translated(command: ConfigCommand) -> Option<Command> {
    let pool = |args: crate::args::PoolArgs| PoolFields {
        name: args.name,
        pid: args.pid,
        disabled: args.disabled,
        sync_only: args.sync_only,
    };
    let worker = |args: crate::args::WorkerArgs, new_name| WorkerFields {
        name: args.name,
        new_name,
        endpoint: args.endpoint,
        stake: args.stake,
        pid: args.pid,
        disabled: args.disabled,
        sync_only: args.sync_only,
        gatekeeper: args.gatekeeper,
    };
    let pid = |args: crate::args::PidArgs| Pid { pid: args.pid };
    Some(match command {
        ConfigCommand::Check(_) | ConfigCommand::Show(_) => return None,
        ConfigCommand::AddPool(args) => Command::AddPool(pool(args)),
        ConfigCommand::UpdatePool(args) => Command::UpdatePool(pool(args)),
        ConfigCommand::RemovePool(args) => Command::RemovePool(pid(args)),
        ConfigCommand::GetPool(args) => Command::GetPool(pid(args)),
        ConfigCommand::GetPoolWithWorkers(args) => Command::GetPoolWithWorkers(pid(args)),
        ConfigCommand::GetAllPools => Command::GetAllPools,
        ConfigCommand::GetAllPoolsWithWorkers => Command::GetAllPoolsWithWorkers,
        ConfigCommand::AddWorker(args) => Command::AddWorker(worker(args, None)),
        ConfigCommand::UpdateWorker { new_name, worker: args } => {
            Command::UpdateWorker(worker(args, new_name))
        }
        ConfigCommand::RemoveWorker { name } => Command::RemoveWorker { name },
        ConfigCommand::GetAllPoolOperators => Command::GetAllPoolOperators,
        ConfigCommand::GetPoolOperator(args) => Command::GetPoolOperator(pid(args)),
        ConfigCommand::SetPoolOperator { pid, account, account_type, proxied_account_id } => {
            let account_type = match account_type {
                AccountType::Seed => SecretType::Seed,
                AccountType::SecretKey => SecretType::SecretKey,
            };
            let account = Zeroizing::new(account);
            Command::SetPoolOperator(OperatorFields { pid, account, account_type, proxied_account_id })
        }
    })
}
