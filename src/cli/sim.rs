//! `runner sim`

use std::{
    io::Write as _,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
};

use miette::miette;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

use super::{
    Console, Exit, Failure, Global,
    execute::runtime,
    exit,
    inputs::{self, Faults},
};
use crate::{
    report::{Ink, Verbosity},
    serve::{Server, Speed, url},
    sim::{Simulator, Source},
};

/// Serve the simulated AWS over HTTP: for boto3, the aws CLI, Ansible
///
/// Point a client at it with AWS_ENDPOINT_URL or --endpoint-url; any credentials will do, and an access key of twelve
/// digits is the account. What is not modelled is refused by name. Ctrl-C ends it.
#[derive(Clone, Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Args {
    /// The address to listen on
    #[arg(long, value_name = "ADDRESS", default_value_t = LISTEN)]
    pub listen: SocketAddr,

    /// The folder that keeps the simulated world; without it, the world is gone at the end
    #[arg(long, value_name = "PATH")]
    pub world: Option<PathBuf>,

    /// How many times as fast as real time the world's time goes, or `max`: each request lets the next thing happen
    #[arg(long, value_name = "N|max", default_value = "1")]
    pub speed: Speed,

    /// Choose another course of simulated events
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub seed: u64,

    #[command(flatten)]
    pub faults: Faults,
}

/// The port is the one that AWS emulators are usually found at.
const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 4566);

const EXAMPLES: &str = "Examples:
  Serve a world that is kept, sixty times as fast as real time:
    runner sim --world .runner/shared --speed 60

  Ask it something:
    export AWS_ENDPOINT_URL=http://127.0.0.1:4566 AWS_DEFAULT_REGION=eu-central-1 AWS_ACCESS_KEY_ID=any AWS_SECRET_ACCESS_KEY=any
    aws ec2 describe-vpcs

  What its load balancers' users saw, and the world's time:
    curl http://127.0.0.1:4566/_runner/world";

pub fn sim(args: Args, global: &Global, console: &Console) -> Result<Exit, Failure> {
    let faults = inputs::of_aws(&args.faults.sim_fault)?;
    let source = args.world.map_or(Source::Fresh, Source::Dir);
    let simulator =
        Simulator::open(source, args.seed).map_err(|error| Failure::new(exit::USAGE, miette!("{error}")))?;
    let simulator = Arc::new(simulator);
    simulator.begin_run();
    simulator.ask_for(faults);
    let server = Arc::new(Server::new(Arc::clone(&simulator), args.speed));
    let tokio = runtime()?;
    tokio.block_on(async {
        let listener = TcpListener::bind(args.listen).await.map_err(|error| cannot_listen(args.listen, &error))?;
        let address = listener.local_addr().map_err(|error| cannot_listen(args.listen, &error))?;
        tell(address, global, console);
        let ended = tokio::select! {
            ended = Arc::clone(&server).serve(listener) => ended,
            () = told_to_end() => return Ok(()),
        };
        let Err(error) = ended;
        Err(Failure::new(exit::FAILED, miette!("no more connections can be accepted: {error}")))
    })?;
    server.now();
    simulator.close().map_err(|error| Failure::new(exit::FAILED, miette!("{error}")))?;
    Ok(exit::DONE)
}

/// Says where it listens: on stdout, as a script may want to read a port that the system chose.
fn tell(address: SocketAddr, global: &Global, console: &Console) {
    // Nobody is left to be told when these cannot be written.
    let _ = writeln!(std::io::stdout(), "{}", url(address));
    if !address.ip().is_loopback() && global.verbosity() >= Verbosity::Normal {
        let mark = console.err.paint(Ink::Yellow, "!");
        let _ =
            writeln!(std::io::stderr(), "{mark} everybody who reaches {address} can use it: it asks for no password");
    }
}

fn cannot_listen(address: SocketAddr, error: &std::io::Error) -> Failure {
    let help = "give another address with `--listen`; port 0 takes one that is free";
    Failure::new(exit::FAILED, miette!(help = help, "cannot listen on {address}: {error}"))
}

async fn told_to_end() {
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
