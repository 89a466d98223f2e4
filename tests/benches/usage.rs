//! What the process has used so far.

use std::{mem::MaybeUninit, time::Duration};

/// CPU time of all threads, user and system.
#[expect(unsafe_code, reason = "the system call has no safe wrapper")]
pub(crate) fn cpu() -> Duration {
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the pointer is valid for a write of the struct; zeroes are a value of it.
    let usage = unsafe {
        assert_eq!(libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr()), 0, "the system tells its usage");
        usage.assume_init()
    };
    let time = |time: libc::timeval| {
        let micros = time.tv_sec * 1_000_000 + time.tv_usec;
        Duration::from_micros(u64::try_from(micros).unwrap_or_default())
    };
    time(usage.ru_utime) + time(usage.ru_stime)
}

/// Most memory that was resident at once, in KiB.
pub(crate) fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("the process has a status");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("the status tells the peak");
    peak.trim().trim_end_matches(" kB").parse().expect("the peak is a number")
}
