//! Complete sign-ins: the page, its form, the provider, the callback.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::http::{Answer, Connection};

/// People who sign in at the same time.
const PEOPLE: usize = 16;

/// A browser with one connection to the server and one to the provider.
struct Browser {
    server: Connection,
    provider: Connection,
    server_address: SocketAddr,
    provider_address: SocketAddr,
}

/// Signs `persona` in with a fresh browser; returns the `Cookie` header of the session.
pub async fn cookie(server: SocketAddr, provider: SocketAddr, persona: &str) -> Result<String> {
    Browser::open(server, provider).await?.sign_in(persona).await
}

/// Complete sign-ins a second over `duration`, at all instances together.
pub async fn rate(instances: &[SocketAddr], provider: SocketAddr, duration: Duration) -> Result<f64> {
    let begin = Instant::now();
    let end = begin + duration;
    let mut people = tokio::task::JoinSet::new();
    for (number, server) in instances.iter().cycle().take(PEOPLE).enumerate() {
        let persona = if number < PEOPLE / 2 { "member1" } else { "member2" };
        people.spawn_local(sign_in_until(*server, provider, persona, end));
    }
    let mut sign_ins = 0;
    while let Some(done) = people.join_next().await {
        sign_ins += done??;
    }
    Ok(f64::from(sign_ins) / begin.elapsed().as_secs_f64())
}

async fn sign_in_until(server: SocketAddr, provider: SocketAddr, persona: &str, end: Instant) -> Result<u32> {
    let mut browser = Browser::open(server, provider).await?;
    let mut sign_ins = 0;
    while Instant::now() < end {
        browser.sign_in(persona).await?;
        sign_ins += 1;
    }
    Ok(sign_ins)
}

impl Browser {
    async fn open(server: SocketAddr, provider: SocketAddr) -> Result<Self> {
        let (server_address, provider_address) = (server, provider);
        let (server, provider) = (Connection::open(server).await?, Connection::open(provider).await?);
        Ok(Self { server, provider, server_address, provider_address })
    }

    /// One sign-in without any cookie from before.
    async fn sign_in(&mut self, persona: &str) -> Result<String> {
        let port = self.server_address.port();
        let request =
            format!("GET /auth/sign-in?next=/profile HTTP/1.1\r\nHost: localhost:{port}\r\nAccept: text/html\r\n\r\n");
        let page = self.server.send(request.as_bytes()).await?;
        ensure!(page.status == 200, "sign-in page: {}", page.status);
        let (mut jar, form) = (cookies(&page), hidden_fields(&page.text()));

        let request = format!(
            "POST /auth/sign-in HTTP/1.1\r\nHost: localhost:{port}\r\nOrigin: http://localhost:{port}\r\nAccept: text/html\r\n\
             Cookie: {jar}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
            form.len()
        );
        let answer = self.server.send(request.as_bytes()).await?;
        let authorize = location(&answer)?;
        jar = cookies(&answer);

        let callback = self.authorize(&authorize, persona).await?;
        let request =
            format!("GET {callback} HTTP/1.1\r\nHost: localhost:{port}\r\nAccept: text/html\r\nCookie: {jar}\r\n\r\n");
        let answer = self.server.send(request.as_bytes()).await?;
        ensure!(answer.status == 303, "callback: {} {}", answer.status, answer.text());
        let session = cookies(&answer);
        session.split("; ").find(|cookie| cookie.starts_with("id=")).map(str::to_owned).context("no session cookie")
    }

    /// From the authorization request to the path of the callback; the persona is picked at once.
    async fn authorize(&mut self, url: &str, persona: &str) -> Result<String> {
        let origin = format!("http://{}", self.provider_address);
        let path = url.strip_prefix(&origin).with_context(|| format!("{url} is not at the provider"))?;
        let request = format!("GET {path}&persona={persona} HTTP/1.1\r\nHost: {}\r\n\r\n", self.provider_address);
        let callback = location(&self.provider.send(request.as_bytes()).await?)?;
        let origin = format!("http://localhost:{}", self.server_address.port());
        Ok(callback.strip_prefix(&origin).with_context(|| format!("{callback} is not at the server"))?.to_owned())
    }
}

fn location(answer: &Answer<'_>) -> Result<String> {
    let location = answer.headers("location").next();
    location.map(str::to_owned).with_context(|| format!("no redirect but {}: {}", answer.status, answer.text()))
}

/// The `Cookie` header for the cookies that `answer` sets, without those that it clears.
fn cookies(answer: &Answer<'_>) -> String {
    let pairs = answer.headers("set-cookie").filter_map(|cookie| cookie.split(';').next());
    pairs.filter(|pair| !pair.ends_with('=')).collect::<Vec<_>>().join("; ")
}

/// The hidden fields of the page, as a form body. Their values here are tokens and paths: `/` alone needs care.
fn hidden_fields(html: &str) -> String {
    let inputs = html.split("<input").skip(1).map(|rest| rest.split('>').next().unwrap_or_default());
    let fields = inputs.filter(|input| input.contains("type=\"hidden\"")).filter_map(|input| {
        let value = attribute(input, "value").unwrap_or_default();
        Some(format!(
            "{}={}",
            attribute(input, "name")?,
            value.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D")
        ))
    });
    fields.collect::<Vec<_>>().join("&")
}

fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    tag.split_once(&format!(" {name}=\""))?.1.split('"').next()
}
