//! A test send as a text to keep.

use std::fmt::{self, Display, Formatter};

use axum::{
    http::header,
    response::{IntoResponse, Response},
};
use fanhook_core::direct::{ShownHeader, Times};

use super::TestView;

/// The log as a download.
pub(super) fn download(view: &TestView) -> Response {
    let name = format!("attachment; filename=\"test-{}-{}.txt\"", view.webhook, view.at.0.0);
    let headers =
        [(header::CONTENT_TYPE, "text/plain; charset=utf-8".to_owned()), (header::CONTENT_DISPOSITION, name)];
    (headers, view.to_string()).into_response()
}

impl Display for TestView {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let tested = &self.tested;
        writeln!(f, "Test send at {} through {}, version {}", self.at.0, self.webhook, self.version)?;
        let verdict = tested.verdict;
        let again = if verdict.tried_again { ", when further tries have ended as this one" } else { "" };
        writeln!(f, "A real send: {} ({}){again}", verdict.outcome, verdict.reason)?;
        if let Some(failure) = &tested.failure {
            writeln!(f, "Failure: {}\nWhat to do: {}", failure.detail, failure.hint)?;
        }
        if let Some(request) = &tested.request {
            writeln!(f, "\n> {} {}", request.method, request.url)?;
            message(f, '>', &request.headers, &request.body)?;
        }
        if let Some(answer) = &tested.answer {
            writeln!(f, "\n< {}", answer.status)?;
            message(f, '<', &answer.headers, &answer.body)?;
        }
        tested.times.map_or(Ok(()), |times| phases(f, times))
    }
}

/// Headers and body, each line marked, so that none is taken for one of the log itself.
fn message(f: &mut Formatter<'_>, mark: char, headers: &[ShownHeader], body: &str) -> fmt::Result {
    for header in headers {
        writeln!(f, "{mark} {}: {}", header.name, header.value)?;
    }
    writeln!(f, "{mark}")?;
    body.lines().try_for_each(|line| writeln!(f, "{mark} {line}"))
}

fn phases(f: &mut Formatter<'_>, times: Times) -> fmt::Result {
    let phases = [
        ("DNS", times.dns_us),
        ("connect", times.connect_us),
        ("TLS", times.tls_us),
        ("first byte", times.first_byte_us),
        ("total", Some(times.total_us)),
    ];
    writeln!(f)?;
    for (phase, micros) in phases {
        match micros {
            Some(micros) => writeln!(f, "{phase:<10} {:>8}.{:03} ms", micros / 1000, micros % 1000)?,
            None => writeln!(f, "{phase:<10}        -")?,
        }
    }
    Ok(())
}
