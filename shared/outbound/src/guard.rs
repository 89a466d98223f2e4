//! Which addresses may be dialled.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
};

use fanhook_core::address::{AllowList, special};
use http::{Uri, uri::Authority};
use url::Host;

/// Origins whose judgement is kept; far more than one process meets.
const KEPT: usize = 1_000;

/// Judges where a request goes, before a name is resolved and after.
///
/// An origin on the allow-list is dialled wherever it lies. Any other is dialled by `https` only (unless the deployment allows
/// `http`), and only when not one of its addresses is special.
#[derive(Debug, Default)]
pub struct Guard {
    allow: AllowList,
    allow_http: bool,
    judged: Mutex<HashMap<(bool, Authority), Route>>,
}

/// How a request may leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// To public addresses only.
    Public,
    /// To any address: the deployment names this origin.
    Allowed,
    /// Not at all.
    Blocked,
}

impl Guard {
    /// A guard with the deployment's exceptions.
    pub fn new(allow: AllowList, allow_http: bool) -> Self {
        Self { allow, allow_http, judged: Mutex::default() }
    }

    /// Judges what is written in an address; a name is judged again when it is resolved.
    pub(crate) fn route(&self, uri: &Uri) -> Route {
        let Some(authority) = uri.authority() else { return Route::Blocked };
        let https = uri.scheme_str() == Some("https");
        let key = (https, authority.clone());
        let mut judged = self.judged.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(&route) = judged.get(&key) {
            return route;
        }
        let route = self.judge(authority, https);
        if judged.len() >= KEPT {
            judged.clear();
        }
        judged.insert(key, route);
        route
    }

    fn judge(&self, authority: &Authority, https: bool) -> Route {
        let port = authority.port_u16().unwrap_or(if https { 443 } else { 80 });
        if self.allow.allows(authority.host(), port) {
            return Route::Allowed;
        }
        let Ok(host) = Host::parse(authority.host()) else { return Route::Blocked };
        let host = match &host {
            Host::Domain(name) => Host::Domain(name.as_str()),
            Host::Ipv4(ip) => Host::Ipv4(*ip),
            Host::Ipv6(ip) => Host::Ipv6(*ip),
        };
        let fits = https || self.allow_http;
        if fits && self.allow.check(host, port).is_ok() { Route::Public } else { Route::Blocked }
    }
}

/// Whether all of a name's addresses may be dialled: one that may not spoils the rest, for who answers so means no good.
pub(crate) fn all_public(addresses: &[IpAddr]) -> bool {
    addresses.iter().all(|&ip| special(ip).is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(guard: &Guard, url: &str) -> Route {
        guard.route(&url.parse().expect("an address"))
    }

    #[test]
    fn special_addresses_are_blocked_but_for_the_exact_host_and_port_that_the_deployment_names() {
        let guard = Guard::new("127.0.0.1:9000, receiver:80".parse().expect("a list"), false);
        for blocked in [
            "http://169.254.169.254/latest/meta-data/",
            "https://[fd00:ec2::254]/",
            "https://127.0.0.1:9001/",
            "https://2130706433/",
            "https://127.1/",
            "https://localhost/",
            "https://[::ffff:10.0.0.1]/",
            "http://example.com/",
        ] {
            assert_eq!(route(&guard, blocked), Route::Blocked, "{blocked}");
        }
        assert_eq!(route(&guard, "http://127.0.0.1:9000/x"), Route::Allowed);
        assert_eq!(route(&guard, "http://receiver/x"), Route::Allowed);
        assert_eq!(route(&guard, "https://receiver/x"), Route::Blocked);
        assert_eq!(route(&guard, "https://example.com/"), Route::Public);
        assert_eq!(route(&Guard::new(AllowList::default(), true), "http://example.com/"), Route::Public);
    }

    #[test]
    fn one_bad_address_spoils_the_rest() {
        let of =
            |list: &[&str]| list.iter().map(|ip| ip.parse().expect("an address")).collect::<Vec<IpAddr>>();
        assert!(all_public(&of(&["8.8.8.8", "2606:4700::1"])));
        assert!(!all_public(&of(&["8.8.8.8", "10.0.0.1"])));
    }
}
