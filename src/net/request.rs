//! One request and its answer.

use std::path::PathBuf;

use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Client, Method, Response, StatusCode, Url};
use zeroize::Zeroizing;

use super::token;
use crate::model::Secret;

/// How much of a body is read. It is not needed (R156), but a server that may finish its sentence logs no broken pipe.
const MAX_BODY: usize = 10 * 1024;

/// Why a request was not sent: nothing was learned about the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    /// What is wrong, as a fragment.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) remedy: Option<String>,
}

impl Refused {
    pub(super) fn because(message: impl Into<String>) -> Self {
        Self { message: message.into(), remedy: None }
    }

    /// A thread of ours panicked, or the program ends.
    pub(super) fn unfinished() -> Self {
        Self::because("a file could not be read to its end")
    }
}

/// A request that may be sent.
#[derive(Debug)]
pub(crate) struct Prepared {
    client: Client,
    url: Url,
    token_path: Option<PathBuf>,
    token: Option<Secret>,
}

impl Prepared {
    pub(super) async fn new(client: Client, url: Url, token_path: Option<PathBuf>) -> Result<Self, Refused> {
        let token = match &token_path {
            Some(path) => Some(read_token(path.clone()).await?),
            None => None,
        };
        Ok(Self { client, url, token_path, token })
    }

    /// Sends it. Refused with 401 although a token was sent, it is sent once more if the file holds another token by now.
    ///
    /// # Errors
    /// When there is no answer.
    pub(crate) async fn send(self, method: Method) -> Result<Response, reqwest::Error> {
        let response = self.send_with(method.clone(), self.token.as_ref()).await?;
        let (StatusCode::UNAUTHORIZED, Some(path)) = (response.status(), &self.token_path) else {
            return Ok(response);
        };
        // A file that cannot be read just now is what the next request will tell.
        match read_token(path.clone()).await {
            Ok(token) if self.token.as_ref() != Some(&token) => self.send_with(method, Some(&token)).await,
            Ok(_) | Err(_) => Ok(response),
        }
    }

    async fn send_with(&self, method: Method, token: Option<&Secret>) -> Result<Response, reqwest::Error> {
        let mut request = self.client.request(method, self.url.clone());
        // What was read is fit for a header.
        if let Some(mut value) =
            token.and_then(|token| HeaderValue::from_str(&Zeroizing::new(format!("Bearer {}", token.expose()))).ok())
        {
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        request.send().await
    }
}

async fn read_token(path: PathBuf) -> Result<Secret, Refused> {
    tokio::task::spawn_blocking(move || token::read(&path)).await.map_err(|_| Refused::unfinished())?
}

/// Reads a little of a body for the server's sake, for as long as whoever calls has time. Cancel safe.
pub(crate) async fn read_politely(mut response: Response) {
    let mut n_bytes = 0;
    while n_bytes < MAX_BODY {
        match response.chunk().await {
            Ok(Some(chunk)) => n_bytes += chunk.len(),
            Ok(None) | Err(_) => break,
        }
    }
}
