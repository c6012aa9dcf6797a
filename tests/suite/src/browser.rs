//! A browser without scripts: cookies by host, the headers that browsers send, forms and links.
//!
//! One redirect at a time, so that tests see each; [`Browser::follow`] goes on to the end.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use reqwest::header::{HeaderMap, LOCATION, SET_COOKIE};
use scraper::{ElementRef, Html, Selector};
use url::Url;

/// Redirects that [`Browser::follow`] follows before it gives up.
const MAX_REDIRECTS: usize = 10;

/// Cookies of one host: name and value. Ports do not separate cookies (RFC 6265, section 8.5).
type Jar = BTreeMap<(String, String), String>;

/// A browser. Clones share the cookies, as tabs do.
#[derive(Clone)]
pub struct Browser {
    client: reqwest::Client,
    home: Url,
    jar: Arc<Mutex<Jar>>,
}

/// A response with its body.
#[derive(Clone, Debug)]
pub struct Page {
    /// Where it came from.
    pub url: Url,
    /// HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// Body as text.
    pub body: String,
}

/// A form of a page with its fields.
#[derive(Clone, Debug)]
pub struct Form {
    action: Url,
    method: String,
    /// Name and value of each field, in order; change them before submitting.
    pub fields: Vec<(String, String)>,
}

impl Browser {
    /// A new browser whose paths are below `home`.
    ///
    /// # Panics
    /// When `home` is no URL.
    #[must_use]
    pub fn new(home: &str) -> Self {
        #[expect(clippy::disallowed_methods, reason = "a browser, not an outgoing call of the application")]
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            // Loopback alone, without TLS: reading the certificates would take longer than a sign-in.
            .tls_built_in_root_certs(false)
            .no_proxy()
            .build()
            .expect("a client");
        Self { client, home: home.parse().expect("a URL"), jar: Arc::default() }
    }

    /// Gets a path or URL; redirects are not followed.
    pub async fn get(&self, target: &str) -> Page {
        let url = self.home.join(target).expect("a target");
        self.send("GET", url, None, &[]).await
    }

    /// Gets with further headers.
    pub async fn get_with(&self, target: &str, headers: &[(&str, &str)]) -> Page {
        let url = self.home.join(target).expect("a target");
        self.send("GET", url, None, headers).await
    }

    /// Gets with an access token, as a program does.
    pub async fn call(&self, target: &str, token: &str) -> Page {
        let authorization = format!("Bearer {token}");
        self.get_with(target, &[("authorization", &authorization), ("accept", "application/json")]).await
    }

    /// Posts fields as a browser does from a page of the application.
    pub async fn post(&self, target: &str, fields: &[(&str, &str)]) -> Page {
        let url = self.home.join(target).expect("a target");
        let form = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.submit(&Form { action: url, method: "post".to_owned(), fields: form }).await
    }

    /// Posts a body with headers of the test's own: no `Origin` is added.
    pub async fn post_raw(&self, target: &str, body: String, headers: &[(&str, &str)]) -> Page {
        let url = self.home.join(target).expect("a target");
        self.send("POST", url, Some(body), headers).await
    }

    /// Sends any method with headers of the test's own.
    pub async fn request(&self, method: &str, target: &str, body: Option<String>, headers: &[(&str, &str)]) -> Page {
        let url = self.home.join(target).expect("a target");
        self.send(method, url, body, headers).await
    }

