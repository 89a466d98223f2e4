//! Answers a connection, well or badly.

use std::{io, time::Duration};

use serde::Serialize;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::sleep,
};

use crate::{http::Input, shop::Shops};

/// What is done about one request.
pub(crate) enum Answer {
    /// A status and a JSON body.
    Json(u16, String),
    /// 200: who asks may send, at this rate a minute.
    Agreed(String, String),
    /// 429 with `Retry-After`.
    Later(Duration),
    /// Another answer, after a while.
    After(Duration, Box<Answer>),
    /// 302.
    Redirect(&'static str),
    /// Nothing, until the sender goes.
    Never,
    /// 200 and a byte at a time.
    Drip,
    /// 200 and bytes without an end.
    Huge,
    /// An end without an answer.
    Close,
    /// A reset without an answer.
    Reset,
    /// 200 and half a body.
    Cut,
    /// No HTTP.
    Garbage,
}

impl Answer {
    pub(crate) fn json(status: u16, body: &impl Serialize) -> Self {
        match serde_json::to_string(body) {
            Ok(body) => Self::Json(status, body),
            Err(error) => Self::Json(500, error.to_string()),
        }
    }

    /// The status that the sender will read, if it reads one and all of the body.
    pub(crate) fn status(&self) -> Option<u16> {
        match self {
            Self::Json(status, _) => Some(*status),
            Self::Agreed(..) => Some(200),
            Self::Later(_) => Some(429),
            Self::After(_, answer) => answer.status(),
            Self::Redirect(_) => Some(302),
            _ => None,
        }
    }

    pub(crate) fn is_success(&self) -> bool {
        self.status().is_some_and(|status| (200..300).contains(&status))
    }
}

/// Serves one connection to its end.
pub(crate) async fn serve(mut stream: TcpStream, shops: Shops) {
    // An error is the sender's doing: it went, or spoke no HTTP. What it had sent whole is counted.
    drop(converse(&mut stream, &shops).await);
}

async fn converse(stream: &mut TcpStream, shops: &Shops) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut input = Input::default();
    while let Some(length) = input.fill(stream).await? {
        let request = input.request(length)?;
        let under_way = shops.enter(request.path);
        let answer = shops.meet(&request);
        input.consume(length);
        if !give(stream, answer).await? {
            break;
        }
        drop(under_way);
    }
    Ok(())
}

/// Gives an answer; whether the connection can take another request.
async fn give(stream: &mut TcpStream, answer: Answer) -> io::Result<bool> {
    match answer {
        Answer::Json(status, body) => write(stream, status, "", &body).await?,
        Answer::Agreed(origin, rate) => {
            let headers = format!("webhook-allowed-origin: {origin}\r\nwebhook-allowed-rate: {rate}\r\n");
            write(stream, 200, &headers, "\"welcome\"").await?;
        }
        Answer::Later(wait) => {
            write(stream, 429, &format!("retry-after: {}\r\n", wait.as_secs()), "\"later\"").await?;
        }
        Answer::After(wait, answer) => {
            sleep(wait).await;
            return Box::pin(give(stream, *answer)).await;
        }
        Answer::Redirect(path) => write(stream, 302, &format!("location: {path}\r\n"), "").await?,
        Answer::Never => {
            gone(stream).await?;
            return Ok(false);
        }
        Answer::Drip => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n").await?;
            loop {
                stream.write_all(b".").await?;
                sleep(Duration::from_millis(50)).await;
            }
        }
        Answer::Huge => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000000\r\n\r\n").await?;
            let block = vec![b'.'; 64 * 1024];
            loop {
                stream.write_all(&block).await?;
            }
        }
        Answer::Close => return Ok(false),
        Answer::Reset => {
            stream.set_zero_linger()?;
            return Ok(false);
        }
        Answer::Cut => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf of it").await?;
            return Ok(false);
        }
        Answer::Garbage => {
            stream.write_all(b"\x16\x03\x01 this is no HTTP\r\n\r\n").await?;
            return Ok(false);
        }
    }
    Ok(true)
}

/// Waits until the sender has gone.
async fn gone(stream: &mut TcpStream) -> io::Result<()> {
    let mut ignored = [0; 1024];
    while stream.read(&mut ignored).await? > 0 {}
    Ok(())
}

async fn write(stream: &mut TcpStream, status: u16, headers: &str, body: &str) -> io::Result<()> {
    let answer = format!(
        "HTTP/1.1 {status} -\r\ncontent-type: application/json\r\ncontent-length: {}\r\n{headers}\r\n{body}",
        body.len()
    );
    stream.write_all(answer.as_bytes()).await
}
