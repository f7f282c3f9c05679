//! `prb`: see `prb --help`.

use clap::{CommandFactory, Parser, error::ErrorKind};
use prb_cli::{
    args::{CheckArgs, Cli, Command, DataProviderArgs, LifecycleArgs, MonitorArgs, RunArgs, StoreCommand},
    check, commands,
    config::{self, Config, ConfigError, Environment, Log, Purpose, Service, Sources},
    data_provider, deployment, logs, manual, monitor, queue, status, store_commands, telemetry, trade,
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
    prb_cli::prefer_small_pages();
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<clap::Error>() => {
            let _ = write!(std::io::stderr(), "{error}");
            ExitCode::from(2)
        }
        Err(error) if is_broken_pipe(error.as_ref()) => ExitCode::SUCCESS,
        Err(error) => {
            // One line that says why; closed standard error is nobody's loss.
            let _ = writeln!(std::io::stderr(), "prb: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What is to be done: the command, or the service that `PHALA_MODULE` names.
fn command(cli: &Cli, sources: &Sources) -> Result<Command, Box<dyn Error>> {
    if let Some(command) = &cli.command {
        return Ok(command.clone().meant());
    }
    match sources.environment.service()? {
        Some(Service::DataProvider) => Ok(Command::DataProvider(DataProviderArgs::default())),
        Some(Service::Trade) => Ok(Command::Trade),
        Some(Service::Monitor) => Ok(Command::Monitor(MonitorArgs::default())),
        Some(Service::Queue) => Ok(Command::Monitor(MonitorArgs { queue: true, ..MonitorArgs::default() })),
        Some(Service::Lifecycle) => {
            // As v2's it asks whoever it discovers; where it is not to look for anybody, blocks are ingested here.
            let config = Config::read(sources, Purpose::Lifecycle)?;
            Ok(if config.providers.is_some() || config.p2p.enabled {
                Command::Lifecycle(LifecycleArgs::default())
            } else {
                Command::Run(RunArgs::default())
            })
        }
        None => {
            let mut cli = Cli::command();
            let help = cli.render_help();
            // Ends the program with the help and the exit code of a command line that makes no sense.
            Err(cli.error(ErrorKind::MissingSubcommand, format!("a command is missing\n\n{help}")).into())
        }
    }
}

fn run(cli: &Cli) -> Result<(), Box<dyn Error>> {
    let mut sources = Sources { file: cli.config.clone(), environment: Environment::of_process() };
    let command = command(cli, &sources)?;
    if !is_service(&command) {
        sources.environment = sources.environment.forgiving();
    }
    let sources = sources;
    let out = &mut std::io::stdout();
    match &command {
        // These need no configuration.
        Command::Status(args) => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            return Ok(runtime.block_on(status::status(&sources, args, out))?);
        }
        Command::Completions { shell } => return Ok(manual::completions(*shell, out)?),
        Command::Man { folder } => return Ok(manual::pages(folder)?),
        Command::Check(args) if args.show => {
            // Shown as far as it can be read, be it of use or not.
            let config = Config::read(&sources, Purpose::Run)?.unlocked_by(cli.passphrase_file.clone());
            let config = config.kept_in(args.data_dir.clone());
            config::show(&config, args.output.json, out)?;
            let trader = || config.redis.is_some() && config.check_for(Purpose::Trade).is_ok();
            return config.check().or_else(|error| if trader() { Ok(()) } else { Err(error.into()) });
        }
        _ => {}
    }
    // A lifecycle manager of v2 reads from whom it finds.
    let discovers = || Ok::<_, ConfigError>(Config::read(&sources, Purpose::Lifecycle)?.p2p.enabled);
    let read = || match &command {
        Command::DataProvider(args) => data_provider::configured(&sources, args),
        Command::Run(args) => Config::load_for(&sources, Purpose::Run).and_then(|config| {
            config.check_fed()?;
            Ok(config.told(*args))
        }),
        Command::Lifecycle(args) => {
            deployment::fed_by(&sources, &args.providers).map(|config| config.told(args.run))
        }
        Command::Trade => Config::load_for(&sources, Purpose::Trade),
        Command::Monitor(args) => monitor::configured(&sources, args),
        Command::Operator(_)
        | Command::Pool(_)
        | Command::Tx(_)
        | Command::Inventory(_)
        | Command::Identity(_)
        | Command::Migrate(_) => Config::load_for(&sources, Purpose::Inventory),
        Command::Store(args) => store_commands::configured(&sources, args.data_dir.as_deref()),
        Command::Config(args) => store_commands::configured(&sources, args.db_path.as_deref()),
        Command::Check(CheckArgs { providers, .. }) if !providers.is_empty() => {
            deployment::fed_by(&sources, providers)
        }
        Command::Check(_) if sources.environment.service()? == Some(Service::Lifecycle) && discovers()? => {
            deployment::fed_by(&sources, &[])
        }
        // What is meant for `prb trade` alone needs fewer nodes.
        Command::Check(_) => Config::load_for(&sources, Purpose::Run).or_else(|error| {
            let trader = Config::load_for(&sources, Purpose::Trade);
            trader.ok().filter(|config| config.redis.is_some()).ok_or(error)
        }),
        _ => Config::load_for(&sources, Purpose::Run),
    };
    // What the command line names wins over the configuration.
    let read = || Ok::<_, ConfigError>(read()?.unlocked_by(cli.passphrase_file.clone()));
    let config = read()?;
    match command.clone() {
        Command::DataProvider(_) => {
            start_logs(&config)?;
            telemetry::install();
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            runtime.block_on(data_provider::run(&config))?;
        }
        Command::Run(_) | Command::Lifecycle(_) => {
            start_logs(&config)?;
            telemetry::install();
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            if sources.environment.is_config_mode()? {
                tracing::warn!(
                    "PHALA_LIFECYCLE_CONFIG_MODE is true: nothing is run; unset it to run, and change the inventory meanwhile, over the \
                     API, by a peer, or with `prb pool`, `prb worker` and `prb operator`"
                );
                return Ok(runtime.block_on(deployment::rest(&config))?);
            }
            let ended = runtime.block_on(deployment::run(&config, read));
            runtime.shutdown_timeout(LAST_WORK);
            ended?;
        }
        Command::Status(_) | Command::Completions { .. } | Command::Man { .. } => {} // answered above
        Command::Trade => {
            start_logs(&config)?;
            telemetry::install();
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            let ended = runtime.block_on(trade::run(&config));
            runtime.shutdown_timeout(LAST_WORK);
            ended?;
        }
        Command::Monitor(args) => {
            start_logs(&config)?;
            telemetry::install();
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            runtime.block_on(monitor::run(&config, args.queue))?;
        }
        Command::Tx(command) => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(queue::tx(&config, command, out))?;
        }
        Command::Check(CheckArgs { offline, output, data_dir, .. }) => {
            let config = config.kept_in(data_dir);
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

/// Whether a command is a service, or looks at what one would be.
const fn is_service(command: &Command) -> bool {
    matches!(
        command,
        Command::Run(_)
            | Command::Lifecycle(_)
            | Command::DataProvider(_)
            | Command::Trade
            | Command::Monitor(_)
            | Command::Check(CheckArgs { show: false, .. })
    )
}

/// Starts logs, and tells what there is to be told of the environment.
fn start_logs(config: &Config) -> Result<(), logs::LogError> {
    logs::start(&config.log)?;
    for remark in config.remarks() {
        if remark.is_aside() { tracing::info!("{remark}") } else { tracing::warn!("{remark}") }
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
