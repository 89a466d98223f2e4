//! `receiver`: the demo's coupon CRM as a program of its own.

use std::{
    io::{self, Write},
    path::PathBuf,
    thread::sleep,
    time::Duration,
};

use clap::Parser;
use receiver::{Options, Receiver};

/// A receiver of webhooks on loopback: a coupon CRM at /crm, statistics at `/stats`.
#[derive(Parser)]
struct Arguments {
    /// The port to listen on; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// End when this file is gone.
    #[arg(long)]
    with: Option<PathBuf>,
}

fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    let receiver = Receiver::start(Options { port: arguments.port, keep_bodies: false })?;
    writeln!(io::stdout(), "{}", receiver.url(""))?;
    while arguments.with.as_ref().is_none_or(|file| file.exists()) {
        sleep(Duration::from_secs(1));
    }
    Ok(())
}
