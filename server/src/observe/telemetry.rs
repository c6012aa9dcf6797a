//! Where the log goes, and the trace that a request belongs to (W3C Trace Context, level 1).
//!
//! The log is one line an event on standard error: for people in a debug build, JSON in a release build; `RUST_LOG`
//! filters it. Lines of a request carry its `request_id`, and its `trace_id` when the caller sent a `traceparent`.
//!
//! A build with the feature `otel` also sends spans to an OpenTelemetry collector, when `OTEL_EXPORTER_OTLP_ENDPOINT`
//! (or `…_TRACES_ENDPOINT`) names one; all `OTEL_*` variables of the OTLP exporter over HTTP count. Every request then
//! has a trace, which goes on to the provider and to Graph.

use axum::http::{HeaderMap, HeaderValue};
use tracing::Span;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

/// Carries the trace of a request (W3C Trace Context, section 3.2).
const TRACEPARENT: &str = "traceparent";

/// Starts the log of the process. What is returned sends the last spans when it is dropped.
#[must_use]
pub fn start() -> Telemetry {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = match cfg!(debug_assertions) {
        true => lines.boxed(),
        false => lines.json().flatten_event(true).with_span_list(false).boxed(),
    };
    let telemetry = Telemetry::start();
    let subscriber = tracing_subscriber::registry().with(filter).with(lines);
    #[cfg(feature = "otel")]
    let subscriber = subscriber.with(telemetry.layer());
    subscriber.init();
    telemetry
}

