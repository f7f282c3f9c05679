//! `prb`: see `prb --help`.

use clap::Parser;
use prb_cli::{
    args::{Cli, Command, StoreCommand},
    check, commands,
    config::{Config, ConfigError, Log, Purpose},
    data_provider, deployment, logs, queue, status, store_commands, telemetry, trade,
};
use std::{
    error::Error,
    io::{self, Write},
    process::ExitCode,
    time::Duration,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long work on other threads may keep the program from ending. Whatever it is, it is as safe as after a kill.
const LAST_WORK: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_broken_pipe(error.as_ref()) => ExitCode::SUCCESS,
        Err(error) => {
            // One line that says why; closed standard error is nobody's loss.
            let _ = writeln!(std::io::stderr(), "prb: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<(), Box<dyn Error>> {
    if let Command::Status(args) = &cli.command {
        // It needs no configuration.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        return Ok(runtime.block_on(status::status(&cli.config, args, &mut std::io::stdout()))?);
    }
    let read = || match &cli.command {
        Command::DataProvider(args) => data_provider::configured(&cli.config, args),
        Command::Run(args) => Config::load(&cli.config).map(|config| config.told(*args)),
        Command::Lifecycle(args) => {
            deployment::fed_by(&cli.config, &args.providers).map(|config| config.told(args.run))
        }
        Command::Trade => Config::load_for(&cli.config, Purpose::Trade),
        Command::Operator(_)
        | Command::Pool(_)
        | Command::Tx(_)
        | Command::Inventory(_)
        | Command::Identity(_)
        | Command::Migrate(_) => Config::load_for(&cli.config, Purpose::Inventory),
        Command::Store(args) => store_commands::configured(&cli.config, args.data_dir.as_deref()),
        Command::Config(args) => store_commands::configured(&cli.config, args.db_path.as_deref()),
        // What is meant for `prb trade` alone needs fewer nodes.
        Command::Check { .. } => Config::load(&cli.config).or_else(|error| {
            let trader = Config::load_for(&cli.config, Purpose::Trade);
            trader.ok().filter(|config| config.redis.is_some()).ok_or(error)
        }),
        _ => Config::load(&cli.config),
    };
    let read = || {
        let mut config = read()?;
        // What the command line names wins over the configuration.
        config.passphrase_file = cli.passphrase_file.clone().or(config.passphrase_file);
        Ok::<_, ConfigError>(config)
    };
    let config = read()?;
    let out = &mut std::io::stdout();
    match cli.command.clone() {
        Command::DataProvider(_) => {
            logs::start(&config.log)?;
            telemetry::install();
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            runtime.block_on(data_provider::run(&config))?;
        }
        Command::Run(_) | Command::Lifecycle(_) => {
            logs::start(&config.log)?;
            telemetry::install();
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            let ended = runtime.block_on(deployment::run(&config, read));
            runtime.shutdown_timeout(LAST_WORK);
            ended?;
        }
        Command::Status(_) => {} // answered above
        Command::Trade => {
            logs::start(&config.log)?;
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            let ended = runtime.block_on(trade::run(&config));
            runtime.shutdown_timeout(LAST_WORK);
            ended?;
        }
        Command::Tx(command) => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(queue::tx(&config, command, out))?;
        }
        Command::Check { offline, output } => {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            let checked = runtime.block_on(check::check(&config, offline, output.json, out));
            // What did not answer in time is not waited for.
            runtime.shutdown_background();
            checked?;
        }
        Command::Operator(command) => commands::operator(&config, command, out)?,
        Command::Pool(command) => commands::pool(&config, command, out)?,
        Command::Worker(command) => commands::worker(&config, command, out)?,
        Command::Inventory(command) => commands::inventory(&config, command, out)?,
        Command::Config(args) => commands::config(&config, args.command, out)?,
        Command::Migrate(command) => commands::migrate(&config, command, out)?,
        Command::Identity(command) => commands::identity(&config, command, out)?,
        Command::Store(args) => {
            if matches!(args.command, StoreCommand::Import { .. }) {
                // The rest is in the progress and in the answer.
                logs::start(&Log { filter: "warn".to_owned(), ..config.log.clone() })?;
            }
            store_commands::store(&config, &args.command, out)?;
        }
    }
    Ok(())
}

/// Whether a reader of our output, for example `head`, has seen enough.
fn is_broken_pipe(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
            return true;
        }
        cause = error.source();
    }
    false
}
