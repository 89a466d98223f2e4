//! The only HTTP client of Fanhook: what leaves the system, leaves through here.
//!
//! A request has one deadline for everything, from the look-up of the name to the end of the answer's body; of the answer at most
//! 16 KiB are read. There are no redirects, proxies, cookies or decompression: this client has no code for them. Every address is
//! judged before it is dialled ([`Guard`]), and the judged one is the one that is dialled. What went wrong is told by the error's
//! type, and by whose fault it is ([`Exchange`]).
//!
//! It is built on `hyper-util`, whose request costs about seven tenths of `reqwest`'s CPU; the roots of trust are Mozilla's, compiled
//! in, so that building a client reads no file.

mod client;
mod exchange;
mod failure;
mod guard;
mod resolver;
mod scrub;
mod watch;

pub use client::{Client, ClientError};
pub use exchange::{Ended, Exchange, Http, InvalidTarget, OurFault, Request, Target, confidential};
pub use guard::Guard;
pub use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
pub use resolver::{Lookup, LookupError, SystemLookup};
pub use scrub::{excerpt, is_telling, parts, scrub, sensitive};
pub use watch::Watched;