/// The id of the trace in a `traceparent`: 32 hexadecimal digits, not all zero (sections 3.2.2.2 and 3.2.2.3).
pub(crate) fn trace_id(traceparent: &HeaderValue) -> Option<&str> {
    let text = traceparent.to_str().ok()?;
    let parts: Vec<&str> = text.split('-').collect();
    let [version, trace_id, parent_id, flags, ..] = parts[..] else {
        return None;
    };
    let is_hex = |text: &str, length: usize| {
        text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let is_well_formed = is_hex(version, 2) && version != "ff" && is_hex(parent_id, 16) && is_hex(flags, 2);
    let is_known = is_hex(trace_id, 32) && trace_id.bytes().any(|digit| digit != b'0');
    (is_well_formed && is_known).then_some(trace_id)
}

/// Makes the span of a request part of the trace that its headers name, notes the trace's id in it, and returns it.
pub(crate) fn continue_trace(span: &Span, headers: &HeaderMap) -> Option<String> {
    let trace_id = join(span, headers)?;
    span.record("trace_id", &trace_id);
    Some(trace_id)
}

#[cfg(feature = "otel")]
use crate::observe::telemetry::otel::join;

#[cfg(not(feature = "otel"))]
fn join(_: &Span, headers: &HeaderMap) -> Option<String> {
    headers.get(TRACEPARENT).and_then(trace_id).map(str::to_owned)
}

/// Passes the trace of the current span on to whoever is called.
#[cfg_attr(not(feature = "otel"), expect(unused_variables, reason = "without traces there is nothing to pass on"))]
pub(crate) fn pass_on(headers: &mut HeaderMap) {
    #[cfg(feature = "otel")]
    otel::pass_on(headers);
}

#[cfg(not(feature = "otel"))]
pub use crate::observe::telemetry::none::Telemetry;
#[cfg(feature = "otel")]
pub use crate::observe::telemetry::otel::Telemetry;

#[cfg(not(feature = "otel"))]
mod none {
    /// Nothing besides the log.
    #[derive(Debug)]
    pub struct Telemetry;

    impl Telemetry {
        pub(super) fn start() -> Self {
            Self
        }
    }
}

#[cfg(feature = "otel")]
mod otel {
    use axum::http::{HeaderMap, HeaderName, HeaderValue};
    use opentelemetry::propagation::{Extractor, Injector};
    use opentelemetry::trace::{TraceContextExt as _, TracerProvider as _};
    use opentelemetry_otlp::SpanExporter;
    use opentelemetry_sdk::propagation::TraceContextPropagator;
    use opentelemetry_sdk::trace::SdkTracerProvider;
    use tracing::{Span, Subscriber};
    use tracing_opentelemetry::OpenTelemetrySpanExt as _;
    use tracing_subscriber::Layer;
    use tracing_subscriber::registry::LookupSpan;

    const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"];

    /// The way to the collector, if the environment names one.
    #[derive(Debug)]
    pub struct Telemetry {
        provider: Option<SdkTracerProvider>,
    }

    impl Telemetry {
        pub(super) fn start() -> Self {
            opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
            let is_named = ENDPOINTS.iter().any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()));
            let exporter = is_named.then(|| SpanExporter::builder().with_http().build());
            let exporter =
                exporter.and_then(|built| built.inspect_err(|error| eprintln!("traces are not sent: {error}")).ok());
            let provider = exporter.map(|exporter| SdkTracerProvider::builder().with_batch_exporter(exporter).build());
            Self { provider }
        }

        pub(super) fn layer<S>(&self) -> Option<impl Layer<S> + use<S>>
        where
            S: Subscriber + for<'span> LookupSpan<'span>,
        {
            let tracer = self.provider.as_ref()?.tracer(env!("CARGO_PKG_NAME"));
            Some(tracing_opentelemetry::layer().with_tracer(tracer))
        }
    }

    impl Drop for Telemetry {
        fn drop(&mut self) {
            if let Some(provider) = &self.provider {
                let _ = provider.shutdown();
            }
        }
    }

    /// Puts `span` below the caller's; the id of its trace, or the one that the caller names when no collector is there.
    pub(super) fn join(span: &Span, headers: &HeaderMap) -> Option<String> {
        let parent = opentelemetry::global::get_text_map_propagator(|known| known.extract(&Headers(headers)));
        let _ = span.set_parent(parent);
        let context = span.context();
        let context = context.span().span_context().clone();
        let named = || headers.get(super::TRACEPARENT).and_then(super::trace_id).map(str::to_owned);
        if context.is_valid() { Some(context.trace_id().to_string()) } else { named() }
    }

    pub(super) fn pass_on(headers: &mut HeaderMap) {
        let context = Span::current().context();
        opentelemetry::global::get_text_map_propagator(|known| {
            known.inject_context(&context, &mut HeadersMut(headers))
        });
    }

    struct Headers<'a>(&'a HeaderMap);

    impl Extractor for Headers<'_> {
        fn get(&self, key: &str) -> Option<&str> {
            self.0.get(key)?.to_str().ok()
        }

        fn keys(&self) -> Vec<&str> {
            self.0.keys().map(HeaderName::as_str).collect()
        }
    }

    struct HeadersMut<'a>(&'a mut HeaderMap);

    impl Injector for HeadersMut<'_> {
        fn set(&mut self, key: &str, value: String) {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(key), HeaderValue::try_from(value)) {
                self.0.insert(name, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_taken_from_a_well_formed_traceparent_alone() {
        let id = "0af7651916cd43dd8448eb211c80319c";
        let good = [format!("00-{id}-b7ad6b7169203331-01"), format!("cc-{id}-b7ad6b7169203331-01-what-comes-later")];
        for text in good {
            assert_eq!(trace_id(&HeaderValue::try_from(&text).expect("a header")), Some(id), "{text}");
        }
        let bad = [
            String::new(),
            format!("00-{id}-b7ad6b7169203331"),
            format!("ff-{id}-b7ad6b7169203331-01"),
            format!("00-{}-b7ad6b7169203331-01", id.to_uppercase()),
            format!("00-{}-b7ad6b7169203331-01", "0".repeat(32)),
            format!("00-{id}0-b7ad6b7169203331-01"),
            "00-<script>alert(1)</script>-b7ad6b7169203331-01".to_owned(),
        ];
        for text in bad {
            assert_eq!(trace_id(&HeaderValue::try_from(&text).expect("a header")), None, "{text}");
        }
    }
}