    /// Submits a form with the `Origin` of its own page's site.
    pub async fn submit(&self, form: &Form) -> Page {
        let encoded: String = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&form.fields).finish();
        if form.method == "get" {
            let mut url = form.action.clone();
            url.set_query(Some(&encoded));
            return self.send("GET", url, None, &[]).await;
        }
        let origin = form.action.origin().ascii_serialization();
        self.send("POST", form.action.clone(), Some(encoded), &[("origin", &origin)]).await
    }

    /// Follows redirects from `page` to the first response that is none.
    ///
    /// # Panics
    /// After ten redirects.
    pub async fn follow(&self, mut page: Page) -> Page {
        for _ in 0..MAX_REDIRECTS {
            match page.location() {
                Some(url) => page = self.send("GET", url, None, &[]).await,
                None => return page,
            }
        }
        panic!("more than {MAX_REDIRECTS} redirects, last at {}", page.url);
    }

    /// Signs in as an emulator's persona and returns the answer of the callback, not followed.
    pub async fn sign_in(&self, persona: &str) -> Page {
        self.sign_in_at("/auth/sign-in", persona).await
    }

    /// As [`Browser::sign_in`], beginning at a sign-in page of the test's own.
    pub async fn sign_in_at(&self, sign_in_page: &str, persona: &str) -> Page {
        let at_provider = self.begin(sign_in_page).await;
        self.pick(&at_provider, persona).await
    }

    /// Submits the sign-in page's form and goes to the provider: returns its account picker.
    pub async fn begin(&self, sign_in_page: &str) -> Page {
        let page = self.get(sign_in_page).await;
        page.assert_status(200);
        let to_provider = self.submit(&page.form("/auth/sign-in")).await;
        to_provider.assert_status(303);
        let url = to_provider.location().expect("a redirect to the provider");
        self.send("GET", url, None, &[]).await
    }

    /// Picks a persona at the provider and takes the authorization response back to the
    /// application: returns the answer of the callback.
    pub async fn pick(&self, at_provider: &Page, persona: &str) -> Page {
        let back = self.pick_only(at_provider, persona).await;
        self.deliver(back).await
    }

    /// Picks a persona at the provider, and consents if asked; returns the provider's answer. A provider that knows the
    /// person already (single sign-on) has answered.
    pub async fn pick_only(&self, at_provider: &Page, persona: &str) -> Page {
        if at_provider.location().is_some() || at_provider.has_form("/auth/callback") {
            return at_provider.clone();
        }
        let consent = |page: &Page| page.find_button("consent", "accept");
        if let Some(form) = consent(at_provider) {
            return self.submit(&form).await;
        }
        let answer = self.submit(&at_provider.form_with_button("persona", persona)).await;
        match consent(&answer) {
            Some(form) => self.submit(&form).await,
            None => answer,
        }
    }

    /// Takes an authorization response to the application: a redirect, or a form that posts itself.
    pub async fn deliver(&self, response: Page) -> Page {
        match response.location() {
            Some(url) => self.send("GET", url, None, &[]).await,
            None => {
                let form = response.form("/auth/callback");
                let encoded = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&form.fields).finish();
                let origin = response.url.origin().ascii_serialization();
                self.send("POST", form.action, Some(encoded), &[("origin", &origin), ("sec-fetch-site", "cross-site")])
                    .await
            }
        }
    }

    /// The value of a cookie of the application's host.
    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<String> {
        let host = self.home.host_str().unwrap_or_default().to_owned();
        self.jar.lock().expect("the jar").get(&(host, name.to_owned())).cloned()
    }

    /// Names of the cookies of the application's host.
    #[must_use]
    pub fn cookie_names(&self) -> Vec<String> {
        let host = self.home.host_str().unwrap_or_default();
        let jar = self.jar.lock().expect("the jar");
        jar.keys().filter(|(of, _)| of == host).map(|(_, name)| name.clone()).collect()
    }

    /// Plants a cookie for the application's host.
    pub fn set_cookie(&self, name: &str, value: &str) {
        let host = self.home.host_str().unwrap_or_default().to_owned();
        self.jar.lock().expect("the jar").insert((host, name.to_owned()), value.to_owned());
    }

    /// Forgets a cookie.
    pub fn remove_cookie(&self, name: &str) {
        let host = self.home.host_str().unwrap_or_default().to_owned();
        self.jar.lock().expect("the jar").remove(&(host, name.to_owned()));
    }

    async fn send(&self, method: &str, url: Url, body: Option<String>, headers: &[(&str, &str)]) -> Page {
        let method = method.parse().expect("a method");
        let mut request = self.client.request(method, url.clone());
        if !headers.iter().any(|(name, _)| *name == "accept") {
            request = request.header("accept", "text/html,*/*;q=0.8");
        }
        let cookies = self.cookies_for(&url);
        if !cookies.is_empty() {
            request = request.header("cookie", cookies);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/x-www-form-urlencoded").body(body);
        }
        let response = request.send().await.unwrap_or_else(|error| panic!("{url}: {error}"));
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        self.keep_cookies(&url, &headers);
        let body = response.bytes().await.unwrap_or_else(|error| panic!("{url}: {error}"));
        Page { url, status, headers, body: String::from_utf8_lossy(&body).into_owned() }
    }

    fn cookies_for(&self, url: &Url) -> String {
        let host = url.host_str().unwrap_or_default();
        let jar = self.jar.lock().expect("the jar");
        let pairs = jar.iter().filter(|((of, _), _)| of == host);
        pairs.map(|((_, name), value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    fn keep_cookies(&self, url: &Url, headers: &HeaderMap) {
        let host = url.host_str().unwrap_or_default().to_owned();
        let mut jar = self.jar.lock().expect("the jar");
        for line in headers.get_all(SET_COOKIE).iter().filter_map(|value| value.to_str().ok()) {
            let Some((name, value)) = line.split(';').next().and_then(|pair| pair.split_once('=')) else {
                continue;
            };
            let key = (host.clone(), name.trim().to_owned());
            if line.to_ascii_lowercase().contains("max-age=0") {
                jar.remove(&key);
            } else {
                jar.insert(key, value.to_owned());
            }
        }
    }
}

impl Page {
    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{}: {error}: {}", self.url, self.body))
    }

    /// Panics unless the status is this one; shows the body.
    ///
    /// # Panics
    /// See above.
    #[track_caller]
    pub fn assert_status(&self, status: u16) -> &Self {
        assert_eq!(self.status, status, "{}\n{:?}\n{}", self.url, self.headers, self.text());
        self
    }

    /// Panics unless the visible text holds `text`.
    ///
    /// # Panics
    /// See above.
    #[track_caller]
    pub fn assert_text(&self, text: &str) -> &Self {
        assert!(self.text().contains(text), "no {text:?} in {}:\n{}", self.url, self.text());
        self
    }

    /// A header's value; empty without it.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Where a redirect leads to.
    #[must_use]
    pub fn location(&self) -> Option<Url> {
        let is_redirect = (300..400).contains(&self.status);
        let location = self.headers.get(LOCATION).filter(|_| is_redirect)?;
        self.url.join(location.to_str().ok()?).ok()
    }

    /// The path (and query) where a redirect leads to.
    #[must_use]
    pub fn location_path(&self) -> String {
        let Some(url) = self.location() else {
            return String::new();
        };
        url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()))
    }

    /// The visible text, blanks folded.
    #[must_use]
    pub fn text(&self) -> String {
        let document = Html::parse_document(&self.body);
        let text: Vec<&str> = document.root_element().text().collect();
        text.join(" ").split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// The form whose action's path is, or ends with, `action`.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    #[track_caller]
    pub fn form(&self, action: &str) -> Form {
        let found = self.forms().into_iter().find(|form| form.action.path().ends_with(action));
        found.unwrap_or_else(|| panic!("no form {action} in {} ({}):\n{}", self.url, self.status, self.body))
    }

    /// Whether there is a form with this action.
    #[must_use]
    pub fn has_form(&self, action: &str) -> bool {
        self.forms().iter().any(|form| form.action.path().ends_with(action))
    }

    /// The form with a button of this name and value, pressed.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    #[track_caller]
    pub fn form_with_button(&self, name: &str, value: &str) -> Form {
        let form = self.find_button(name, value);
        form.unwrap_or_else(|| panic!("no button {name}={value} in {}:\n{}", self.url, self.body))
    }

    /// As [`Page::form_with_button`], or `None`.
    fn find_button(&self, name: &str, value: &str) -> Option<Form> {
        let document = Html::parse_document(&self.body);
        let button = document.select(&selector(&format!("form button[name={name:?}][value={value:?}]"))).next()?;
        let form = button.ancestors().filter_map(ElementRef::wrap).find(|element| element.value().name() == "form")?;
        let mut form = self.read_form(form);
        form.fields.push((name.to_owned(), value.to_owned()));
        Some(form)
    }

    /// The targets of the links that `css` selects.
    #[must_use]
    pub fn links(&self, css: &str) -> Vec<String> {
        self.attributes(css, "href")
    }

    /// Where the content of the elements that `css` selects comes from.
    #[must_use]
    pub fn sources(&self, css: &str) -> Vec<String> {
        self.attributes(css, "src")
    }

    fn attributes(&self, css: &str, name: &str) -> Vec<String> {
        let document = Html::parse_document(&self.body);
        document.select(&selector(css)).filter_map(|element| element.value().attr(name)).map(str::to_owned).collect()
    }

    /// The texts of the elements that `css` selects.
    #[must_use]
    pub fn texts(&self, css: &str) -> Vec<String> {
        let document = Html::parse_document(&self.body);
        let text = |element: ElementRef<'_>| element.text().collect::<String>().trim().to_owned();
        document.select(&selector(css)).map(text).collect()
    }

    fn forms(&self) -> Vec<Form> {
        let document = Html::parse_document(&self.body);
        document.select(&selector("form")).map(|form| self.read_form(form)).collect()
    }

    fn read_form(&self, form: ElementRef<'_>) -> Form {
        let attribute = |name| form.value().attr(name).unwrap_or_default().to_owned();
        let fields = form
            .select(&selector("input[name]"))
            .filter(|input| !matches!(input.value().attr("type"), Some("submit" | "checkbox" | "radio")))
            .map(|input| {
                let attribute = |name| input.value().attr(name).unwrap_or_default().to_owned();
                (attribute("name"), attribute("value"))
            })
            .collect();
        Form {
            action: self.url.join(&attribute("action")).expect("an action"),
            method: attribute("method").to_ascii_lowercase(),
            fields,
        }
    }
}

impl Form {
    /// The same with a field set to `value`, added if it is not there.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        match self.fields.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => value.clone_into(old),
            None => self.fields.push((name.to_owned(), value.to_owned())),
        }
        self
    }
}

#[track_caller]
fn selector(css: &str) -> Selector {
    Selector::parse(css).unwrap_or_else(|error| panic!("{css}: {error}"))
}
