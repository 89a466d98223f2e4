//! Addresses that a webhook must not reach: special ranges, and the deployment's exceptions.
//!
//! The same table is asked when a webhook is saved (for addresses that are written out) and when it is called (for the address
//! really dialled, whatever its name resolves to).

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use url::Host;

/// IPv4 ranges that are not the public Internet: IANA's IPv4 Special-Purpose Address Registry (RFC 6890 and later), multicast and the
/// reserved rest. First address, length of the prefix, name.
const SPECIAL_V4: [(Ipv4Addr, u32, &str); 18] = [
    (Ipv4Addr::UNSPECIFIED, 8, "this network"),
    (Ipv4Addr::new(10, 0, 0, 0), 8, "private"),
    (Ipv4Addr::new(100, 64, 0, 0), 10, "shared by a carrier"),
    (Ipv4Addr::new(127, 0, 0, 0), 8, "loopback"),
    (Ipv4Addr::new(169, 254, 0, 0), 16, "link-local"),
    (Ipv4Addr::new(172, 16, 0, 0), 12, "private"),
    (Ipv4Addr::new(192, 0, 0, 0), 24, "protocol assignment"),
    (Ipv4Addr::new(192, 0, 2, 0), 24, "documentation"),
    (Ipv4Addr::new(192, 31, 196, 0), 24, "AS112"),
    (Ipv4Addr::new(192, 52, 193, 0), 24, "multicast tunnel"),
    (Ipv4Addr::new(192, 88, 99, 0), 24, "6to4 relay"),
    (Ipv4Addr::new(192, 168, 0, 0), 16, "private"),
    (Ipv4Addr::new(192, 175, 48, 0), 24, "AS112"),
    (Ipv4Addr::new(198, 18, 0, 0), 15, "benchmarking"),
    (Ipv4Addr::new(198, 51, 100, 0), 24, "documentation"),
    (Ipv4Addr::new(203, 0, 113, 0), 24, "documentation"),
    (Ipv4Addr::new(224, 0, 0, 0), 4, "multicast"),
    (Ipv4Addr::new(240, 0, 0, 0), 4, "reserved"),
];

/// IPv6 ranges of the same kind. What lies outside `2000::/3` and in none of them is not assigned.
const SPECIAL_V6: [(Ipv6Addr, u32, &str); 14] = [
    (Ipv6Addr::UNSPECIFIED, 128, "unspecified"),
    (Ipv6Addr::LOCALHOST, 128, "loopback"),
    (Ipv6Addr::UNSPECIFIED, 96, "IPv4-compatible"),
    (Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 0, 0), 48, "local NAT64"),
    (Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 0), 63, "discard"),
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 32, "Teredo"),
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23, "protocol assignment"),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32, "documentation"),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16, "6to4"),
    (Ipv6Addr::new(0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0), 48, "AS112"),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20, "documentation"),
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7, "private"),
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10, "link-local"),
    (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8, "multicast"),
];

/// Name of the special range that an address lies in; none: it is an address of the public Internet.
///
/// An IPv4 address inside an IPv6 one (mapped, NAT64) is judged by itself. Teredo and 6to4 are refused whole.
pub fn special(ip: IpAddr) -> Option<&'static str> {
    match ip {
        IpAddr::V4(ip) => special_v4(ip),
        IpAddr::V6(ip) => match embedded(ip) {
            Some(inner) => special_v4(inner),
            None => special_v6(ip),
        },
    }
}

fn special_v4(ip: Ipv4Addr) -> Option<&'static str> {
    let within =
        |&&(first, length, _): &&(Ipv4Addr, u32, _)| (ip.to_bits() ^ first.to_bits()) >> (32 - length) == 0;
    SPECIAL_V4.iter().find(within).map(|row| row.2)
}

fn special_v6(ip: Ipv6Addr) -> Option<&'static str> {
    let within =
        |&&(first, length, _): &&(Ipv6Addr, u32, _)| (ip.to_bits() ^ first.to_bits()) >> (128 - length) == 0;
    let unassigned = || (ip.segments()[0] >> 13 != 1).then_some("not assigned");
    SPECIAL_V6.iter().find(within).map(|row| row.2).or_else(unassigned)
}

