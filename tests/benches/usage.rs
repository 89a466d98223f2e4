//! What the process has used so far.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// CPU time of all threads, user and system.
pub(crate) fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(time).expect("the time is not negative")
}

/// Most memory that was resident at once, in KiB.
pub(crate) fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("the process has a status");
    let peak =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("the status tells the peak");
    peak.trim().trim_end_matches(" kB").parse().expect("the peak is a number")
}
