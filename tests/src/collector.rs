//! A collector of OpenTelemetry traces, which takes what boxes send by OTLP over HTTP and keeps it.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{KeyValue, any_value},
};
use prost::Message as _;

use crate::http::TIMEOUT;

/// A part of a trace.
#[derive(Clone, Debug)]
pub struct Span {
    /// `service.instance.id`: which box.
    pub instance: String,
    /// What it is about.
    pub name: String,
    /// Of its trace.
    pub trace: Vec<u8>,
    /// Its own.
    pub id: Vec<u8>,
    /// Of the part that it is a part of; empty where there is none.
    pub parent: Vec<u8>,
    /// What else it says, as text.
    pub attributes: Vec<(String, String)>,
}

/// What was sent so far. It ends with the test's process.
pub struct Collector {
    address: SocketAddr,
    spans: Arc<Mutex<Vec<Span>>>,
}

impl Collector {
    /// Listens on a free port.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let (address, spans) = (listener.local_addr().expect("it is bound"), Arc::default());
        let kept: Arc<Mutex<Vec<Span>>> = Arc::clone(&spans);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let kept = kept.clone();
                thread::spawn(move || serve(stream, &kept));
            }
        });
        Self { address, spans }
    }

    /// As `traces.endpoint` has it.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What was sent so far.
    pub fn spans(&self) -> Vec<Span> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Answers requests on one connection until it closes.
fn serve(stream: TcpStream, kept: &Mutex<Vec<Span>>) {
    stream.set_read_timeout(Some(TIMEOUT)).expect("it is not zero");
    let mut reader = BufReader::new(stream);
    while let Some(request) = read(&mut reader) {
        kept.lock().unwrap_or_else(PoisonError::into_inner).extend(spans(request));
        let answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n";
        if reader.get_mut().write_all(answer).is_err() {
            return;
        }
    }
}

/// A request; none where the connection ends.
fn read(reader: &mut BufReader<TcpStream>) -> Option<ExportTraceServiceRequest> {
    let (mut first, mut length) = (String::new(), 0);
    reader.read_line(&mut first).ok().filter(|read| *read > 0)?;
    assert!(first.starts_with("POST /v1/traces "), "{first}");
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length");
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(ExportTraceServiceRequest::decode(&*body).expect("protobuf of OTLP"))
}

fn spans(request: ExportTraceServiceRequest) -> Vec<Span> {
    let mut spans = Vec::new();
    for resource in request.resource_spans {
        let about = resource.resource.map(|resource| texts(resource.attributes)).unwrap_or_default();
        let instance = about.iter().find(|(name, _)| name == "service.instance.id");
        let instance = instance.map(|(_, value)| value.clone()).unwrap_or_default();
        for span in resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            spans.push(Span {
                instance: instance.clone(),
                name: span.name,
                trace: span.trace_id,
                id: span.span_id,
                parent: span.parent_span_id,
                attributes: texts(span.attributes),
            });
        }
    }
    spans
}

fn texts(attributes: Vec<KeyValue>) -> Vec<(String, String)> {
    let text = |value: any_value::Value| match value {
        any_value::Value::StringValue(text) => text,
        any_value::Value::IntValue(number) => number.to_string(),
        other => format!("{other:?}"),
    };
    let value =
        |attribute: KeyValue| (attribute.key, attribute.value.and_then(|any| any.value).map(text).unwrap_or_default());
    attributes.into_iter().map(value).collect()
}