/// The IPv4 address that packets to an IPv6 one really go to.
fn embedded(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let [.., a, b, c, d] = ip.octets();
    match ip.segments() {
        [0, 0, 0, 0, 0, 0xffff, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => Some(Ipv4Addr::new(a, b, c, d)),
        _ => None,
    }
}

/// Endings of names that never stand for a public host (RFC 6761, 6762, 8375, 9476, and ICANN's `internal`).
const PRIVATE_NAMES: [&str; 8] =
    ["localhost", "local", "internal", "home.arpa", "alt", "invalid", "test", "onion"];

/// Hosts and ports that may be called although they are special: the deployment's own exceptions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowList(Vec<(Host, u16)>);

/// Why a text is no list of `host:port`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} is not `host:port`", .entries.join(", "))]
pub struct InvalidAllowList {
    /// The entries that can't be read.
    pub entries: Vec<String>,
}

impl FromStr for AllowList {
    type Err = InvalidAllowList;

    /// Reads `host:port` entries between commas; an IPv6 address stands in brackets. A blank text allows nothing.
    fn from_str(text: &str) -> Result<Self, InvalidAllowList> {
        let (mut allowed, mut wrong) = (Vec::new(), Vec::new());
        for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            let parts =
                entry.rsplit_once(':').and_then(|(host, port)| Some((parse(host)?, port.parse().ok()?)));
            match parts {
                Some(parts) => allowed.push(parts),
                None => wrong.push(format!("`{entry}`")),
            }
        }
        if wrong.is_empty() { Ok(Self(allowed)) } else { Err(InvalidAllowList { entries: wrong }) }
    }
}

impl AllowList {
    /// Whether a host (a name, or an address with or without brackets) and port are named.
    pub fn allows(&self, host: &str, port: u16) -> bool {
        !self.0.is_empty() && parse(host).is_some_and(|host| self.0.contains(&(host, port)))
    }

    /// Whether what is known of a host before it is resolved lets a webhook call it.
    ///
    /// # Errors
    /// The reason for a person.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a host that borrows its name is hardly more than a reference"
    )]
    pub fn check(&self, host: Host<&str>, port: u16) -> Result<(), String> {
        let range = match host {
            Host::Ipv4(ip) => special(ip.into()),
            Host::Ipv6(ip) => special(ip.into()),
            Host::Domain(name) => private_name(name),
        };
        match range {
            Some(range) if !self.allows(&host.to_string(), port) => {
                Err(format!("`{host}` is not called: it is no address of the public Internet ({range})"))
            }
            _ => Ok(()),
        }
    }
}

fn private_name(name: &str) -> Option<&'static str> {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let ends = |ending: &str| {
        name.strip_suffix(ending).is_some_and(|before| before.is_empty() || before.ends_with('.'))
    };
    PRIVATE_NAMES
        .into_iter()
        .find(|ending| ends(ending))
        .or_else(|| (!name.contains('.')).then_some("a local name"))
}

