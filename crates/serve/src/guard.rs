//! Who may come in.
//!
//! Three things stand between a stranger and this machine's files. The server listens on the loopback address. Every
//! request must name that address as its host and, where the browser tells, as its origin, so that no page from elsewhere
//! can talk to it, whatever name it gives itself. And every request but those for styles and scripts needs a secret of
//! 256 bits: it is part of the address that the terminal prints, becomes a cookie that scripts cannot read, and must be
//! repeated in a header by whatever changes something.

use crate::App;
use crate::problem::Problem;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use quadrat::{Error, Result};
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// The header that repeats the secret.
const KEY_HEADER: &str = "x-quadrat-key";

/// The secret, and the names that this server goes by.
pub struct Guard {
    key: String,
    host: IpAddr,
    port: u16,
}

impl Guard {
    /// A guard with a fresh secret.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn new(host: IpAddr, port: u16) -> Result<Self> {
        let mut bytes = [0u8; 32];
        getrandom::fill(&mut bytes).map_err(|e| Error::input("the secret", e, "the system gave no random bytes"))?;
        let key = bytes.iter().fold(String::new(), |mut key, byte| {
            let _ = write!(key, "{byte:02x}");
            key
        });
        Ok(Guard { key, host, port })
    }

    /// The secret.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The address to open.
    pub fn address(&self, listening: SocketAddr) -> String {
        let host = match listening.ip() {
            ip if ip.is_unspecified() => "localhost".to_owned(),
            IpAddr::V6(ip) => format!("[{ip}]"),
            IpAddr::V4(ip) => ip.to_string(),
        };
        format!("http://{host}:{}/?key={}", listening.port(), self.key)
    }

    /// Cookies know no ports: two servers must not take each other's.
    fn cookie_name(&self) -> String {
        format!("quadrat_{}", self.port)
    }

    /// Whether `authority` is this server.
    fn is_here(&self, authority: &str) -> bool {
        let (name, port) = authority.rsplit_once(':').unwrap_or((authority, "80"));
        let ip: Option<IpAddr> = name.trim_start_matches('[').trim_end_matches(']').parse().ok();
        let known = match ip {
            Some(ip) => ip.is_loopback() || ip == self.host || self.host.is_unspecified(),
            None => name.eq_ignore_ascii_case("localhost"),
        };
        known && port.parse() == Ok(self.port)
    }

    fn holds_cookie(&self, headers: &HeaderMap) -> bool {
        let name = self.cookie_name();
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.any(|(known, value)| known == name && self.is_key(value))
    }

    /// Compares all bytes, however early they differ: the time tells nothing.
    fn is_key(&self, given: &str) -> bool {
        let differ = self.key.bytes().zip(given.bytes()).fold(0, |differ, (a, b)| differ | (a ^ b));
        differ == 0 && given.len() == self.key.len()
    }
}

/// Lets in what was meant for this server, and tells browsers to be strict.
pub async fn neighbours(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let text = |name| headers.get(name).map(|value: &HeaderValue| value.to_str().unwrap_or("?"));
    let host = text(header::HOST).or_else(|| request.uri().authority().map(|authority| authority.as_str()));
    let origin = text(header::ORIGIN);
    let here = host.is_some_and(|host| app.guard.is_here(host))
        && origin.is_none_or(|origin| origin.strip_prefix("http://").is_some_and(|origin| app.guard.is_here(origin)));
    let mut response = if here {
        next.run(request).await
    } else {
        (StatusCode::FORBIDDEN, "This address is not served here.\n").into_response()
    };
    for (name, value) in strict() {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// What browsers are told of every answer that does not say otherwise.
fn strict() -> [(header::HeaderName, &'static str); 4] {
    let policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                  frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'self'";
    [
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ]
}

/// Lets in those who hold the secret: in the cookie, or in the address, which sets the cookie. What changes something must
/// repeat it in a header, which no other site can make a browser send.
pub async fn holders(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let guard = &app.guard;
    let typed = request.uri().query().and_then(|query| query.split('&').find_map(|pair| pair.strip_prefix("key=")));
    let typed = typed.is_some_and(|key| guard.is_key(key)) && request.method() == Method::GET;
    if !typed && !guard.holds_cookie(request.headers()) {
        return Problem::new(StatusCode::FORBIDDEN, "open the address that `quadrat serve` printed: it holds the key")
            .into_response();
    }
    let repeated = request.headers().get(KEY_HEADER).and_then(|value| value.to_str().ok());
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    if !reads && !repeated.is_some_and(|key| guard.is_key(key)) {
        return Problem::new(StatusCode::FORBIDDEN, "the request lacks the key in its header X-Quadrat-Key")
            .into_response();
    }
    let mut response = next.run(request).await;
    if typed {
        let cookie = format!("{}={}; HttpOnly; SameSite=Strict; Path=/", guard.cookie_name(), guard.key);
        if let Ok(cookie) = HeaderValue::from_str(&cookie) {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
    }
    response
}
