//! The way to the network: connections, and the threads that drive them.
//!
//! Whoever asks waits in its own thread; what is sent and received passes between the two in large pieces, uncopied.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap};
use reqwest::{RequestBuilder, StatusCode};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::time::timeout;

use super::ask::{Body, Request};
use super::pace::Patience;
use super::tls::{Broken, Tls};
use super::{Error, Failure, follow, innermost};

/// A server that takes less than this many bytes a second is given up. It is far below any real connection, so that
/// uploads beside each other on a slow one are not cut off.
const SLOWEST: u64 = 8 << 10;

/// Connections, and the threads that drive them.
#[derive(Debug)]
pub(super) struct Connector {
    client: reqwest::Client,
    /// None while it is dropped.
    runtime: Option<Runtime>,
    patience: Patience,
}

/// An answer whose body is still to come.
#[derive(Debug)]
pub(super) struct Incoming {
    response: reqwest::Response,
    runtime: Handle,
    silence: Duration,
}

impl Connector {
    pub(super) fn new(patience: Patience, tls: Option<&Tls>) -> Result<Self, Broken> {
        // Another part of the process may have installed the same provider already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder();
        if let Some(tls) = tls {
            builder = tls.apply(builder)?;
        }
        let client = builder
            .user_agent(concat!("rpack/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(Duration::from_secs(20))
            .tcp_user_timeout(patience.silence)
            .redirect(reqwest::redirect::Policy::custom(follow))
            .build()
            .map_err(|error| Broken::Library(innermost(&error)))?;
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.map_err(|error| Broken::Library(error.to_string()))?;
        Ok(Self { client, runtime: Some(runtime), patience })
    }

    /// Sends `request` with `more` headers to `address`.
    pub(super) fn send(
        &self,
        request: &Request,
        address: reqwest::Url,
        more: HeaderMap,
        stopped: &Arc<AtomicBool>,
    ) -> Result<Incoming, Failure> {
        let runtime = self.runtime.as_ref().expect("it is there until the connector is dropped").handle();
        let builder = self.client.request(request.method.clone(), address);
        let builder = builder.headers(request.headers.clone()).headers(more);
        let builder = with_body(builder, request, stopped)?;
        let silence = self.patience.silence;
        let patience = match &request.body {
            Body::Part(part) => silence + Duration::from_secs(part.length / SLOWEST),
            _ => silence,
        };
        let answer = runtime.block_on(async { timeout(patience, builder.send()).await });
        let response = answer
            .map_err(|_| Failure::silent("it does not answer", patience))?
            .map_err(|error| Failure::from_reqwest(&request.url, &error))?;
        Ok(Incoming { response, runtime: runtime.clone(), silence })
    }
}

fn with_body(
    builder: RequestBuilder,
    request: &Request,
    stopped: &Arc<AtomicBool>,
) -> Result<RequestBuilder, Failure> {
    Ok(match &request.body {
        Body::Empty => builder,
        Body::Form(form) => {
            builder.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form.clone())
        }
        Body::Bytes(bytes) => builder.body(bytes.clone()),
        Body::Part(part) => {
            let body = part.body(stopped);
            let body = body.map_err(|error| Failure::Final(Error::unsent(&request.url, &error)))?;
            builder.header(CONTENT_LENGTH, part.length).body(body)
        }
    })
}

impl Drop for Connector {
    fn drop(&mut self) {
        // A name server that does not answer is not waited for.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Incoming {
    pub(super) fn status(&self) -> StatusCode {
        self.response.status()
    }

    pub(super) fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// Whether the server says how much it sends.
    pub(super) fn is_framed(&self) -> bool {
        self.response.content_length().is_some()
    }

    /// Gives the next part of the body to `sink`; false at the end.
    pub(super) fn next(&mut self, sink: impl FnOnce(&[u8]) -> Result<(), Failure>) -> Result<bool, Failure> {
        let (response, silence) = (&mut self.response, self.silence);
        let found = self.runtime.block_on(async { timeout(silence, response.chunk()).await });
        let found = found.map_err(|_| Failure::silent("it sends nothing more", silence))?;
        match found.map_err(|error| Failure::broken(&error))? {
            Some(bytes) => sink(&bytes).map(|()| true),
            None => Ok(false),
        }
    }
}