/// A host as a URL parser normalises it, so that all ways to write it are one; a final dot changes nothing.
fn parse(host: &str) -> Option<Host> {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    if let Ok(ip) = bare.parse::<Ipv6Addr>() {
        return Some(Host::Ipv6(ip));
    }
    Host::parse(host.trim_end_matches('.')).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_special_range_is_refused_from_its_first_to_its_last_address() {
        for (first, length, name) in SPECIAL_V4 {
            let last = Ipv4Addr::from_bits(first.to_bits() | u32::MAX.checked_shr(length).unwrap_or(0));
            assert_eq!(special(first.into()), Some(name), "{first}");
            assert_eq!(special(last.into()), Some(name), "{last}");
        }
        for (first, length, _) in SPECIAL_V6 {
            let last = Ipv6Addr::from_bits(first.to_bits() | u128::MAX.checked_shr(length).unwrap_or(0));
            assert!(special(first.into()).is_some(), "{first}");
            assert!(special(last.into()).is_some(), "{last}");
        }
    }

    #[test]
    fn the_neighbours_of_special_ranges_are_public() {
        let public = [
            "1.0.0.0",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.0.3.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2001:200::",
            "2001:db7::1",
            "2001:db9::",
            "2003::",
            "2606:4700:4700::1111",
            "3ffe:ffff::",
            "64:ff9b::8.8.8.8",
            "::ffff:8.8.8.8",
        ];
        for ip in public {
            assert_eq!(ip.parse().ok().and_then(special), None, "{ip}");
        }
    }

    #[test]
    fn a_special_address_stays_special_in_every_form() {
        let table = [
            ("127.0.0.1", "loopback"),
            ("::1", "loopback"),
            ("::ffff:127.0.0.1", "loopback"),
            ("::127.0.0.1", "IPv4-compatible"),
            ("64:ff9b::127.0.0.1", "loopback"),
            ("64:ff9b::a9fe:a9fe", "link-local"),
            ("64:ff9b:1::8.8.8.8", "local NAT64"),
            ("2002:7f00:1::", "6to4"),
            ("2001:0:53aa:64c:0:fbff:80ff:fffe", "Teredo"),
            ("169.254.169.254", "link-local"),
            ("fd00:ec2::254", "private"),
            ("fe80::1", "link-local"),
            ("fec0::1", "not assigned"),
            ("ff02::1", "multicast"),
            ("5f00::1", "not assigned"),
            ("4000::", "not assigned"),
            ("255.255.255.255", "reserved"),
        ];
        for (ip, name) in table {
            assert_eq!(ip.parse().ok().and_then(special), Some(name), "{ip}");
        }
    }

    #[test]
    fn an_exception_names_one_host_and_one_port_however_they_are_written() {
        let list: AllowList = "127.0.0.1:9900, [::1]:80,Receiver.internal:8080".parse().expect("a list");
        for (host, port) in
            [("127.0.0.1", 9900), ("127.1", 9900), ("::1", 80), ("[::1]", 80), ("receiver.INTERNAL.", 8080)]
        {
            assert!(list.allows(host, port), "{host}:{port}");
        }
        for (host, port) in
            [("127.0.0.1", 9901), ("127.0.0.2", 9900), ("localhost", 9900), ("::1", 8080), ("internal", 8080)]
        {
            assert!(!list.allows(host, port), "{host}:{port}");
        }
        assert_eq!("".parse(), Ok(AllowList::default()));
    }

    #[test]
    fn all_wrong_exceptions_are_named_together() {
        let error = "127.0.0.1:80,nowhere,a b:1,x:70000".parse::<AllowList>().expect_err("wrong entries");
        assert_eq!(error.to_string(), "`nowhere`, `a b:1`, `x:70000` is not `host:port`");
    }

    #[test]
    fn a_host_is_judged_by_what_is_written() {
        let none = AllowList::default();
        let private = [
            "127.0.0.1",
            "2130706433",
            "0x7f000001",
            "0177.0.0.1",
            "127.1",
            "１２７.０.０.１",
            "localhost",
            "api.localhost.",
            "db.internal",
            "printer.local",
            "intranet",
            "[::ffff:10.0.0.1]",
            "[fd00:ec2::254]",
        ];
        for host in private {
            let url = url::Url::parse(&format!("https://{host}/")).expect("an address");
            assert!(none.check(url.host().expect("a host"), 443).is_err(), "{host}");
        }
        for host in ["example.com", "8.8.8.8", "notlocalhost.com", "local.example.com", "[2606:4700::1]"] {
            let url = url::Url::parse(&format!("https://{host}/")).expect("an address");
            assert_eq!(none.check(url.host().expect("a host"), 443), Ok(()), "{host}");
        }
        let list: AllowList = "localhost:9900".parse().expect("a list");
        assert_eq!(list.check(Host::Domain("localhost"), 9900), Ok(()));
        assert!(list.check(Host::Domain("localhost"), 9901).is_err());
    }
}
