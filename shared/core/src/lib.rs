//! The pure part of Fanhook: no I/O, no clock, no randomness, no AWS.
//!
//! Each module is one concept. What the outside decides (the time, a random seed) comes in as an argument.

pub mod address;
pub mod audience;
pub mod chunk;
pub mod direct;
pub mod fault;
pub mod id;
pub mod identity;
pub mod limits;
pub mod outcome;
pub mod parameter_source;
mod pointer;
pub mod push;
pub mod rate;
pub mod recipient;
pub mod retry;
pub mod run;
pub mod signature;
pub mod template;
pub mod time;
pub mod webhook;
