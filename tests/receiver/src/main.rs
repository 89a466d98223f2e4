//! `receiver`: the demo's coupon CRM as a program of its own.

use std::{
    io::{self, Write},
    path::Path,
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
    /// End when the process of this ID has ended.
    #[arg(long)]
    with: Option<u32>,
}

fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    let receiver = Receiver::start(Options { port: arguments.port, keep_bodies: false })?;
    writeln!(io::stdout(), "{}", receiver.url(""))?;
    let other = arguments.with.map(|pid| format!("/proc/{pid}"));
    while other.as_ref().is_none_or(|process| Path::new(process).exists()) {
        sleep(Duration::from_secs(1));
    }
    Ok(())
}
