//! Which ports a webhook may call.

/// Ports from 1024 on that speak protocols whose servers may take an HTTP request for commands, or that stand open
/// inside networks: the rest of WHATWG Fetch's list, data stores, caches, container and cluster control.
const REFUSED: [u16; 42] = [
    1433, 1521, 1719, 1720, 1723, 2049, 2181, 2375, 2376, 2379, 2380, 3306, 3389, 3659, 4045, 4190, 5060,
    5061, 5432, 5672, 5900, 5984, 6000, 6379, 6443, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 9042,
    9092, 9200, 9300, 10080, 10250, 11211, 27017, 27018,
];

/// Checks a port. Below 1024, only the ports of HTTP itself are called.
///
/// # Errors
/// The reason for a person.
pub(super) fn check(port: u16) -> Result<(), String> {
    let refused = match port {
        80 | 443 => false,
        0..1024 => true,
        _ => REFUSED.contains(&port),
    };
    if refused {
        Err(format!("port {port} is not called: it belongs to another protocol than HTTP"))
    } else {
        Ok(())
    }
}
