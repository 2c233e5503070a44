//! A single request to a server, over https or to this machine. Redirects must satisfy the same rule.

use std::net::IpAddr;

use ureq::http::{Response, Uri, header};
use ureq::{Agent, Body};

use super::{FetchError, FetchOptions};

const MOST_REDIRECTS: usize = 5;

/// Why a request gave no usable response, and whether to try again.
pub(super) enum Refusal {
    Again(String),
    Never(FetchError),
}

/// Requests the bytes after the first `have`. Follows redirects to allowed addresses.
pub(super) fn ask(url: &str, have: u64, options: &FetchOptions) -> Result<Response<Body>, Refusal> {
    let mut url = url.to_string();
    for _ in 0..=MOST_REDIRECTS {
        let local = allowed(&url).ok_or_else(|| Refusal::Never(FetchError::NotAllowed(url.clone())))?;
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(options.stall))
            .timeout_recv_response(Some(options.stall))
            .timeout_per_read(Some(options.stall));
        if local {
            config = config.proxy(None);
        }
        let mut request = Agent::from(config.build()).get(&url).header(header::ACCEPT_ENCODING, "identity");
        if have > 0 {
            request = request.header(header::RANGE, format!("bytes={have}-"));
        }
        let response = request.call().map_err(|error| match error {
            ureq::Error::BadUri(_) | ureq::Error::Http(_) => {
                Refusal::Never(FetchError::Answer { url: url.clone(), reason: error.to_string() })
            }
            error => Refusal::Again(error.to_string()),
        })?;
        if !response.status().is_redirection() {
            return Ok(response);
        }
        let target = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
        let Some(target) = target.and_then(|target| join(&url, target)) else {
            let reason = "the server redirects without an address".to_string();
            return Err(Refusal::Never(FetchError::Answer { url, reason }));
        };
        url = target;
    }
    let reason = format!("the server redirects more than {MOST_REDIRECTS} times");
    Err(Refusal::Never(FetchError::Answer { url, reason }))
}

/// Whether an address is on this machine; `None` if it is not allowed.
fn allowed(url: &str) -> Option<bool> {
    let uri: Uri = url.parse().ok()?;
    let host = uri.host()?.trim_start_matches('[').trim_end_matches(']');
    let local = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    match uri.scheme_str()? {
        "https" => Some(local),
        "http" if local => Some(true),
        _ => None,
    }
}

/// The address of `target`, a redirect from `url`: absolute, a path on the same server, or relative.
fn join(url: &str, target: &str) -> Option<String> {
    if target.contains("://") {
        return Some(target.to_string());
    }
    let uri: Uri = url.parse().ok()?;
    let server = format!("{}://{}", uri.scheme_str()?, uri.authority()?);
    match target.strip_prefix("//") {
        Some(rest) => Some(format!("{}://{rest}", uri.scheme_str()?)),
        None if target.starts_with('/') => Some(server + target),
        None => Some(server + &uri.path()[..=uri.path().rfind('/')?] + target),
    }
}
