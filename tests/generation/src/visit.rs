//! Visits a project that runs, as a browser would: through its pages and the emulator's.

use anyhow::{Context, Result, ensure};
use ureq::http::header::{LOCATION, ORIGIN};

type Answer = ureq::http::Response<ureq::Body>;

/// Signs the emulator's administrator in at `origin` (`http://localhost:<port>`) and returns their profile, in HTML.
///
/// # Errors
/// When a page does not answer, or not as it should.
pub fn sign_in(origin: &str) -> Result<String> {
    let config = ureq::Agent::config_builder().max_redirects(0).max_redirects_will_error(false);
    let browser: ureq::Agent = config.http_status_as_error(false).build().into();
    let get = |url: &str| browser.get(url).call().with_context(|| url.to_owned());

    let form = read(get(&format!("{origin}/auth/sign-in?next=/profile"))?)?;
    let begin = browser.post(format!("{origin}/auth/sign-in")).header(ORIGIN, origin);
    let authorize = location(&begin.send_form(hidden_fields(&form))?)?;
    // The emulator's page asks who it is: this is the answer.
    let callback = location(&get(&format!("{authorize}&persona=admin"))?)?;
    ensure!(get(&callback)?.status() == 303, "the callback does not lead on");
    read(get(&format!("{origin}/profile"))?)
}

/// The body of an answer that must be 200.
fn read(mut answer: Answer) -> Result<String> {
    let body = answer.body_mut().read_to_string()?;
    ensure!(answer.status() == 200, "{}: {body}", answer.status());
    Ok(body)
}

fn location(answer: &Answer) -> Result<String> {
    let location = answer.headers().get(LOCATION).with_context(|| format!("{} without a location", answer.status()))?;
    Ok(location.to_str()?.to_owned())
}

/// Names and values of the hidden fields in `html`, none of which needs unescaping here.
fn hidden_fields(html: &str) -> Vec<(&str, &str)> {
    let inputs = html.split("<input type=\"hidden\" ").skip(1);
    inputs.filter_map(|input| Some((attribute(input, "name=\"")?, attribute(input, "value=\"")?))).collect()
}

fn attribute<'a>(input: &'a str, start: &str) -> Option<&'a str> {
    input.split('>').next()?.split_once(start)?.1.split('"').next()
}
